"""`login_failures`: how often somebody failed to sign in, under names that exist and names that do not.

A row for each thing that failures are counted under (a name, an address), as a SHA-256: people type their passwords
into the wrong field, and what was typed there is nobody's to keep.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    any_,
    bindparam,
    case,
    column,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.base import table_of
from db.compiled import Compiled
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
_SUBJECT, _NUMBER, _INSTANT = (login_failures.c[name].type for name in ("subject", "failures", "first_failed_at"))


def _counting(insert: Any) -> Any:
    new = insert.excluded
    counting = insert.on_conflict_do_update(
        index_elements=["subject"],
        set_={
            "failures": login_failures.c.failures + 1,
            "last_failed_at": case(
                (login_failures.c.subject == bindparam("name"), login_failures.c.last_failed_at),
                else_=new.last_failed_at,
            ),
        },
    )
    return counting.returning(*login_failures.c)


_COUNT_ON_SQLITE = Compiled(
    _counting(
        sqlite.insert(login_failures).values(
            subject=bindparam("of"), failures=1, first_failed_at=bindparam("at"), last_failed_at=bindparam("at")
        )
    )
)
_SET_ON_SQLITE = Compiled(
    update(login_failures)
    .where(_IS_IT)
    .values(failures=bindparam("count"), first_failed_at=bindparam("since"), last_failed_at=bindparam("at"))
)
_ONE_LESS = Compiled(update(login_failures).where(_IS_IT).values(failures=login_failures.c.failures - 1))
_FORGET = Compiled(delete(login_failures).where(_IS_IT))
_FORGET_THE_ONLY_ONE = Compiled(
    delete(login_failures).where(_IS_IT, login_failures.c.failures <= 1).returning(login_failures.c.subject)
)

# PostgreSQL: of all subjects in one statement, in the order in which they are given.
_at = bindparam("at", type_=_INSTANT)
_COUNT = Compiled(
    _counting(
        postgresql.insert(login_failures).from_select(
            [column.name for column in login_failures.c],
            select(func.unnest(bindparam("subjects", type_=ARRAY(_SUBJECT))), literal_column("1"), _at, _at),
        )
    )
)
_counted = (
    func.unnest(
        bindparam("subjects", type_=ARRAY(_SUBJECT)),
        bindparam("counts", type_=ARRAY(_NUMBER)),
        bindparam("since", type_=ARRAY(_INSTANT)),
    )
    .table_valued(column("subject", _SUBJECT), column("failures", _NUMBER), column("since", _INSTANT))
    .render_derived(name="counted")
)
_SET = Compiled(
    update(login_failures)
    .where(login_failures.c.subject == _counted.c.subject)
    .values(failures=_counted.c.failures, first_failed_at=_counted.c.since, last_failed_at=_at)
)
_held = (
    select(login_failures.c.subject, login_failures.c.failures)
    .where(login_failures.c.subject == any_(bindparam("subjects", type_=ARRAY(_SUBJECT))))
    .order_by(login_failures.c.subject)
    .with_for_update()
    .cte("held")
)
_left = case((_held.c.subject == bindparam("forgotten", type_=_SUBJECT), 0), else_=_held.c.failures - 1)
_is_held = login_failures.c.subject == _held.c.subject
# What rides along in the statement of a sign-in.
TAKEN_BACK = (
    delete(login_failures).where(_is_held, _left <= 0).returning(literal_column("1")).cte("ended"),
    update(login_failures).where(_is_held, _left > 0).values(failures=_left).returning(literal_column("1")).cte("less"),
)
_TAKE_BACK = Compiled(select(literal_column("1").label("one")).add_cte(*TAKEN_BACK))


async def count(conn: Connection, subjects: Sequence[bytes], name: bytes, now: datetime) -> dict[bytes, LoginFailures]:
    """One failure more under each subject and the name, each held against everybody else until the transaction ends.

    Returns the counts, this one included. That of the name still has the instant of the failure before this one.
    """
    # In one order always, or two guesses could wait for each other for ever.
    in_order = sorted([*subjects, name])
    if conn.dialect.name == "postgresql":
        rows = await _COUNT.all(conn, {"subjects": in_order, "name": name, "at": now})
    else:
        given = [{"of": subject, "name": name, "at": now} for subject in in_order]
        rows = [await _COUNT_ON_SQLITE.one_or_none(conn, one) for one in given]
    return {row.subject: cast(LoginFailures, row) for row in rows}


async def set_counts(conn: Connection, counts: Mapping[bytes, tuple[int, datetime]], now: datetime) -> None:
    """Store counts of subjects that are held: how many failures since when, the last of them now."""
    if conn.dialect.name == "postgresql":
        failures, since = zip(*counts.values(), strict=True)
        await _SET.all(conn, {"subjects": list(counts), "counts": failures, "since": since, "at": now})
    else:
        for of, (count, first) in counts.items():
            await _SET_ON_SQLITE.all(conn, {"of": of, "count": count, "since": first, "at": now})


async def take_back(conn: Connection, subjects: Sequence[bytes], *, forgotten: bytes | None = None) -> None:
    """One failure less under each of them: it was none. And no failures any more under the one that is forgotten."""
    if conn.dialect.name == "postgresql":
        await _TAKE_BACK.all(conn, taken_back(subjects, forgotten))
        return
    for subject in subjects:
        if not await _FORGET_THE_ONLY_ONE.all(conn, {"of": subject}):
            await _ONE_LESS.all(conn, {"of": subject})
    if forgotten is not None:
        await forget(conn, [forgotten])


def taken_back(subjects: Sequence[bytes], forgotten: bytes | None) -> dict[str, Any]:
    """What `TAKEN_BACK` needs by name."""
    return {"subjects": [*subjects, forgotten] if forgotten else subjects, "forgotten": forgotten}


async def forget(conn: Connection, subjects: Sequence[bytes]) -> None:
    """No failures any more under any of them."""
    for subject in sorted(subjects):
        await _FORGET.all(conn, {"of": subject})


async def get(conn: Connection, subject: bytes) -> LoginFailures | None:
    """How often, from when to when; None if nobody failed since the last success."""
    found = await conn.execute(select(login_failures).where(login_failures.c.subject == subject))
    return cast(LoginFailures | None, found.one_or_none())


async def prune(conn: Connection, *, failed_before: datetime, limit: int) -> int:
    """Delete up to `limit` rows whose last failure is older than that instant; returns how many."""
    some = select(login_failures.c.subject).where(login_failures.c.last_failed_at < failed_before).limit(limit)
    return (await conn.execute(delete(login_failures).where(login_failures.c.subject.in_(some)))).rowcount
