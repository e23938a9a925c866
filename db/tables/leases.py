"""`leases`: which worker holds a task that only one may run, such as pruning. The lease of a dead worker expires."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import table_of


class Lease(SQLModel, table=True):
    __tablename__ = "leases"

    name: str = Field(primary_key=True, max_length=32)
    held_until: datetime
    # The instant that the last run worked up to; None before the first run.
    last_run_at: datetime | None = None


leases = table_of(Lease)


def _claim(insert: Any) -> Any:
    return (
        insert.values(name=bindparam("of"), held_until=bindparam("until"))
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"held_until": bindparam("until")},
            # A lease of the second kind was taken by a clock far ahead: no worker would get it until then.
            where=or_(leases.c.held_until <= bindparam("now"), leases.c.held_until > bindparam("implausible")),
        )
        .returning(leases.c.name)
    )


def _record_run(insert: Any) -> Any:
    return insert.values(
        name=bindparam("of"), held_until=bindparam("at"), last_run_at=bindparam("at")
    ).on_conflict_do_update(index_elements=["name"], set_={"last_run_at": bindparam("at")})


_CLAIM = Compiled(postgresql=_claim(postgresql.insert(leases)), sqlite=_claim(sqlite.insert(leases)))
_RECORD_RUN = Compiled(postgresql=_record_run(postgresql.insert(leases)), sqlite=_record_run(sqlite.insert(leases)))
# A release before migration 0006 stored no run: the end of its lease stands for it.
_LAST_RUN = Compiled(
    select(
        func.coalesce(leases.c.last_run_at, leases.c.held_until, type_=leases.c.held_until.type).label("reached")
    ).where(leases.c.name == bindparam("of"))
)


async def claim(conn: Connection, name: str, *, now: datetime, until: datetime) -> bool:
    """Take the lease until that instant, unless another worker holds it now. Returns whether it was taken."""
    values = {"of": name, "now": now, "until": until, "implausible": until + (until - now)}
    return await _CLAIM.one_or_none(conn, values) is not None


async def last_run_at(conn: Connection, name: str) -> datetime | None:
    """Return the instant that the last run of this work reached; None before the first run."""
    row = await _LAST_RUN.one_or_none(conn, {"of": name})
    return row and row.reached


async def record_run(conn: Connection, name: str, *, at: datetime) -> None:
    """Store the instant that a run works up to. A new row is a lease that no worker holds."""
    await _RECORD_RUN.execute(conn, {"of": name, "at": at})
