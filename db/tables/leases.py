"""`leases`: who does what only one worker at a time shall do. A worker that dies with a lease only lets it run out."""

from datetime import datetime
from typing import cast

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.engine.database import Connection
from db.tables.base import table_of


class Lease(SQLModel, table=True):
    __tablename__ = "leases"

    name: str = Field(primary_key=True, max_length=32)
    held_until: datetime
    # The instant that the last run worked up to; None before the first run.
    last_run_at: datetime | None = None


leases = table_of(Lease)

_INSERTS = (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
_CLAIM = {
    name: dialect_insert(leases)
    .values(name=bindparam("of"), held_until=bindparam("until"))
    .on_conflict_do_update(
        index_elements=["name"],
        set_={"held_until": bindparam("until")},
        # The second of these was taken by a clock far ahead of ours: nobody would get it until then.
        where=or_(leases.c.held_until <= bindparam("now"), leases.c.held_until > bindparam("implausible")),
    )
    .returning(leases.c.name)
    for name, dialect_insert in _INSERTS
}
_RECORD_RUN = {
    name: dialect_insert(leases)
    .values(name=bindparam("of"), held_until=bindparam("at"), last_run_at=bindparam("at"))
    .on_conflict_do_update(index_elements=["name"], set_={"last_run_at": bindparam("at")})
    for name, dialect_insert in _INSERTS
}


async def claim(conn: Connection, name: str, *, now: datetime, until: datetime) -> bool:
    """Take the lease until that instant, unless somebody holds it now. Returns whether it was taken."""
    values = {"of": name, "now": now, "until": until, "implausible": until + (until - now)}
    return (await conn.execute(_CLAIM[conn.dialect.name], values)).one_or_none() is not None


async def last_run_at(conn: Connection, name: str) -> datetime | None:
    """The instant that the last run of this work reached; None before the first run.

    Where it is not stored, as a release before 0006 made that run, the end of its lease stands for it.
    """
    reached = func.coalesce(leases.c.last_run_at, leases.c.held_until, type_=leases.c.held_until.type)
    found = await conn.execute(select(reached).where(leases.c.name == name))
    return cast(datetime | None, found.scalar_one_or_none())


async def record_run(conn: Connection, name: str, *, at: datetime) -> None:
    """Store the instant that a run works up to. A new row is a lease that nobody holds."""
    await conn.execute(_RECORD_RUN[conn.dialect.name], {"of": name, "at": at})
