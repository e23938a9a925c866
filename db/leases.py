"""`leases`: who does what only one worker at a time shall do. A worker that dies with a lease only lets it run out."""

from datetime import datetime

from sqlalchemy import bindparam, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.base import table_of
from db.engine import Connection


class Lease(SQLModel, table=True):
    __tablename__ = "leases"

    name: str = Field(primary_key=True, max_length=32)
    held_until: datetime


leases = table_of(Lease)

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
    for name, dialect_insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


async def claim(conn: Connection, name: str, *, now: datetime, until: datetime) -> bool:
    """Take the lease until that instant, unless somebody holds it now. Returns whether it was taken."""
    values = {"of": name, "now": now, "until": until, "implausible": until + (until - now)}
    return (await conn.execute(_CLAIM[conn.dialect.name], values)).one_or_none() is not None
