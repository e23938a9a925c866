"""Keyset pagination, by the GraphQL Cursor Connections specification: a cursor names a row, not an offset."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import strawberry

from auth.crypto.base64url import base64url, from_base64url
from graph.api.types import SecurityEvent, Session
from graph.problems import BadUserInput

MAX_PAGE_SIZE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BAD_CURSOR = "`after` is not a cursor of this list. Use the `endCursor` of a page."

Row = TypeVar("Row")


@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there are entries after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there are entries before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge. Null on an empty page.")
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last edge: the `after` of the next page. Null on an empty page."
    )


@strawberry.type(description="A session in a page.")
class SessionEdge:
    node: Session = strawberry.field(description="The session.")
    cursor: str = strawberry.field(description="The position of the entry in the list, for `after`.")


@strawberry.type(description="A page of sessions.")
class SessionConnection:
    edges: list[SessionEdge] = strawberry.field(description="The sessions of this page.")
    page_info: PageInfo = strawberry.field(description="The position of this page in the list.")


@strawberry.type(description="A security event in a page.")
class SecurityEventEdge:
    node: SecurityEvent = strawberry.field(description="The event.")
    cursor: str = strawberry.field(description="The position of the entry in the list, for `after`.")


@strawberry.type(description="A page of security events.")
class SecurityEventConnection:
    edges: list[SecurityEventEdge] = strawberry.field(description="The events of this page.")
    page_info: PageInfo = strawberry.field(description="The position of this page in the list.")


def page_size(first: int) -> int:
    """Return `first` if it is a valid page size. Raises `BadUserInput`."""
    if not 1 <= first <= MAX_PAGE_SIZE:
        raise BadUserInput(f"`first` is out of range. Use 1 to {MAX_PAGE_SIZE}.")
    return first


def page_info(rows: Sequence[Row], first: int, after: str | None, cursor: Callable[[Row], str]) -> PageInfo:
    """Return the position of a page. `rows` has one row more than the page if another page follows."""
    page = rows[:first]
    return PageInfo(
        has_next_page=len(rows) > first,
        # The row of `after` is before this page.
        has_previous_page=after is not None,
        start_cursor=cursor(page[0]) if page else None,
        end_cursor=cursor(page[-1]) if page else None,
    )


def id_cursor(row_id: UUID) -> str:
    """Return the cursor of a row in a list that is sorted by ID."""
    return base64url(row_id.bytes)


def parse_id_cursor(cursor: str) -> UUID:
    """Return the ID in a cursor. Raises `BadUserInput`."""
    return UUID(bytes=_parse(cursor, 16))


def time_cursor(instant: datetime, row_id: UUID) -> str:
    """Return the cursor of a row in a list that is sorted by time, then by ID."""
    microseconds = (instant - _EPOCH) // timedelta(microseconds=1)
    return base64url(microseconds.to_bytes(8, "big") + row_id.bytes)


def parse_time_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Return the time and the ID in a cursor. Raises `BadUserInput`."""
    data = _parse(cursor, 24)
    try:
        return _EPOCH + timedelta(microseconds=int.from_bytes(data[:8], "big")), UUID(bytes=data[8:])
    except OverflowError:
        raise BadUserInput(_BAD_CURSOR) from None


def _parse(cursor: str, length: int) -> bytes:
    try:
        data = from_base64url(cursor)
    except ValueError:
        data = b""
    if len(data) != length or base64url(data) != cursor:
        raise BadUserInput(_BAD_CURSOR)
    return data
