"""`outbox`: what owners are to be told, a row for each notice and each way to tell it.

A row is written in the transaction of what it tells of, and its state is what the delivery has come to: it is due at
`next_attempt_at`, until it was delivered or given up.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    String,
    Uuid,
    and_,
    bindparam,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlmodel import Field, SQLModel

from db.engine.database import Connection
from db.tables.base import (
    IP_LENGTH,
    USER_AGENT_LENGTH,
    WITHOUT_ROWID,
    NotificationChannel,
    NotificationKind,
    check_in,
    delete_some,
    table_of,
)
from db.tables.families import families
from db.tables.users import users

ERROR_LENGTH = 100


class OutboxRow(SQLModel, table=True):
    __tablename__ = "outbox"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        check_in("channel", NotificationChannel),
        check_in("kind", NotificationKind),
        CheckConstraint("attempts >= 0", name="attempts"),
        CheckConstraint(
            "(next_attempt_at IS NULL) = (delivered_at IS NOT NULL OR failed_at IS NOT NULL)", name="next_attempt_at"
        ),
        Index("ix_outbox_next_attempt_at", "next_attempt_at"),
        Index("ix_outbox_occurred_at", "occurred_at"),
        WITHOUT_ROWID,
    )

    user_id: UUID = Field(primary_key=True)
    # That of the security event: the same in every attempt and on every channel, so receivers know a repetition.
    id: UUID = Field(primary_key=True)
    channel: str = Field(primary_key=True, max_length=16)
    kind: str = Field(max_length=40)
    occurred_at: datetime
    family_id: UUID | None = None
    ip: str | None = Field(default=None, max_length=IP_LENGTH)
    user_agent: str | None = Field(default=None, max_length=USER_AGENT_LENGTH)
    attempts: int
    # None when it is at its end. While an attempt is under way, when another one may be made if this one is lost.
    next_attempt_at: datetime | None
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    # Why the last attempt failed, in words of ours.
    last_error: str | None = Field(default=None, max_length=ERROR_LENGTH)


outbox = table_of(OutboxRow)

_KEY = (outbox.c.user_id, outbox.c.id, outbox.c.channel)
_BY_KEY = and_(
    outbox.c.user_id == bindparam("of_user"),
    outbox.c.id == bindparam("notice"),
    outbox.c.channel == bindparam("by_channel"),
)
# Compare and set: of several workers that found the same row due, the first one to change it has it.
_CLAIM = (
    update(outbox)
    .where(_BY_KEY, outbox.c.next_attempt_at == bindparam("seen"))
    .values(next_attempt_at=bindparam("until"), attempts=outbox.c.attempts + 1)
    .returning(outbox.c.attempts)
)
# Only as long as the row is whose attempt it was: one that outlived its claim must not undo what came after.
_FINISH = (
    update(outbox)
    .where(_BY_KEY, outbox.c.attempts == bindparam("attempt"), outbox.c.next_attempt_at.is_not(None))
    .values(
        next_attempt_at=bindparam("next"),
        delivered_at=bindparam("delivered"),
        failed_at=bindparam("given_up"),
        last_error=bindparam("error"),
    )
)
_WITH_NAMES = (
    select(
        outbox,
        users.c.username,
        users.c.email,
        families.c.device_name,
        families.c.user_agent.label("device_user_agent"),
    )
    .join(users, users.c.id == outbox.c.user_id)
    .outerjoin(families, and_(families.c.user_id == outbox.c.user_id, families.c.id == outbox.c.family_id))
)
_DUE = (
    _WITH_NAMES.where(
        outbox.c.channel == bindparam("by_channel"),
        # The second of these was written by a clock far ahead of this one: no wait is so long.
        or_(outbox.c.next_attempt_at <= bindparam("now"), outbox.c.next_attempt_at > bindparam("implausible")),
    )
    .order_by(outbox.c.next_attempt_at, outbox.c.id)
    .limit(bindparam("most"))
)


async def add(
    conn: Connection, kind: NotificationKind, channels: Sequence[NotificationChannel], event: dict[str, Any]
) -> None:
    """Store a notice of a security event for each of the channels, due at once.

    By mail only where the user has an address.
    """
    for channel in channels:
        row = {
            "id": literal(event["id"], Uuid()),
            "channel": literal(channel.value, String()),
            "kind": literal(kind.value, String()),
            "occurred_at": literal(event["occurred_at"], outbox.c.occurred_at.type),
            "family_id": literal(event["family_id"], Uuid()),
            "ip": literal(event["ip"], String()),
            "user_agent": literal(event["user_agent"], String()),
            "attempts": literal(0),
            "next_attempt_at": literal(event["occurred_at"], outbox.c.next_attempt_at.type),
        }
        chosen = select(users.c.id, *row.values()).where(users.c.id == event["user_id"])
        if channel is NotificationChannel.MAIL:
            chosen = chosen.where(users.c.email.is_not(None))
        await conn.execute(insert(outbox).from_select(["user_id", *row], chosen))


async def due(
    conn: Connection, channel: NotificationChannel, now: datetime, *, implausible: datetime, limit: int
) -> Sequence[Any]:
    """Up to `limit` rows that an attempt may be made at, due longest first; a row due after `implausible` is due now.

    Each with the user's `username` and `email` and the session's `device_name` and `device_user_agent` beside it.
    """
    return (
        await conn.execute(_DUE, {"by_channel": channel, "now": now, "implausible": implausible, "most": limit})
    ).all()


async def claim(conn: Connection, row: Any, *, until: datetime) -> int | None:
    """Take a row that was found due, until then. The number of this attempt at it; None if somebody else was first."""
    values = _key_of(row) | {"seen": row.next_attempt_at, "until": until}
    return cast(int | None, (await conn.execute(_CLAIM, values)).scalar_one_or_none())


async def finish(
    conn: Connection,
    row: Any,
    attempt: int,
    *,
    delivered_at: datetime | None = None,
    failed_at: datetime | None = None,
    next_attempt_at: datetime | None = None,
    error: str | None = None,
) -> None:
    """What came of an attempt: exactly one of the three instants, and with the latter two an error."""
    values = {"delivered": delivered_at, "given_up": failed_at, "next": next_attempt_at, "error": error}
    await conn.execute(_FINISH, _key_of(row) | {"attempt": attempt} | values)


async def undelivered(conn: Connection, channel: NotificationChannel, *, limit: int) -> Sequence[Any]:
    """Up to `limit` rows that wait or were given up, newest first, with the names that `due` has."""
    query = _WITH_NAMES.where(outbox.c.channel == channel, outbox.c.delivered_at.is_(None))
    return (await conn.execute(query.order_by(outbox.c.occurred_at.desc(), outbox.c.id.desc()).limit(limit))).all()


async def backlog(conn: Connection, channel: NotificationChannel) -> tuple[int, int]:
    """How many rows wait, and how many were given up."""
    counts = select(func.count(outbox.c.next_attempt_at), func.count(outbox.c.failed_at))
    waiting, given_up = (await conn.execute(counts.where(outbox.c.channel == channel))).one()
    return waiting, given_up


async def requeue(conn: Connection, channel: NotificationChannel, now: datetime) -> int:
    """Make every row due now that was given up, or waits for another attempt; returns how many.

    A row that another transaction holds is left out: it is being claimed, finished or deleted at this moment. To wait
    for it could deadlock with the deletion of its user (decision 25).
    """
    free = (
        select(*_KEY)
        .where(outbox.c.channel == channel, outbox.c.delivered_at.is_(None))
        .with_for_update(skip_locked=True)
        .cte("free", nesting=True)
    )
    again = (
        update(outbox).where(tuple_(*_KEY).in_(select(*free.c))).values(next_attempt_at=now, failed_at=None, attempts=0)
    )
    return (await conn.execute(again)).rowcount


async def prune(conn: Connection, *, occurred_before: datetime, waiting_since: datetime, limit: int) -> int:
    """Delete up to `limit` rows of what occurred before that instant and was delivered or given up.

    What occurred before `waiting_since` goes in any case: nobody delivers it, as its channel was turned off.
    """
    old = and_(outbox.c.occurred_at < occurred_before, outbox.c.next_attempt_at.is_(None))
    some = delete_some(outbox, or_(old, outbox.c.occurred_at < waiting_since), limit=limit)
    return (await conn.execute(some)).rowcount


def _key_of(row: Any) -> dict[str, Any]:
    return {"of_user": row.user_id, "notice": row.id, "by_channel": row.channel}
