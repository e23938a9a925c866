"""Sweeps over `token_families`: which of many families a limit or an operator ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, case, func, literal, or_, select, tuple_, update

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import RevocationReason, SessionState
from db.tables.families import families, in_state

_KEY = (families.c.user_id, families.c.id)
# A last use more than this after `now` was written by a clock that was ahead.
_CLOCKS_DIFFER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class FamilyKey:
    """The primary key of a family."""

    user_id: UUID
    id: UUID


_IS_LIVE = and_(
    families.c.user_id == bindparam("of_user"),
    in_state(SessionState.ACTIVE, bindparam("now", type_=families.c.last_used_at.type)),
)
# How many live families the user has.
LIVE = select(func.count().label("live")).select_from(families).where(_IS_LIVE)
# The user's live families but those that were used last, used last first.
OVER_LIMIT = (
    select(families.c.id)
    .where(_IS_LIVE)
    .order_by(families.c.last_used_at.desc(), families.c.id.desc())
    .offset(bindparam("keep", type_=BigInteger()))
)
_OVER_LIMIT = Compiled(OVER_LIMIT)
COUNT_LIVE = Compiled(LIVE)


async def over_limit(conn: Connection, user_id: UUID, *, keep: int, now: datetime) -> Sequence[UUID]:
    """The user's live families but the `keep` that were used last, used last first.

    The caller holds the user's row, so that sign-ins at the same time count each other's families. All of a user's
    rows lie together under the primary key: one index range, and a sort of no more than the limit lets live.
    """
    return [row.id for row in await _OVER_LIMIT.all(conn, {"of_user": user_id, "now": now, "keep": keep})]


async def issued_before(
    conn: Connection, instant: datetime, *, of_user: UUID | None, after: FamilyKey | None, limit: int, now: datetime
) -> Sequence[FamilyKey]:
    """The next `limit` families from behind `after`, by their keys, that are not revoked and whose current refresh
    token is older.

    A rotation moves `last_used_at`, so that is when the current token was issued. One that was issued after `now` was
    so by a clock that was ahead, and counts as older: nothing tells when it was.
    """
    some = select(*_KEY).where(*_older_than(instant, now)).order_by(*_KEY).limit(limit)
    if of_user is not None:
        some = some.where(families.c.user_id == of_user)
    if after is not None:
        some = some.where(tuple_(*_KEY) > tuple_(*map(literal, (after.user_id, after.id))))
    return [FamilyKey(*key) for key in (await conn.execute(some)).all()]


async def revoke_issued_before(
    conn: Connection, instant: datetime, keys: Sequence[FamilyKey], *, now: datetime, reason: RevocationReason
) -> Sequence[FamilyKey]:
    """Revoke those of these families that still are what `issued_before` looked for. Returns those that were live."""
    chosen = tuple_(*_KEY).in_([(key.user_id, key.id) for key in keys])
    ended = update(families).where(chosen, *_older_than(instant, now)).values(revoked_at=now, revocation_reason=reason)
    rows = (await conn.execute(ended.returning(*_KEY, families.c.expires_at))).all()
    return [FamilyKey(row.user_id, row.id) for row in rows if row.expires_at > now]


def _older_than(instant: datetime, now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    # As in `families.revoke`, whether a family has expired does not matter: this machine's clock may be ahead.
    used = families.c.last_used_at
    return families.c.revoked_at.is_(None), or_(used < instant, used > now + _CLOCKS_DIFFER)


def _opened_after(instant: datetime, limit: timedelta) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    # The first one is for the index.
    return families.c.absolute_expires_at > instant + limit, families.c.created_at > instant


async def count_opened_after(conn: Connection, instant: datetime, *, limit: timedelta) -> int:
    """How many families were opened after that instant, and end later than `limit` from it."""
    opened = select(func.count()).select_from(families).where(*_opened_after(instant, limit))
    return int((await conn.execute(opened)).scalar_one())


async def opened_after(conn: Connection, instant: datetime, *, limit: timedelta, most: int) -> Sequence[FamilyKey]:
    """Up to `most` of these families, by their keys."""
    some = select(*_KEY).where(*_opened_after(instant, limit)).limit(most)
    return [FamilyKey(*key) for key in (await conn.execute(some)).all()]


async def shorten(
    conn: Connection, now: datetime, keys: Sequence[FamilyKey], *, after: datetime, limit: timedelta
) -> int:
    """Let those of these families that were opened after `after` be opened at `now`, and last no longer than `limit`.

    The caller holds their users. Returns how many.
    """
    chosen = tuple_(*_KEY).in_([(key.user_id, key.id) for key in keys])
    used, end = families.c.last_used_at, families.c.expires_at
    opened = update(families).where(chosen, *_opened_after(after, limit))
    values = {
        "created_at": now,
        "last_used_at": case((used > now, literal(now, used.type)), else_=used),
        "expires_at": case((end > now + limit, literal(now + limit, end.type)), else_=end),
        "absolute_expires_at": now + limit,
    }
    return (await conn.execute(opened.values(values))).rowcount
