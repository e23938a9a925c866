"""`login_failures`: how often somebody failed to sign in, under names that exist and names that do not.

A row for each name that was tried, as the SHA-256 of the form in which names are compared: people type their
passwords into the wrong field, and what was typed there is nobody's to keep.
"""

from datetime import datetime
from typing import cast

from sqlalchemy import CheckConstraint, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.base import table_of
from db.engine import Connection


class LoginFailures(SQLModel, table=True):
    __tablename__ = "login_failures"
    __table_args__ = (
        CheckConstraint("length(subject) = 32", name="subject"),
        CheckConstraint("failures >= 1", name="failures"),
    )

    subject: bytes = Field(primary_key=True)
    failures: int
    first_failed_at: datetime
    last_failed_at: datetime = Field(index=True)


login_failures = table_of(LoginFailures)

_ONE_MORE = {
    name: dialect_insert(login_failures)
    .values(failures=1, subject=bindparam("of"), first_failed_at=bindparam("at"), last_failed_at=bindparam("at"))
    .on_conflict_do_update(
        index_elements=["subject"],
        set_={"failures": login_failures.c.failures + 1, "last_failed_at": bindparam("at")},
    )
    for name, dialect_insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_FORGET = delete(login_failures).where(login_failures.c.subject == bindparam("of"))


async def count(conn: Connection, subject: bytes, now: datetime) -> None:
    """One more failure in a row."""
    await conn.execute(_ONE_MORE[conn.dialect.name], {"of": subject, "at": now})


async def forget(conn: Connection, subject: bytes) -> None:
    """Somebody signed in: the row of failures ends."""
    await conn.execute(_FORGET, {"of": subject})


async def get(conn: Connection, subject: bytes) -> LoginFailures | None:
    """How often, from when to when; None if nobody failed since the last success."""
    found = await conn.execute(select(login_failures).where(login_failures.c.subject == subject))
    return cast(LoginFailures | None, found.one_or_none())


async def prune(conn: Connection, *, failed_before: datetime, limit: int) -> int:
    """Delete up to `limit` rows whose last failure is older than that instant; returns how many."""
    some = select(login_failures.c.subject).where(login_failures.c.last_failed_at < failed_before).limit(limit)
    return (await conn.execute(delete(login_failures).where(login_failures.c.subject.in_(some)))).rowcount
