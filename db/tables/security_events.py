"""`security_events`: what happened to an account. Append only; pruned by age."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.drivers.errors import TransactionConflict
from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import (
    ASYNC_COMMIT,
    IP_LENGTH,
    USER_AGENT_LENGTH,
    WITHOUT_ROWID,
    SecurityEventKind,
    check_in,
    defaults_of,
    delete_some,
    table_of,
)
from db.tables.usernames import usernames

DETAIL_LENGTH = 200


class SecurityEvent(SQLModel, table=True):
    __tablename__ = "security_events"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"]),
        check_in("kind", SecurityEventKind),
        Index("ix_security_events_occurred_at", "occurred_at"),
        WITHOUT_ROWID,
    )

    user_id: UUID = Field(primary_key=True)
    # UUID version 7: the primary key's order is the order in time.
    id: UUID = Field(primary_key=True)
    # No foreign key: an event outlives its family.
    family_id: UUID | None = None
    kind: str = Field(max_length=32)
    occurred_at: datetime
    ip: str | None = Field(default=None, max_length=IP_LENGTH)
    user_agent: str | None = Field(default=None, max_length=USER_AGENT_LENGTH)
    # One word more, such as the reason of a revocation, or the generation that was replayed.
    detail: str | None = Field(default=None, max_length=DETAIL_LENGTH)


class SecurityEventRow(NamedTuple):
    """A row of `security_events`."""

    user_id: UUID
    id: UUID
    family_id: UUID | None
    kind: str
    occurred_at: datetime
    ip: str | None
    user_agent: str | None
    detail: str | None


security_events = table_of(SecurityEvent)

DEFAULTS = defaults_of(SecurityEvent)
ADD = Compiled(insert(security_events))
_OF_EVENT = ("id", "kind", "occurred_at", "ip", "user_agent", "detail")
_for_name = select(
    usernames.c.user_id, *(bindparam(name, type_=security_events.c[name].type) for name in _OF_EVENT)
).where(usernames.c.username_key == bindparam("of_name"))


def _add_for_name(insert: Any, chosen: Any) -> Any:
    return insert.from_select(["user_id", *_OF_EVENT], chosen).on_conflict_do_nothing()


# For a name that exists there is a row to write, for an unknown name there is none: to wait for the disk would let an
# attacker tell the two apart by time (CRED-08).
_ADD_FOR_NAME = Compiled(
    postgresql=_add_for_name(postgresql.insert(security_events), _for_name.where(ASYNC_COMMIT == "off")),
    sqlite=_add_for_name(sqlite.insert(security_events), _for_name),
)
_PAGE = select(security_events).where(security_events.c.user_id == bindparam("of_user"))
_NEWEST_FIRST, _LIMIT = security_events.c.id.desc(), bindparam("limit", type_=BigInteger())
_FIRST_PAGE = Compiled(_PAGE.order_by(_NEWEST_FIRST).limit(_LIMIT), SecurityEventRow)
_NEXT_PAGE = Compiled(
    _PAGE.where(security_events.c.id < bindparam("after")).order_by(_NEWEST_FIRST).limit(_LIMIT), SecurityEventRow
)
_NEWEST = Compiled(
    select(func.max(security_events.c.occurred_at).label("occurred_at")).where(
        security_events.c.occurred_at <= bindparam("until")
    )
)
_PRUNE = Compiled(delete_some(security_events, security_events.c.occurred_at < bindparam("occurred_before")))


async def add(conn: Connection, events: Sequence[dict[str, Any]]) -> None:
    """Append events."""
    if events:
        await conn.execute_many(ADD, [DEFAULTS | event for event in events])


async def add_for_name(conn: Connection, username_key: str, event: dict[str, Any]) -> None:
    """Append an event for the user with this name; do nothing if there is none.

    One statement, which does not say which of the two it did, and on PostgreSQL does not wait for the disk in either
    case. An event that an earlier attempt of unknown outcome appended is not appended again.
    """
    try:
        await _ADD_FOR_NAME.all(conn, event | {"of_name": username_key})
    except asyncpg.ForeignKeyViolationError as error:
        raise TransactionConflict from error  # the user existed when the statement began, and was deleted since


async def page(conn: Connection, user_id: UUID, *, after: UUID | None, limit: int) -> Sequence[SecurityEventRow]:
    """Return a user's events, newest first, from after the one with the id `after`."""
    values = {"of_user": user_id, "limit": limit}
    if after is None:
        return await _FIRST_PAGE.all(conn, values)
    return await _NEXT_PAGE.all(conn, values | {"after": after})


async def newest(conn: Connection, *, until: datetime) -> datetime | None:
    """Return when the newest event up to that instant occurred; None if there is none."""
    newest: datetime | None = (await _NEWEST.one(conn, {"until": until})).occurred_at
    return newest


async def prune(conn: Connection, *, occurred_before: datetime, limit: int) -> int:
    """Delete up to `limit` events older than that instant; returns how many."""
    return await _PRUNE.execute(conn, {"occurred_before": occurred_before, "limit": limit})
