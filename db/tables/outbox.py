"""`outbox`: security notifications to deliver, a row for each notification and channel.

A row is written in the transaction of its security event, and holds the state of its delivery: it is due at
`next_attempt_at`, until it is delivered or has failed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
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


class OutboxEntry(SQLModel, table=True):
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
    # The security event's id: the same in every attempt and channel, so a receiver recognises a repetition.
    id: UUID = Field(primary_key=True)
    channel: str = Field(primary_key=True, max_length=16)
    kind: str = Field(max_length=40)
    occurred_at: datetime
    family_id: UUID | None = None
    ip: str | None = Field(default=None, max_length=IP_LENGTH)
    user_agent: str | None = Field(default=None, max_length=USER_AGENT_LENGTH)
    attempts: int
    # None once it is delivered or has failed. During an attempt, when the next one may start if this one is lost.
    next_attempt_at: datetime | None
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    # Why the last attempt failed, never in the receiver's words.
    last_error: str | None = Field(default=None, max_length=ERROR_LENGTH)


class OutboxRow(NamedTuple):
    """A row of `outbox`, with what its notification says of the user and the session."""

    user_id: UUID
    id: UUID
    channel: str
    kind: str
    occurred_at: datetime
    family_id: UUID | None
    ip: str | None
    user_agent: str | None
    attempts: int
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    failed_at: datetime | None
    last_error: str | None
    username: str
    email: str | None
    device_name: str | None
    device_user_agent: str | None


outbox = table_of(OutboxEntry)

_KEY = (outbox.c.user_id, outbox.c.id, outbox.c.channel)
_BY_KEY = and_(
    outbox.c.user_id == bindparam("of_user"),
    outbox.c.id == bindparam("notification"),
    outbox.c.channel == bindparam("by_channel"),
)
# Compare and set: of several workers that found the same row due, the first one to change it has it.
_CLAIM = Compiled(
    update(outbox)
    .where(_BY_KEY, outbox.c.next_attempt_at == bindparam("due_at"))
    .values(next_attempt_at=bindparam("until"), attempts=outbox.c.attempts + 1)
    .returning(outbox.c.attempts)
)
# Only while the row belongs to this attempt: one that outlived its claim must not undo a later attempt.
_FINISH = Compiled(
    update(outbox)
    .where(_BY_KEY, outbox.c.attempts == bindparam("attempt"), outbox.c.next_attempt_at.is_not(None))
    .values(
        next_attempt_at=bindparam("next"),
        delivered_at=bindparam("delivered"),
        failed_at=bindparam("failed"),
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
_LIMIT = bindparam("limit", type_=BigInteger())
_DUE = Compiled(
    _WITH_NAMES.where(
        outbox.c.channel == bindparam("by_channel"),
        # The second of these was written by a clock far ahead of this one: no delay is so long.
        or_(outbox.c.next_attempt_at <= bindparam("now"), outbox.c.next_attempt_at > bindparam("implausible")),
    )
    .order_by(outbox.c.next_attempt_at, outbox.c.id)
    .limit(_LIMIT),
    OutboxRow,
)
_UNDELIVERED = Compiled(
    _WITH_NAMES.where(outbox.c.channel == bindparam("by_channel"), outbox.c.delivered_at.is_(None))
    .order_by(outbox.c.occurred_at.desc(), outbox.c.id.desc())
    .limit(_LIMIT),
    OutboxRow,
)
_BACKLOG = Compiled(
    select(func.count(outbox.c.next_attempt_at).label("waiting"), func.count(outbox.c.failed_at).label("failed")).where(
        outbox.c.channel == bindparam("by_channel")
    )
)
_ZERO: Any = literal_column("0")
_OF_EVENT = ("id", "channel", "kind", "occurred_at", "family_id", "ip", "user_agent", "next_attempt_at")
_NEW = select(users.c.id, *(bindparam(f"new_{name}", type_=outbox.c[name].type) for name in _OF_EVENT), _ZERO).where(
    users.c.id == bindparam("of_user")
)
_HAS_ADDRESS = users.c.email.is_not(None)
_ADD: dict[NotificationChannel, Compiled[Any]] = {
    channel: Compiled(
        insert(outbox).from_select(
            ["user_id", *_OF_EVENT, "attempts"],
            _NEW.where(_HAS_ADDRESS) if channel is NotificationChannel.MAIL else _NEW,
        )
    )
    for channel in NotificationChannel
}
_FREE = (
    select(*_KEY)
    .where(outbox.c.channel == bindparam("by_channel"), outbox.c.delivered_at.is_(None))
    .with_for_update(skip_locked=True)
    .cte("free", nesting=True)
)
_REQUEUE = Compiled(
    update(outbox)
    .where(tuple_(*_KEY).in_(select(*_FREE.c)))
    .values(next_attempt_at=bindparam("now"), failed_at=None, attempts=0)
)
_PRUNE = Compiled(
    delete_some(
        outbox,
        or_(
            and_(outbox.c.occurred_at < bindparam("occurred_before"), outbox.c.next_attempt_at.is_(None)),
            outbox.c.occurred_at < bindparam("waiting_since"),
        ),
    )
)


async def add(
    conn: Connection, kind: NotificationKind, channels: Sequence[NotificationChannel], event: dict[str, Any]
) -> None:
    """Store a notification of a security event for each of the channels, due at once.

    By mail only if the user has an address.
    """
    row = event | {"kind": kind.value, "next_attempt_at": event["occurred_at"]}
    for channel in channels:
        values = {f"new_{name}": (row | {"channel": channel.value})[name] for name in _OF_EVENT}
        await _ADD[channel].execute(conn, values | {"of_user": event["user_id"]})


async def due(
    conn: Connection, channel: NotificationChannel, now: datetime, *, implausible: datetime, limit: int
) -> Sequence[OutboxRow]:
    """Return up to `limit` rows that are due, due longest first. A row due after `implausible` is due now."""
    return await _DUE.all(conn, {"by_channel": channel.value, "now": now, "implausible": implausible, "limit": limit})


async def claim(conn: Connection, row: OutboxRow, *, until: datetime) -> int | None:
    """Claim a due row until that instant. Returns the number of this attempt; None if another worker was first."""
    values = _key_of(row) | {"due_at": row.next_attempt_at, "until": until}
    claimed = await _CLAIM.one_or_none(conn, values)
    return claimed and claimed.attempts


async def finish(
    conn: Connection,
    row: OutboxRow,
    attempt: int,
    *,
    delivered_at: datetime | None = None,
    failed_at: datetime | None = None,
    next_attempt_at: datetime | None = None,
    error: str | None = None,
) -> None:
    """Store the result of an attempt: exactly one of the three instants, and with the latter two an error."""
    values = {"delivered": delivered_at, "failed": failed_at, "next": next_attempt_at, "error": error}
    await _FINISH.execute(conn, _key_of(row) | {"attempt": attempt} | values)


async def undelivered(conn: Connection, channel: NotificationChannel, *, limit: int) -> Sequence[OutboxRow]:
    """Return up to `limit` rows that wait or have failed, newest first."""
    return await _UNDELIVERED.all(conn, {"by_channel": channel.value, "limit": limit})


async def backlog(conn: Connection, channel: NotificationChannel) -> tuple[int, int]:
    """Return how many rows wait, and how many have failed."""
    counts = await _BACKLOG.one(conn, {"by_channel": channel.value})
    return counts.waiting, counts.failed


async def requeue(conn: Connection, channel: NotificationChannel, now: datetime) -> int:
    """Make every row due now that has failed, or waits for another attempt; returns how many.

    A row that another transaction locks is left out: it is being claimed, finished or deleted at this moment. To wait
    for it could deadlock with the deletion of its user (decision 25).
    """
    return await _REQUEUE.execute(conn, {"by_channel": channel.value, "now": now})


async def prune(conn: Connection, *, occurred_before: datetime, waiting_since: datetime, limit: int) -> int:
    """Delete up to `limit` rows of events before that instant that are delivered or have failed.

    Rows of events before `waiting_since` go in any case: their channel was turned off, so no worker delivers them.
    """
    values = {"occurred_before": occurred_before, "waiting_since": waiting_since, "limit": limit}
    return await _PRUNE.execute(conn, values)


def _key_of(row: OutboxRow) -> dict[str, Any]:
    return {"of_user": row.user_id, "notification": row.id, "by_channel": row.channel}
