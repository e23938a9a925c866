"""`token_families`: one row for each sign-in, and the row that a rotation changes by one UPDATE.

No index may name a column that a rotation changes (token_digest, generation, last_used_at, expires_at, ip,
rate_limit_tat): on PostgreSQL any such index ends HOT updates, and every rotation would then write to every index.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    Uuid,
    and_,
    bindparam,
    case,
    column,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.engine.parameters import ListOf, ListValues, in_list
from db.tables.base import (
    HOT_FILLFACTOR,
    IP_LENGTH,
    USER_AGENT_LENGTH,
    WITHOUT_ROWID,
    RevocationReason,
    SessionState,
    check_in,
    defaults_of,
    delete_some,
    table_of,
)

DEVICE_NAME_LENGTH = 100


class TokenFamily(SQLModel, table=True):
    __tablename__ = "token_families"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"]),
        CheckConstraint("length(token_digest) = 32", name="token_digest"),
        CheckConstraint("generation >= 1", name="generation"),
        CheckConstraint("expires_at <= absolute_expires_at", name="expires_at"),
        CheckConstraint("(revoked_at IS NULL) = (revocation_reason IS NULL)", name="revoked_at"),
        check_in("revocation_reason", RevocationReason),
        # For pruning. Neither column changes when a family rotates, so rotations stay HOT.
        Index("ix_token_families_absolute_expires_at", "absolute_expires_at"),
        Index("ix_token_families_revoked_at", "revoked_at"),
        HOT_FILLFACTOR | WITHOUT_ROWID,
    )

    user_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    token_digest: bytes
    generation: int
    device_name: str | None = Field(default=None, max_length=DEVICE_NAME_LENGTH)
    user_agent: str | None = Field(default=None, max_length=USER_AGENT_LENGTH)
    ip: str | None = Field(default=None, max_length=IP_LENGTH)
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    absolute_expires_at: datetime
    revoked_at: datetime | None = None
    revocation_reason: str | None = Field(default=None, max_length=32)
    # In Unix seconds, for `RateLimit`: there is no arithmetic on datetimes that both databases have.
    rate_limit_tat: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


class FamilyRow(NamedTuple):
    """A row of `token_families`."""

    user_id: UUID
    id: UUID
    token_digest: bytes
    generation: int
    device_name: str | None
    user_agent: str | None
    ip: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    absolute_expires_at: datetime
    revoked_at: datetime | None
    revocation_reason: str | None
    rate_limit_tat: int


class FamilyKey(NamedTuple):
    """The primary key of a family."""

    user_id: UUID
    id: UUID


families = table_of(TokenFamily)

DEFAULTS = defaults_of(TokenFamily)


def in_state(state: SessionState, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return the condition that a family is in the state.

    (`expires_at` is never past the absolute limit, so it stands for both.) A revocation reaches families that look
    expired too, as the clock may be ahead. Those stay expired.
    """
    match state:
        case SessionState.ACTIVE:
            return and_(families.c.revoked_at.is_(None), families.c.expires_at > now)
        case SessionState.EXPIRED:
            has_expired = and_(families.c.revoked_at.is_(None), families.c.expires_at <= now)
            return or_(has_expired, families.c.revoked_at >= families.c.expires_at)
        case SessionState.REVOKED:
            return families.c.revoked_at < families.c.expires_at


def state_of(family: FamilyRow, now: datetime) -> SessionState:
    """Return the state of a family, by the same rules as `in_state`."""
    if family.revoked_at is not None:
        return SessionState.REVOKED if family.revoked_at < family.expires_at else SessionState.EXPIRED
    return SessionState.ACTIVE if family.expires_at > now else SessionState.EXPIRED


_INSTANT = families.c.last_used_at.type
_LIMIT = bindparam("limit", type_=BigInteger())
_NOW: BindParameter[datetime] = bindparam("now", type_=_INSTANT)
_OF_USER = families.c.user_id == bindparam("of_user")
_BY_KEY = and_(_OF_USER, families.c.id == bindparam("of_family"))
_KEY = (families.c.user_id, families.c.id)

