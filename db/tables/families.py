"""`token_families`: one row for each sign-in, and the hot row of the whole service. One UPDATE rotates.

No index may name a column that a rotation changes (token_digest, generation, last_used_at, expires_at, ip,
rate_limit_tat): on PostgreSQL any such index ends HOT updates, and every rotation would then write to every index.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    and_,
    bindparam,
    or_,
    select,
    update,
)
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import (
    HOT_FILLFACTOR,
    IP_LENGTH,
    USER_AGENT_LENGTH,
    WITHOUT_ROWID,
    RevocationReason,
    SessionState,
    check_in,
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
    # In Unix seconds, for `Pace`: instants cannot be added to in a statement of both databases.
    rate_limit_tat: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


families = table_of(TokenFamily)

_BY_KEY = and_(families.c.user_id == bindparam("of_user"), families.c.id == bindparam("of_family"))
DEFAULTS = {"revoked_at": None, "revocation_reason": None, "rate_limit_tat": 0}
_BY_ID = Compiled(select(families).where(_BY_KEY))
# NO KEY UPDATE, as a rotation takes. SQLite's write transactions exclude each other anyway.
_LOCKED = Compiled(select(families).where(_BY_KEY).with_for_update(key_share=True))
_ALL_LOCKED = Compiled(
    select(families.c.id).where(families.c.user_id == bindparam("of_user")).order_by(families.c.id).with_for_update()
)


def in_state(state: SessionState, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Families in that state. (`expires_at` is never past the absolute limit, so it stands for both.)

    A revocation reaches families that look expired too, as the clock may be ahead. Those stay expired.
    """
    match state:
        case SessionState.ACTIVE:
            return and_(families.c.revoked_at.is_(None), families.c.expires_at > now)
        case SessionState.EXPIRED:
            is_over = and_(families.c.revoked_at.is_(None), families.c.expires_at <= now)
            return or_(is_over, families.c.revoked_at >= families.c.expires_at)
        case SessionState.REVOKED:
            return families.c.revoked_at < families.c.expires_at


def state_of(family: TokenFamily, now: datetime) -> SessionState:
    """The state of a family that was read, by the same measure as `in_state`."""
    if family.revoked_at is not None:
        return SessionState.REVOKED if family.revoked_at < family.expires_at else SessionState.EXPIRED
    return SessionState.ACTIVE if family.expires_at > now else SessionState.EXPIRED


async def get(conn: Connection, user_id: UUID, family_id: UUID) -> TokenFamily | None:
    """The family, by its primary key; None if the user has none with this id."""
    row = await _BY_ID.one_or_none(conn, {"of_user": user_id, "of_family": family_id})
    return cast(TokenFamily | None, row)


async def lock(conn: Connection, user_id: UUID, family_id: UUID) -> TokenFamily | None:
    """Return the family, locked against other writers until the transaction ends; None if the user has none.

    On PostgreSQL the commit of a lock waits for synchronous standbys, as the commit of a write does. What is answered
    after it, a failover cannot lose, even where another transaction wrote it and was not acknowledged.
    """
    row = await _LOCKED.one_or_none(conn, {"of_user": user_id, "of_family": family_id})
    return cast(TokenFamily | None, row)


async def lock_all(conn: Connection, user_id: UUID) -> None:
    """Hold every family of the user, live or not, until the transaction ends. The caller holds the user."""
    await _ALL_LOCKED.all(conn, {"of_user": user_id})


async def get_many(conn: Connection, user_id: UUID, ids: Sequence[UUID]) -> Sequence[TokenFamily]:
    """Those of the user's families that have one of these ids, in no order."""
    found = await conn.execute(select(families).where(families.c.user_id == user_id, families.c.id.in_(ids)))
    return cast(Sequence[TokenFamily], found.all())


async def page(
    conn: Connection,
    user_id: UUID,
    *,
    state: SessionState | None,
    now: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[TokenFamily]:
    """A user's families in one state (None: in any), last used first, from behind the one that `after` names.

    `after` is a last use and an id. All of a user's rows lie together under the primary key, so they are read and
    sorted: an index on last_used_at would make every rotation dearer to save a sort of some dozen rows.
    """
    values: dict[str, Any] = {"of_user": user_id, "now": now, "most": limit}
    if after is not None:
        values |= {"before": after[0], "before_id": after[1]}
    return cast(Sequence[TokenFamily], await _page(state, is_first=after is None).all(conn, values))


@cache
def _page(state: SessionState | None, *, is_first: bool) -> Compiled:
    newest_first = (families.c.last_used_at.desc(), families.c.id.desc())
    query = select(families).where(families.c.user_id == bindparam("of_user")).order_by(*newest_first)
    if state is not None:
        query = query.where(in_state(state, bindparam("now", type_=families.c.last_used_at.type)))
    if not is_first:
        before = bindparam("before", type_=families.c.last_used_at.type)
        query = query.where(
            or_(
                families.c.last_used_at < before,
                and_(families.c.last_used_at == before, families.c.id < bindparam("before_id")),
            )
        )
    return Compiled(query.limit(bindparam("most", type_=BigInteger())))


async def revoke(
    conn: Connection,
    user_id: UUID,
    *,
    now: datetime,
    reason: RevocationReason,
    only: UUID | None = None,
    except_: UUID | None = None,
) -> Sequence[UUID]:
    """Revoke the user's families: the one named by `only`, or all of them, or all of them `but` one.

    Returns the ids of those that were live and now are not. Those that have expired by `now` are revoked as well: if
    this machine's clock is ahead, they have not, and would live on once it is right.
    """
    ended = _revoke(only_one=only is not None, except_one=except_ is not None)
    values = {"of_user": user_id, "now": now, "reason": reason, "only": only, "but": except_}
    return [family.id for family in await ended.all(conn, values) if family.expires_at > now]


@cache
def _revoke(*, only_one: bool, except_one: bool) -> Compiled:
    now = bindparam("now", type_=families.c.revoked_at.type)
    ended = (
        update(families)
        .where(families.c.user_id == bindparam("of_user"), families.c.revoked_at.is_(None))
        .values(revoked_at=now, revocation_reason=bindparam("reason"))
        .returning(families.c.id, families.c.expires_at)
    )
    if only_one:
        ended = ended.where(families.c.id == bindparam("only"))
    if except_one:
        ended = ended.where(families.c.id != bindparam("but"))
    return Compiled(ended)


async def rename(conn: Connection, user_id: UUID, family_id: UUID, name: str) -> TokenFamily | None:
    """Give a family a name; None if the user has none with this id."""
    named = update(families).where(_BY_KEY).values(device_name=bindparam("name")).returning(*families.c)
    result = await conn.execute(named, {"of_user": user_id, "of_family": family_id, "name": name})
    return cast(TokenFamily | None, result.one_or_none())


async def prune(conn: Connection, *, ended_before: datetime, limit: int) -> int:
    """Delete up to `limit` families that were revoked, or reached their absolute limit, before that instant.

    Their lineage goes with them. Returns how many were deleted. A live family is never among them, so no pruning
    can make the service forget that a token of a living session was rotated.
    """
    pruned = 0
    for ended_at in (families.c.absolute_expires_at, families.c.revoked_at):
        some = delete_some(families, ended_at < ended_before, limit=limit - pruned)
        pruned += (await conn.execute(some)).rowcount
    return pruned
