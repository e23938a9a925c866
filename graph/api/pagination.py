"""Keyset pages (the GraphQL Cursor Connections specification): a cursor names the last row, not a number of rows."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import strawberry

from auth.crypto.base64url import base64url, from_base64url
from graph.api.types import SecurityEvent, Session
from graph.execution.error_masking import BadUserInput

MAX_PAGE_SIZE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = TypeVar("Row")


@strawberry.type(description="Where a page stands among the others.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is more behind this page.")
    has_previous_page: bool = strawberry.field(description="Whether there is more before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge. Null on an empty page.")
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last edge: give it as `after` for the next page. Null on an empty page."
    )


@strawberry.type(description="A session in a page.")
class SessionEdge:
    node: Session = strawberry.field(description="The session.")
    cursor: str = strawberry.field(description="Its place in the list, for `after`.")


@strawberry.type(description="A page of sessions.")
class SessionConnection:
    edges: list[SessionEdge] = strawberry.field(description="The sessions of this page.")
    page_info: PageInfo = strawberry.field(description="Where the page stands among the others.")


@strawberry.type(description="A security event in a page.")
class SecurityEventEdge:
    node: SecurityEvent = strawberry.field(description="The event.")
    cursor: str = strawberry.field(description="Its place in the list, for `after`.")


@strawberry.type(description="A page of security events.")
class SecurityEventConnection:
    edges: list[SecurityEventEdge] = strawberry.field(description="The events of this page.")
    page_info: PageInfo = strawberry.field(description="Where the page stands among the others.")


def page_size(first: int) -> int:
    """`first` as it may be; raises `BadUserInput`."""
    if not 1 <= first <= MAX_PAGE_SIZE:
        raise BadUserInput(f"`first` must be between 1 and {MAX_PAGE_SIZE}.")
    return first


def page_info(rows: Sequence[Row], first: int, after: str | None, cursor: Callable[[Row], str]) -> PageInfo:
    """Where a page stands, told from one row more than it shows."""
    shown = rows[:first]
    return PageInfo(
        has_next_page=len(rows) > first,
        # The row that `after` names lies before this page.
        has_previous_page=after is not None,
        start_cursor=cursor(shown[0]) if shown else None,
        end_cursor=cursor(shown[-1]) if shown else None,
    )


def id_cursor(row_id: UUID) -> str:
    """The place of a row in a list that is sorted by id."""
    return base64url(row_id.bytes)


def parse_id_cursor(cursor: str) -> UUID:
    """The id that a cursor names; raises `BadUserInput`."""
    return UUID(bytes=_parse(cursor, 16))


def time_cursor(instant: datetime, row_id: UUID) -> str:
    """The place of a row in a list that is sorted by an instant, then by id."""
    microseconds = (instant - _EPOCH) // timedelta(microseconds=1)
    return base64url(microseconds.to_bytes(8, "big") + row_id.bytes)


def parse_time_cursor(cursor: str) -> tuple[datetime, UUID]:
    """The instant and the id that a cursor names; raises `BadUserInput`."""
    data = _parse(cursor, 24)
    try:
        return _EPOCH + timedelta(microseconds=int.from_bytes(data[:8], "big")), UUID(bytes=data[8:])
    except OverflowError:
        raise BadUserInput("`after` is not a cursor of this list.") from None


def _parse(cursor: str, length: int) -> bytes:
    try:
        data = from_base64url(cursor)
    except ValueError:
        data = b""
    if len(data) != length or base64url(data) != cursor:
        raise BadUserInput("`after` is not a cursor of this list.")
    return data
