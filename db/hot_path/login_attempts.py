"""Login attempts: find the user, and count the attempt as a failure before the password is checked (decision 8).

The caller decides, by the counts that were read, whether an attempt is allowed (decision 28). A refused attempt writes
nothing. On PostgreSQL the read and the write are one statement each, without a transaction: the write returns what it
stored, so attempts that other workers counted between the two are seen, and the caller decides again.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Integer, LargeBinary, and_, bindparam, column, func, literal_column, select, true
from sqlalchemy.dialects import postgresql, sqlite

from db.drivers.connection import Dialect
from db.engine.compiled import Compiled
from db.engine.database import Database
from db.tables.base import ASYNC_COMMIT
from db.tables.familiar_networks import familiar_networks
from db.tables.login_failures import login_failures, refund
from db.tables.usernames import usernames
from db.tables.users import UserRow, users


class FailureCount(NamedTuple):
    """The failures counted under one key."""

    failures: int
    first_failed_at: datetime
    last_failed_at: datetime


# By key. A key without failures is missing.
Counts = Mapping[bytes, FailureCount]
# Called with the key of the name and the counts before the attempt. Returns the counts to store, or how long the client
# must wait where the attempt is refused.
Decide = Callable[[bytes, Counts], Counts | timedelta]


@dataclass(frozen=True, slots=True)
class MatchedUser:
    """The user whose name an attempt gives, and whether they have signed in from its network before."""

    user: UserRow
    is_familiar: bool


@dataclass(frozen=True, slots=True)
class ThrottleKeys:
    """The keys that an attempt is counted under: one of the two for its name, and all of those for its address."""

    unfamiliar: bytes
    familiar: bytes
    addresses: tuple[bytes, ...]

    def name_digest(self, matched: MatchedUser | None) -> bytes:
        """Attempts from a network that the user has signed in from have a count of their own."""
        return self.familiar if matched is not None and matched.is_familiar else self.unfamiliar


_INSTANT = login_failures.c.first_failed_at.type
_match = (
    select(users, familiar_networks.c.user_id.is_not(None).label("is_familiar"))
    .join(usernames, usernames.c.user_id == users.c.id)
    .outerjoin(
        familiar_networks,
        and_(familiar_networks.c.user_id == users.c.id, familiar_networks.c.network == bindparam("from_network")),
    )
    .where(usernames.c.username_key == bindparam("username_key"))
)
_MATCH = Compiled(_match)


def _unnest(**types: Any) -> Any:
    """PostgreSQL: a table of arrays that are given by name, one for each column."""
    arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()]
    return func.unnest(*arrays).table_valued(*(column(name, kind) for name, kind in types.items())).render_derived()


_keys, _user = _unnest(key=LargeBinary()), _match.subquery()
_READ = Compiled(
    select(
        _keys.c.key,
        login_failures.c.failures,
        login_failures.c.first_failed_at,
        login_failures.c.last_failed_at,
        *_user.c,
    ).select_from(_keys.outerjoin(login_failures, login_failures.c.subject == _keys.c.key).outerjoin(_user, true()))
)

_decided = select(
    _unnest(
        key=LargeBinary(),
        failures=Integer(),
        first_failed_at=_INSTANT,
        read_failures=Integer(),
        read_first_failed_at=_INSTANT,
    )
).cte("decided")


def _decided_or(name: str, otherwise: Any) -> Any:
    """What was decided, if the row is still as it was read."""
    # As text: SQLAlchemy takes a column for one more table to select from.
    decided = select(_decided.c[name]).where(
        _decided.c.key == literal_column("login_failures.subject"),
        _decided.c.read_failures == literal_column("login_failures.failures"),
        _decided.c.read_first_failed_at == literal_column("login_failures.first_failed_at"),
    )
    return func.coalesce(decided.scalar_subquery(), otherwise)


_COLUMNS = [column.name for column in login_failures.c]
_at = bindparam("at", type_=_INSTANT)
_first: Any = select(_decided.c.key, literal_column("1"), _at, _at)
# A row that has changed since it was read has one failure more, so no attempt is lost. Rows are taken in the order of
# their keys, as everywhere, or two attempts could deadlock.
_STORE = Compiled(
    postgresql.insert(login_failures)
    .from_select(_COLUMNS, _first.order_by(_decided.c.key))
    .on_conflict_do_update(
        index_elements=["subject"],
        set_={
            "failures": _decided_or("failures", login_failures.c.failures + 1),
            "first_failed_at": _decided_or("first_failed_at", login_failures.c.first_failed_at),
            "last_failed_at": _at,
        },
    )
    # No answer depends on this commit, so it need not wait for the disk.
    .returning(*login_failures.c, ASYNC_COMMIT.label("async_commit"))
)

_READ_ON_SQLITE = Compiled(select(login_failures).where(login_failures.c.subject == bindparam("key")))
_insert: Any = sqlite.insert(login_failures)
_STORE_ON_SQLITE = Compiled(
    _insert.on_conflict_do_update(
        index_elements=["subject"], set_={name: _insert.excluded[name] for name in FailureCount._fields}
    )
)


async def match_user(db: Database, username_key: str, network: bytes) -> MatchedUser | None:
    """Return the user of that name, and whether they have signed in from that network; None if the name is unknown."""
    async with db.read() as conn:
        return _matched(await _MATCH.one_or_none(conn, {"username_key": username_key, "from_network": network}))


async def record_attempt(
    db: Database, username_key: str, network: bytes, keys: ThrottleKeys, now: datetime, decide: Decide
) -> tuple[MatchedUser | None, Counts | timedelta]:
    """Count an attempt under the keys of its name and address, unless `decide` refuses it.

    Returns the user, and the counts with this attempt or how long to wait. Many attempts at once never get more than
    `decide` allows one after the other. An attempt that was refused for those beside it is counted until its refund:
    for good if the database fails in between.
    """
    values = {"username_key": username_key, "from_network": network}
    if db.dialect is Dialect.sqlite:
        return await db.write(partial(_record_on_sqlite, values, keys, decide))
    async with db.read() as conn:
        rows = await _READ.all(conn, values | {"key": [keys.unfamiliar, keys.familiar, *keys.addresses]})
    matched = _matched(rows[0])
    name_key = keys.name_digest(matched)
    before = {row.key: _count(row) for row in rows if row.failures is not None}
    counts = decide(name_key, before)
    if isinstance(counts, timedelta):
        return matched, counts
    stored = await _store(db, before, counts, now)
    if stored == counts:
        return matched, counts
    # Other attempts were counted between the read and the write: decide by what they left.
    changed = {key: count for key, count in stored.items() if count != counts[key]}
    before |= {key: count._replace(failures=count.failures - 1) for key, count in changed.items()}
    counts = decide(name_key, before)
    if isinstance(counts, timedelta):
        async with db.autocommit(may_block=True) as conn:
            await refund(conn, [*stored])
    return matched, counts


async def _store(db: Database, before: Counts, counts: Counts, now: datetime) -> dict[bytes, FailureCount]:
    """PostgreSQL: store what was decided by the counts `before`, or one failure more where they have changed."""
    failures, first_failed_at, _ = zip(*counts.values(), strict=True)
    read = [before.get(key) for key in counts]
    values = {
        "key": [*counts],
        "failures": failures,
        "first_failed_at": first_failed_at,
        "read_failures": [count and count.failures for count in read],
        "read_first_failed_at": [count and count.first_failed_at for count in read],
        "at": now,
    }
    async with db.autocommit(may_block=True) as conn:
        return {row.subject: _count(row) for row in await _STORE.all(conn, values)}


def _record_on_sqlite(
    values: dict[str, Any], keys: ThrottleKeys, decide: Decide, connection: sqlite3.Connection
) -> tuple[MatchedUser | None, Counts | timedelta]:
    """SQLite: the same in one transaction, beside which no other one writes."""
    matched = _matched(_MATCH.on_sqlite.one_or_none(connection, values))
    name_key = keys.name_digest(matched)
    rows = [_READ_ON_SQLITE.on_sqlite.one_or_none(connection, {"key": key}) for key in (name_key, *keys.addresses)]
    counts = decide(name_key, {row.subject: _count(row) for row in rows if row is not None})
    if not isinstance(counts, timedelta):
        for key, count in counts.items():
            _STORE_ON_SQLITE.on_sqlite.all(connection, {"subject": key, **count._asdict()})
    return matched, counts


def _matched(row: Any) -> MatchedUser | None:
    if row is None or row.id is None:
        return None
    return MatchedUser(UserRow(*(getattr(row, name) for name in UserRow._fields)), bool(row.is_familiar))


def _count(row: Any) -> FailureCount:
    return FailureCount(row.failures, row.first_failed_at, row.last_failed_at)
