"""`security_events`: what happened to an account. Append only; pruned by age."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ForeignKeyConstraint,
    Index,
    bindparam,
    func,
    insert,
    select,
)
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
    # No foreign key: an event outlives the family that it tells of.
    family_id: UUID | None = None
    kind: str = Field(max_length=32)
    occurred_at: datetime
    ip: str | None = Field(default=None, max_length=IP_LENGTH)
    user_agent: str | None = Field(default=None, max_length=USER_AGENT_LENGTH)
    # One word more, such as the reason of a revocation, or the generation that was replayed.
    detail: str | None = Field(default=None, max_length=DETAIL_LENGTH)


security_events = table_of(SecurityEvent)

ADD = Compiled(insert(security_events))
_OF_EVENT = ("id", "kind", "occurred_at", "ip", "user_agent", "detail")
_for_name = select(
    usernames.c.user_id, *(bindparam(name, type_=security_events.c[name].type) for name in _OF_EVENT)
).where(usernames.c.username_key == bindparam("of_name"))
_inserts: dict[str, Any] = {
    "sqlite": sqlite.insert(security_events),
    "postgresql": postgresql.insert(security_events),
}
# Where a name exists there is a row to write, where it does not there is none: to wait for the disk would tell the two
# apart (CRED-08).
_chosen = {"sqlite": _for_name, "postgresql": _for_name.where(ASYNC_COMMIT == "off")}
_ADD_FOR_NAME = {
    name: Compiled(insert.from_select(["user_id", *_OF_EVENT], _chosen[name]).on_conflict_do_nothing())
    for name, insert in _inserts.items()
}


async def add(conn: Connection, events: Sequence[dict[str, Any]]) -> None:
    """Append events."""
    if len(events) == 1:
        await ADD.all(conn, events[0])
    elif events:
        await conn.execute(insert(security_events), events)


async def add_for_name(conn: Connection, username_key: str, event: dict[str, Any]) -> None:
    """Append an event for the user with this name, and nothing where there is none.

    One statement that does not say which of the two it did, and on PostgreSQL does not wait for the disk in either
    case. An event that is there already, after an attempt of unknown outcome, is not appended again.
    """
    try:
        await _ADD_FOR_NAME[conn.dialect.name].all(conn, event | {"of_name": username_key})
    except asyncpg.ForeignKeyViolationError as error:
        raise TransactionConflict from error  # there was one when the statement began, who has been deleted since


async def page(conn: Connection, user_id: UUID, *, after: UUID | None, limit: int) -> Sequence[SecurityEvent]:
    """A user's events, newest first, from behind the one with the id `after`."""
    query = select(security_events).where(security_events.c.user_id == user_id)
    if after is not None:
        query = query.where(security_events.c.id < after)
    found = await conn.execute(query.order_by(security_events.c.id.desc()).limit(limit))
    return cast(Sequence[SecurityEvent], found.all())


async def newest(conn: Connection, *, until: datetime) -> datetime | None:
    """When the newest event up to that instant occurred; None where there is none."""
    newest = select(func.max(security_events.c.occurred_at)).where(security_events.c.occurred_at <= until)
    return cast(datetime | None, (await conn.execute(newest)).scalar_one())


async def prune(conn: Connection, *, occurred_before: datetime, limit: int) -> int:
    """Delete up to `limit` events older than that instant; returns how many."""
    some = delete_some(security_events, security_events.c.occurred_at < occurred_before, limit=limit)
    return (await conn.execute(some)).rowcount
