"""`login_failures`: how often somebody failed to sign in, under names that exist and names that do not.

A row for each thing that failures are counted under (a name, an address), as a SHA-256: people type their passwords
into the wrong field, and what was typed there is nobody's to keep.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import CheckConstraint, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.base import table_of
from db.engine import Connection


class LoginFailures(SQLModel, table=True):
    __tablename__ = "login_failures"
    __table_args__ = (
        CheckConstraint("length(subject) = 32", name="subject"),
        CheckConstraint("failures >= 0", name="failures"),
    )

    subject: bytes = Field(primary_key=True)
    failures: int
    first_failed_at: datetime
    last_failed_at: datetime = Field(index=True)


login_failures = table_of(LoginFailures)

_IS_IT = login_failures.c.subject == bindparam("of")
# Takes the row, made where there was none, and holds it until the transaction ends: changing nothing is a write too.
_TAKE = {
    name: dialect_insert(login_failures)
    .values(subject=bindparam("of"), failures=0, first_failed_at=bindparam("at"), last_failed_at=bindparam("at"))
    .on_conflict_do_update(index_elements=["subject"], set_={"subject": bindparam("of")})
    .returning(*login_failures.c)
    for name, dialect_insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_SET = (
    update(login_failures)
    .where(_IS_IT)
    .values(failures=bindparam("count"), first_failed_at=bindparam("since"), last_failed_at=bindparam("at"))
)
_ONE_LESS = update(login_failures).where(_IS_IT).values(failures=login_failures.c.failures - 1)
_FORGET = delete(login_failures).where(_IS_IT)
_FORGET_THE_ONLY_ONE = _FORGET.where(login_failures.c.failures <= 1)


async def take(conn: Connection, subject: bytes, now: datetime) -> LoginFailures:
    """The count, held against everybody else until the transaction ends; 0 failures where there were none."""
    return cast(LoginFailures, (await conn.execute(_TAKE[conn.dialect.name], {"of": subject, "at": now})).one())


async def set_count(conn: Connection, subject: bytes, failures: int, *, since: datetime, now: datetime) -> None:
    """Store a count that was taken: how many failures since when, the last of them now."""
    await conn.execute(_SET, {"of": subject, "count": failures, "since": since, "at": now})


async def take_back(conn: Connection, subjects: Sequence[bytes]) -> None:
    """One failure less under each of them: it was none."""
    for subject in subjects:
        if not (await conn.execute(_FORGET_THE_ONLY_ONE, {"of": subject})).rowcount:
            await conn.execute(_ONE_LESS, {"of": subject})


async def forget(conn: Connection, subjects: Sequence[bytes]) -> None:
    """No failures any more under any of them."""
    for subject in subjects:
        await conn.execute(_FORGET, {"of": subject})


async def get(conn: Connection, subject: bytes) -> LoginFailures | None:
    """How often, from when to when; None if nobody failed since the last success."""
    found = await conn.execute(select(login_failures).where(login_failures.c.subject == subject))
    return cast(LoginFailures | None, found.one_or_none())


async def prune(conn: Connection, *, failed_before: datetime, limit: int) -> int:
    """Delete up to `limit` rows whose last failure is older than that instant; returns how many."""
    some = select(login_failures.c.subject).where(login_failures.c.last_failed_at < failed_before).limit(limit)
    return (await conn.execute(delete(login_failures).where(login_failures.c.subject.in_(some)))).rowcount
