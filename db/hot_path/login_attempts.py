"""Guesses at a password: whose it is, and one failure more for the guess, before it is looked at.

On PostgreSQL one statement where nothing stands in its way, which commits by itself. Where something does, a guess that
has no room is refused by what was read, and writes nothing; any other is counted in a transaction.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    LargeBinary,
    and_,
    bindparam,
    case,
    column,
    exists,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from db.engine.compiled import Compiled
from db.engine.database import Connection, Database
from db.tables.base import ASYNC_COMMIT
from db.tables.familiar_networks import familiar_networks
from db.tables.login_failures import SUBJECTS, LoginFailuresRow, login_failures, refund
from db.tables.usernames import usernames
from db.tables.users import ROW_VERSION, UserRow, users

RateLimitRule = tuple[bytes, int, timedelta]  # under what, how many, within how long
Failures = Mapping[bytes, LoginFailuresRow]
Counts = dict[bytes, tuple[int, datetime]]
Decide = Callable[[bytes, Failures], Counts]


@dataclass(frozen=True, slots=True)
class MatchedUser:
    """Whose password is guessed, and whether they have signed in before from where it is guessed."""

    user: UserRow
    is_familiar: bool
    # Of the user's row; None on SQLite.
    version: str | None


@dataclass(frozen=True, slots=True)
class ThrottleKeys:
    """What guesses at a name are counted under: those of strangers, and those from where its owner has signed in."""

    unfamiliar: bytes
    familiar: bytes

    def for_user(self, owner: MatchedUser | None) -> bytes:
        """The one that counts."""
        return self.familiar if owner is not None and owner.is_familiar else self.unfamiliar


_one: Any = literal_column("1")
_number, _instant = login_failures.c.failures.type, login_failures.c.first_failed_at.type
_at = bindparam("at", type_=_instant)
_COLUMNS = [column.name for column in login_failures.c]

_found = (
    select(users, familiar_networks.c.user_id.is_not(None).label("is_familiar"))
    .join(usernames, usernames.c.user_id == users.c.id)
    .outerjoin(
        familiar_networks,
        and_(familiar_networks.c.user_id == users.c.id, familiar_networks.c.network == bindparam("from_network")),
    )
    .where(usernames.c.username_key == bindparam("key"))
)
_versioned = _found.add_columns(ROW_VERSION.label("version"))
_OWNER = {"sqlite": Compiled(_found.add_columns(null().label("version"))), "postgresql": Compiled(_versioned)}


def _counting(insert: Any, last_failed_at: Callable[[Any], Any]) -> Any:
    """One failure more. Returns the rows, but with how many there were before it."""
    counting = insert.on_conflict_do_update(
        index_elements=["subject"],
        set_={
            "failures": login_failures.c.failures + 1,
            "last_failed_at": last_failed_at(insert.excluded.last_failed_at),
        },
    )
    before = (login_failures.c.failures - 1).label("failures")
    return counting.returning(*(before if column.name == "failures" else column for column in login_failures.c))


def _but_of_the_name(now: Any) -> Any:
    # How long the name waits is told by its failure before this one.
    return case((login_failures.c.subject == bindparam("name"), login_failures.c.last_failed_at), else_=now)


_COUNT_ON_SQLITE = Compiled(
    _counting(
        sqlite.insert(login_failures).values(
            subject=bindparam("of"), failures=1, first_failed_at=_at, last_failed_at=_at
        ),
        _but_of_the_name,
    )
)
_SET_ON_SQLITE = Compiled(
    update(login_failures)
    .where(login_failures.c.subject == bindparam("of"))
    .values(failures=bindparam("count"), first_failed_at=bindparam("since"), last_failed_at=_at)
)


def _given(number: str) -> Any:
    """What is given for each of several subjects: a number and an instant."""
    kinds = {"subject": login_failures.c.subject.type, number: _number, "since": _instant}
    given = [SUBJECTS, *(bindparam(name, type_=ARRAY(kind)) for name, kind in kinds.items() if name != "subject")]
    return func.unnest(*given).table_valued(*(column(name, kind) for name, kind in kinds.items())).render_derived()


_counted_anew = postgresql.insert(login_failures).from_select
_COUNT = Compiled(_counting(_counted_anew(_COLUMNS, select(func.unnest(SUBJECTS), _one, _at, _at)), _but_of_the_name))
_counts = _given("counts")
_SET = Compiled(
    update(login_failures)
    .where(login_failures.c.subject == _counts.c.subject)
    .values(failures=_counts.c.counts, first_failed_at=_counts.c.since, last_failed_at=_at)
)

# At once: where the name has not failed before, and no address is at its limit or in a window that is over.
_owner = _versioned.cte("owner")
_of_strangers, _of_owner = (bindparam(name, type_=LargeBinary()) for name in ("of_strangers", "of_owner"))
_name = case((exists(select(_one).select_from(_owner).where(_owner.c.is_familiar)), _of_owner), else_=_of_strangers)
_quotas = _given("most")
_rooms = union_all(select(*_quotas.c), select(_name, _one, _at)).cte("rooms")
_before = (
    select(login_failures, _rooms.c.most, _rooms.c.since)
    .join_from(_rooms, login_failures, login_failures.c.subject == _rooms.c.subject)
    .cte("before")
)
_is_in_the_way = or_(_before.c.failures >= _before.c.most, _before.c.first_failed_at <= _before.c.since)
_at_once = _counting(
    _counted_anew(
        _COLUMNS,
        select(_rooms.c.subject, _one, _at, _at)
        .where(~exists(select(_one).select_from(_before).where(_is_in_the_way)))
        .order_by(_rooms.c.subject),
    ),
    lambda now: now,
).cte("at_once")
_failures = union_all(
    select(*_at_once.c, true().label("is_counted")),
    select(*(_before.c[name] for name in _COLUMNS), false()).where(~exists(select(_one).select_from(_at_once))),
).subquery()
_COUNT_AT_ONCE = Compiled(
    select(*_failures.c, *_owner.c, ASYNC_COMMIT.label("without_waiting")).select_from(
        _failures.outerjoin(_owner, true())
    )
)


async def match_user(db: Database, username_key: str, network: bytes) -> MatchedUser | None:
    """Who has that name, None where nobody has, and whether they have signed in from that network."""
    async with db.read() as conn:
        values = {"key": username_key, "from_network": network}
        return _owner_in(await _OWNER[conn.dialect.name].one_or_none(conn, values))


def _owner_in(row: Any) -> MatchedUser | None:
    return (
        None if row is None or row.id is None else MatchedUser(cast(UserRow, row), bool(row.is_familiar), row.version)
    )


async def record_attempt(
    db: Database,
    username_key: str,
    network: bytes,
    keys: ThrottleKeys,
    rules: Sequence[RateLimitRule],
    now: datetime,
    decide: Decide,
) -> tuple[MatchedUser | None, Counts]:
    """Count one failure more under the name and under the subject of each quota, if `judge` lets it be.

    It is told the subject of the name and what was counted before, and says what is to be stored: how many failures
    since when, the last of them now. It raises where there is no room, which is raised again, and nothing is counted;
    only where several came at once, and the database goes away before one that was too much is taken back, it may be.
    """
    if db.writer is not None:
        found = await match_user(db, username_key, network)
        name = keys.for_user(found)
        # In one order always, or two guesses could wait for each other for ever.
        subjects = sorted([*(quota[0] for quota in rules), name])
        return found, await db.write(partial(_count_on_sqlite, subjects, name, now, decide))
    addresses, most, windows = zip(*rules, strict=True)
    values = {
        "key": username_key,
        "from_network": network,
        "of_strangers": keys.unfamiliar,
        "of_owner": keys.familiar,
        "subjects": addresses,
        "most": most,
        "since": [now - window for window in windows],
        "at": now,
    }
    async with db.autocommit(may_block=True) as conn:
        rows = await _COUNT_AT_ONCE.all(conn, values)
    found = _owner_in(rows[0])
    name, is_counted = keys.for_user(found), rows[0].is_counted
    subjects = sorted([*addresses, name])
    try:
        counts = decide(name, {row.subject: row for row in rows})
    except Exception:
        if is_counted:  # at once with others, and there was no room for all of them
            async with db.autocommit(may_block=True) as conn:
                await refund(conn, subjects)
        raise
    if not is_counted:
        async with db.transaction() as conn:
            counts = await _count_on_postgresql(conn, subjects, name, now, decide)
    return found, counts


def _count_on_sqlite(
    subjects: Sequence[bytes], name: bytes, now: datetime, judge: Decide, connection: sqlite3.Connection
) -> Counts:
    each = [{"of": subject, "name": name, "at": now} for subject in subjects]
    before = [_COUNT_ON_SQLITE.on_sqlite.one(connection, values) for values in each]
    counts = judge(name, {row.subject: row for row in before})
    for of, (count, since) in _others(before, counts, now).items():
        _SET_ON_SQLITE.on_sqlite.one_or_none(connection, {"of": of, "count": count, "since": since, "at": now})
    return counts


async def _count_on_postgresql(
    conn: Connection, subjects: Sequence[bytes], name: bytes, now: datetime, judge: Decide
) -> Counts:
    before = await _COUNT.all(conn, {"subjects": subjects, "name": name, "at": now})
    counts = judge(name, {row.subject: row for row in before})
    if others := _others(before, counts, now):
        failures, since = zip(*others.values(), strict=True)
        await _SET.all(conn, {"subjects": list(others), "counts": failures, "since": since, "at": now})
    return counts


def _others(before: Sequence[LoginFailuresRow], counts: Counts, now: datetime) -> Counts:
    """Where a window is over, or the name has failed before, what was counted is not all of it."""
    stored = {row.subject: (row.failures + 1, row.first_failed_at, row.last_failed_at) for row in before}
    return {subject: count for subject, count in counts.items() if stored[subject] != (*count, now)}
