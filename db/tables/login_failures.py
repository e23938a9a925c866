"""`login_failures`: how many sign-ins failed, by name and by address, for names that exist and names that do not.

The key of a row (`subject`) is the SHA-256 of what is counted: users type passwords into the field for the name, and
those must not be stored.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, CheckConstraint, any_, bindparam, case, delete, literal_column, select, update
from sqlmodel import Field, SQLModel

from db.drivers.connection import Dialect
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

KEYS = bindparam("subjects", type_=ARRAY(login_failures.c.subject.type))
_IS_KEY = login_failures.c.subject == bindparam("key")
_DECREMENT = Compiled(
    update(login_failures).where(_IS_KEY, login_failures.c.failures > 0).values(failures=login_failures.c.failures - 1)
)
_DELETE_IF_ZERO = Compiled(delete(login_failures).where(_IS_KEY, login_failures.c.failures <= 0))
_DELETE = Compiled(delete(login_failures).where(_IS_KEY))
_GET = Compiled(select(login_failures).where(_IS_KEY), LoginFailuresRow)
_PRUNE = Compiled(delete_some(login_failures, login_failures.c.last_failed_at < bindparam("failed_before")))
_one: Any = literal_column("1")


def refund_statement(*conditions: Any) -> tuple[Any, Any]:
    """Return the two CTEs of a PostgreSQL statement that refund an attempt, if all the conditions are true.

    Rows are locked in the order of their keys, or two statements could deadlock.
    """
    locked = (
        select(login_failures.c.subject, login_failures.c.failures)
        .where(login_failures.c.subject == any_(KEYS), *conditions)
        .order_by(login_failures.c.subject)
        .with_for_update(of=login_failures)
        .cte("locked")
    )
    is_deleted = locked.c.subject == bindparam("deleted", type_=login_failures.c.subject.type)
    left = case((is_deleted, 0), else_=locked.c.failures - 1)
    is_locked = login_failures.c.subject == locked.c.subject
    return (
        delete(login_failures).where(is_locked, left <= 0).returning(_one).cte("deleted"),
        update(login_failures).where(is_locked, left > 0).values(failures=left).returning(_one).cte("refunded"),
    )


_REFUND = Compiled(select(_one.label("one")).add_cte(*refund_statement()))


async def refund(conn: Connection, keys: Sequence[bytes], *, deleted: bytes | None = None) -> None:
    """Count one failure less under each key, and none any more under the key `deleted`."""
    if conn.dialect is Dialect.postgresql:
        await _REFUND.all(conn, refund_values(keys, deleted))
    else:
        for statement, values in refund_on_sqlite(keys, deleted):
            await statement.all(conn, values)


def refund_values(keys: Sequence[bytes], deleted: bytes | None) -> dict[str, Any]:
    """Return the values that `refund_statement` needs."""
    return {"subjects": [*keys, deleted] if deleted else keys, "deleted": deleted}


def refund_on_sqlite(keys: Sequence[bytes], deleted: bytes | None) -> Iterator[tuple[Compiled[Any], dict[str, Any]]]:
    """Yield the statements that refund an attempt on SQLite, with their values."""
    for key in keys:
        yield _DECREMENT, {"key": key}
        yield _DELETE_IF_ZERO, {"key": key}
    if deleted is not None:
        yield _DELETE, {"key": deleted}


async def delete_keys(conn: Connection, keys: Sequence[bytes]) -> None:
    """Forget every failure under these keys. Rows are locked in the order of their keys."""
    for key in sorted(keys):
        await _DELETE.all(conn, {"key": key})


async def get(conn: Connection, key: bytes) -> LoginFailuresRow | None:
    """Return the failures under a key since the last success; None if there are none."""
    return await _GET.one_or_none(conn, {"key": key})


async def prune(conn: Connection, *, failed_before: datetime, limit: int) -> int:
    """Delete up to `limit` rows whose last failure is older than that instant. Return how many."""
    return await _PRUNE.execute(conn, {"failed_before": failed_before, "limit": limit})
