"""`login_failures`: how often somebody failed to sign in, under names that exist and names that do not.

A row for each thing that failures are counted under (a name, an address), as a SHA-256: people type their passwords
into the wrong field, and what was typed there is nobody's to keep.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, CheckConstraint, any_, bindparam, case, delete, literal_column, select, update
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import delete_some, table_of


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


class LoginFailuresRow(NamedTuple):
    """A row of `login_failures`."""

    subject: bytes
    failures: int
    first_failed_at: datetime
    last_failed_at: datetime


login_failures = table_of(LoginFailures)

_SUBJECT = login_failures.c.subject.type
SUBJECTS = bindparam("subjects", type_=ARRAY(_SUBJECT))
_BY_KEY = login_failures.c.subject == bindparam("of")
_ONE_LESS = Compiled(
    update(login_failures).where(_BY_KEY, login_failures.c.failures > 0).values(failures=login_failures.c.failures - 1)
)
_FORGET_IF_NONE = Compiled(delete(login_failures).where(_BY_KEY, login_failures.c.failures <= 0))
_FORGET = Compiled(delete(login_failures).where(_BY_KEY))
_GET = Compiled(select(login_failures).where(_BY_KEY), LoginFailuresRow)
_PRUNE = Compiled(delete_some(login_failures, login_failures.c.last_failed_at < bindparam("failed_before")))
_one: Any = literal_column("1")


def refund_statement(*conditions: Any) -> tuple[Any, Any]:
    """PostgreSQL: what rides along in a statement that takes a guess back, if all the conditions are true."""
    held = (
        select(login_failures.c.subject, login_failures.c.failures)
        .where(login_failures.c.subject == any_(SUBJECTS), *conditions)
        .order_by(login_failures.c.subject)
        .with_for_update(of=login_failures)
        .cte("held")
    )
    left = case((held.c.subject == bindparam("forgotten", type_=_SUBJECT), 0), else_=held.c.failures - 1)
    is_held = login_failures.c.subject == held.c.subject
    return (
        delete(login_failures).where(is_held, left <= 0).returning(_one).cte("ended"),
        update(login_failures).where(is_held, left > 0).values(failures=left).returning(_one).cte("less"),
    )


_REFUND = Compiled(select(_one.label("one")).add_cte(*refund_statement()))


async def refund(conn: Connection, subjects: Sequence[bytes], *, deleted: bytes | None = None) -> None:
    """One failure less under each of them: it was none. And no failures any more under the one that is forgotten."""
    if conn.dialect.name == "postgresql":
        await _REFUND.all(conn, refund_values(subjects, deleted))
    else:
        for statement, values in refund_on_sqlite(subjects, deleted):
            await statement.all(conn, values)


def refund_values(subjects: Sequence[bytes], forgotten: bytes | None) -> dict[str, Any]:
    """What `taken_back` needs by name."""
    return {"subjects": [*subjects, forgotten] if forgotten else subjects, "forgotten": forgotten}


def refund_on_sqlite(
    subjects: Sequence[bytes], forgotten: bytes | None
) -> Iterator[tuple[Compiled[Any], dict[str, Any]]]:
    """SQLite: the statements that take a guess back, with their values."""
    for subject in subjects:
        yield _ONE_LESS, {"of": subject}
        yield _FORGET_IF_NONE, {"of": subject}
    if forgotten is not None:
        yield _FORGET, {"of": forgotten}


async def delete_keys(conn: Connection, subjects: Sequence[bytes]) -> None:
    """No failures any more under any of them."""
    for subject in sorted(subjects):
        await _FORGET.all(conn, {"of": subject})


async def get(conn: Connection, subject: bytes) -> LoginFailuresRow | None:
    """How often, from when to when; None if nobody failed since the last success."""
    return await _GET.one_or_none(conn, {"of": subject})


async def prune(conn: Connection, *, failed_before: datetime, limit: int) -> int:
    """Delete up to `limit` rows whose last failure is older than that instant; returns how many."""
    return await _PRUNE.execute(conn, {"failed_before": failed_before, "limit": limit})