_BY_ID = Compiled(select(families).where(_BY_KEY), FamilyRow)
_BY_IDS = Compiled(select(families).where(_OF_USER, in_list(families.c.id, "ids")), FamilyRow)
# FOR NO KEY UPDATE, as a rotation takes. SQLite's write transactions exclude each other anyway.
_LOCK = Compiled(select(families).where(_BY_KEY).with_for_update(key_share=True), FamilyRow)
_LOCK_ALL = Compiled(select(families.c.id).where(_OF_USER).order_by(families.c.id).with_for_update())
_RENAME = Compiled(
    update(families).where(_BY_KEY).values(device_name=bindparam("name")).returning(*families.c), FamilyRow
)
_PRUNE: list[Compiled[Any]] = [
    Compiled(delete_some(families, ended_at < bindparam("ended_before")))
    for ended_at in (families.c.absolute_expires_at, families.c.revoked_at)
]

_IS_LIVE = and_(_OF_USER, in_state(SessionState.ACTIVE, _NOW))
# How many live families the user has.
LIVE = select(func.count().label("live")).select_from(families).where(_IS_LIVE)
COUNT_LIVE = Compiled(LIVE)
# The user's live families but those that were used last, used last first.
OVER_LIMIT = (
    select(families.c.id)
    .where(_IS_LIVE)
    .order_by(families.c.last_used_at.desc(), families.c.id.desc())
    .offset(bindparam("keep", type_=BigInteger()))
)
_OVER_LIMIT = Compiled(OVER_LIMIT)


async def get(conn: Connection, user_id: UUID, family_id: UUID) -> FamilyRow | None:
    """Return the family, by its primary key; None if the user has none with this id."""
    return await _BY_ID.one_or_none(conn, {"of_user": user_id, "of_family": family_id})


async def lock(conn: Connection, user_id: UUID, family_id: UUID) -> FamilyRow | None:
    """Return the family, locked against other writers until the transaction ends; None if the user has none.

    On PostgreSQL the commit of a lock waits for synchronous standbys, as the commit of a write does. A failover cannot
    lose what is answered after it, even where another transaction wrote it and was not acknowledged.
    """
    return await _LOCK.one_or_none(conn, {"of_user": user_id, "of_family": family_id})


async def lock_all(conn: Connection, user_id: UUID) -> None:
    """Lock every family of the user, live or not, until the transaction ends. The caller has locked the user."""
    await _LOCK_ALL.all(conn, {"of_user": user_id})


async def get_many(conn: Connection, user_id: UUID, ids: Sequence[UUID]) -> Sequence[FamilyRow]:
    """Return the user's families that have one of these ids, in no order."""
    return await _BY_IDS.all(conn, {"of_user": user_id, "ids": ids})


async def page(
    conn: Connection,
    user_id: UUID,
    *,
    state: SessionState | None,
    now: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[FamilyRow]:
    """Return a user's families in one state (None: in any), last used first, from after the family `after`.

    `after` is a last use and an id. All of a user's rows lie together under the primary key, so they are read and
    sorted: an index on last_used_at would make every rotation dearer to save a sort of a few dozen rows.
    """
    values: dict[str, Any] = {"of_user": user_id, "now": now, "limit": limit}
    if after is not None:
        values |= {"before": after[0], "before_id": after[1]}
    return await _page(state, is_first=after is None).all(conn, values)


@cache
def _page(state: SessionState | None, *, is_first: bool) -> Compiled[FamilyRow]:
    newest_first = (families.c.last_used_at.desc(), families.c.id.desc())
    query = select(families).where(_OF_USER).order_by(*newest_first)
    if state is not None:
        query = query.where(in_state(state, _NOW))
    if not is_first:
        before = bindparam("before", type_=_INSTANT)
        query = query.where(
            or_(
                families.c.last_used_at < before,
                and_(families.c.last_used_at == before, families.c.id < bindparam("before_id")),
            )
        )
    return Compiled(query.limit(_LIMIT), FamilyRow)


async def revoke(
    conn: Connection,
    user_id: UUID,
    *,
    now: datetime,
    reason: RevocationReason,
    only: UUID | None = None,
    except_: UUID | None = None,
) -> Sequence[UUID]:
    """Revoke the user's families: the family `only`, or all of them, or all of them except one.

    Returns the ids of those that were live and now are not. Those that have expired by `now` are revoked as well: if
    this machine's clock is ahead, they have not, and would live on once it is right.
    """
    statement = _revoke(only_one=only is not None, except_one=except_ is not None)
    values = {"of_user": user_id, "now": now, "reason": reason.value, "only": only, "except": except_}
    return [family.id for family in await statement.all(conn, values) if family.expires_at > now]


@cache
def _revoke(*, only_one: bool, except_one: bool) -> Compiled[Any]:
    revoked = (
        update(families)
        .where(_OF_USER, families.c.revoked_at.is_(None))
        .values(revoked_at=_NOW, revocation_reason=bindparam("reason"))
        .returning(families.c.id, families.c.expires_at)
    )
    if only_one:
        revoked = revoked.where(families.c.id == bindparam("only"))
    if except_one:
        revoked = revoked.where(families.c.id != bindparam("except"))
    return Compiled(revoked)


async def rename(conn: Connection, user_id: UUID, family_id: UUID, name: str) -> FamilyRow | None:
    """Give a family a name; None if the user has none with this id."""
    return await _RENAME.one_or_none(conn, {"of_user": user_id, "of_family": family_id, "name": name})


async def prune(conn: Connection, *, ended_before: datetime, limit: int) -> int:
    """Delete up to `limit` families that were revoked, or reached their absolute limit, before that instant.

    Their lineage goes with them. Returns how many were deleted. A live family is never among them, so no pruning
    can make the service forget that a token of a live session was rotated.
    """
    pruned = 0
    for statement in _PRUNE:
        pruned += await statement.execute(conn, {"ended_before": ended_before, "limit": limit - pruned})
    return pruned


async def over_limit(conn: Connection, user_id: UUID, *, keep: int, now: datetime) -> Sequence[UUID]:
    """Return the user's live families except the `keep` that were used last, used last first.

    The caller has locked the user's row, so that concurrent sign-ins count each other's families. All of a user's
    rows lie together under the primary key: one index range, and a sort of no more rows than the limit lets live.
    """
    return [row.id for row in await _OVER_LIMIT.all(conn, {"of_user": user_id, "now": now, "keep": keep})]


# Families that are not revoked and whose current refresh token is older. A rotation moves `last_used_at`, so that is
# when the current token was issued. If that is after `latest`, a clock that was ahead wrote it, and the token counts as
# older: nothing says when it was issued. As in `revoke`, it does not matter whether the family has expired.
_OLDER_THAN = and_(
    families.c.revoked_at.is_(None),
    or_(
        families.c.last_used_at < bindparam("instant", type_=_INSTANT),
        families.c.last_used_at > bindparam("latest", type_=_INSTANT),
    ),
)


@cache
def _issued_before(*, of_one_user: bool, is_first: bool) -> Compiled[FamilyKey]:
    query = select(*_KEY).where(_OLDER_THAN).order_by(*_KEY).limit(_LIMIT)
    if of_one_user:
        query = query.where(_OF_USER)
    if not is_first:
        query = query.where(
            tuple_(*_KEY) > tuple_(*(bindparam(name, type_=Uuid()) for name in ("after_user", "after")))
        )
    return Compiled(query, FamilyKey)


async def issued_before(
    conn: Connection, instant: datetime, *, latest: datetime, of_user: UUID | None, after: FamilyKey | None, limit: int
) -> Sequence[FamilyKey]:
    """Return the next `limit` families, from after `after`, whose current refresh token was issued before `instant`.

    `latest` is the last instant that a right clock can have written. Revoked families are left out. They come in the
    order of their keys.
    """
    values = {"instant": instant, "latest": latest, "of_user": of_user, "limit": limit}
    if after is not None:
        values |= {"after_user": after.user_id, "after": after.id}
    return await _issued_before(of_one_user=of_user is not None, is_first=after is None).all(conn, values)


def _among_keys(*, on_sqlite: bool) -> ColumnElement[bool]:
    """Whether a family's key is among the pairs that the parameters `user_ids` and `ids` hold."""
    user_ids, ids = (bindparam(name, type_=ListOf(Uuid())) for name in ("user_ids", "ids"))
    if not on_sqlite:
        pairs = ListValues(user_ids, ids).table_valued(column("user_id", Uuid()), column("id", Uuid()), name="pairs")
        return tuple_(*_KEY).in_(select(*pairs.render_derived().c))
    first, second = (
        ListValues(values).table_valued(column("key"), column("value", Uuid()), name=name)
        for values, name in ((user_ids, "first"), (ids, "second"))
    )
    return tuple_(*_KEY).in_(
        select(first.c.value, second.c.value).join_from(first, second, first.c.key == second.c.key)
    )


def _key_lists(keys: Sequence[FamilyKey]) -> dict[str, Any]:
    return {"user_ids": [key.user_id for key in keys], "ids": [key.id for key in keys]}


def _revoke_older(*, on_sqlite: bool) -> Any:
    return (
        update(families)
        .where(_among_keys(on_sqlite=on_sqlite), _OLDER_THAN)
        .values(revoked_at=_NOW, revocation_reason=bindparam("reason"))
        .returning(*_KEY, families.c.expires_at)
    )


_REVOKE_OLDER = Compiled(postgresql=_revoke_older(on_sqlite=False), sqlite=_revoke_older(on_sqlite=True))


async def revoke_issued_before(
    conn: Connection,
    instant: datetime,
    keys: Sequence[FamilyKey],
    *,
    latest: datetime,
    now: datetime,
    reason: RevocationReason,
) -> Sequence[FamilyKey]:
    """Revoke those of these families that `issued_before` would still return. Returns those that were live."""
    values = {"instant": instant, "latest": latest, "now": now, "reason": reason.value}
    rows = await _REVOKE_OLDER.all(conn, values | _key_lists(keys))
    return [FamilyKey(row.user_id, row.id) for row in rows if row.expires_at > now]


# The first condition is for the index.
_OPENED_AFTER = and_(
    families.c.absolute_expires_at > bindparam("instant_and_limit", type_=_INSTANT),
    families.c.created_at > bindparam("instant", type_=_INSTANT),
)
_COUNT_OPENED_AFTER = Compiled(select(func.count().label("opened")).select_from(families).where(_OPENED_AFTER))
_FIND_OPENED_AFTER = Compiled(select(*_KEY).where(_OPENED_AFTER).limit(_LIMIT), FamilyKey)


def _shorten(*, on_sqlite: bool) -> Any:
    used, expires = families.c.last_used_at, families.c.expires_at
    latest = bindparam("now_and_limit", type_=_INSTANT)
    return (
        update(families)
        .where(_among_keys(on_sqlite=on_sqlite), _OPENED_AFTER)
        .values(
            created_at=_NOW,
            last_used_at=case((used > _NOW, _NOW), else_=used),
            expires_at=case((expires > latest, latest), else_=expires),
            absolute_expires_at=latest,
        )
    )


_SHORTEN = Compiled(postgresql=_shorten(on_sqlite=False), sqlite=_shorten(on_sqlite=True))


async def count_opened_after(conn: Connection, instant: datetime, *, limit: timedelta) -> int:
    """Return how many families were opened after that instant, and end later than `limit` from it."""
    counted = await _COUNT_OPENED_AFTER.one(conn, {"instant": instant, "instant_and_limit": instant + limit})
    return int(counted.opened)


async def opened_after(conn: Connection, instant: datetime, *, limit: timedelta, most: int) -> Sequence[FamilyKey]:
    """Return up to `most` of these families, by their keys."""
    values = {"instant": instant, "instant_and_limit": instant + limit, "limit": most}
    return await _FIND_OPENED_AFTER.all(conn, values)


async def shorten(
    conn: Connection, now: datetime, keys: Sequence[FamilyKey], *, after: datetime, limit: timedelta
) -> int:
    """Make those of these families that were opened after `after` begin at `now`, and last no longer than `limit`.

    The caller has locked their users. Returns how many.
    """
    values = {"instant": after, "instant_and_limit": after + limit, "now": now, "now_and_limit": now + limit}
    return await _SHORTEN.execute(conn, values | _key_lists(keys))
