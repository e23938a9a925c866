"""Delivery of security notifications from the outbox: at least once, or marked as failed after a day of attempts.

A worker claims an attempt by moving the time of the next one, in one conditional UPDATE. So no lock is held while a
receiver answers, and if a worker dies, another one repeats its attempt when the claim has expired.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from auth.clock import Clock
from auth.clock_agreement import ClocksDiffer, require_agreement
from auth.crypto.entropy import Entropy
from db.drivers.errors import DatabaseUnavailable
from db.engine.database import Database
from db.engine.retry import retried
from db.tables import outbox
from db.tables.base import NotificationChannel, NotificationKind

logger = logging.getLogger("kindred")

# Seconds that an attempt may take. Standard Webhooks recommends 15 to 30.
ATTEMPT_TIMEOUT = 15
# How many attempts each process makes at once on a channel, and so how many notifications it holds in memory.
MAX_CONCURRENCY = 8
# Seconds between looks for notifications that other processes wrote, such as the command `kindred`.
POLL_INTERVAL = 5
# Longer than an attempt takes, or it would be made twice. If a worker dies, its notification waits this long.
CLAIM = timedelta(seconds=2 * ATTEMPT_TIMEOUT)
# The delay after each failed attempt: ten attempts over a day. Each delay gets up to a quarter longer by random
# jitter, so that a receiver that recovers does not get everything at once.
RETRY_DELAYS = [timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 10800, 21600, 43200)]
_MAX_JITTER = 0.25
# Longer than any delay. A row with a longer one was written or claimed by a clock that was ahead, and is due now.
MAX_RETRY_DELAY = 2 * RETRY_DELAYS[-1]
# A notification this old is not delivered any more: its channel was turned off.
ABANDONED_AFTER = 2 * sum(RETRY_DELAYS, timedelta())


@dataclass(frozen=True, slots=True)
class Notification:
    """The content of a security notification. `id` is the security event's."""

    id: UUID
    kind: NotificationKind
    occurred_at: datetime
    user_id: UUID
    username: str
    email: str | None
    session_id: UUID | None
    device_name: str | None  # as the user named the session
    device_user_agent: str | None  # of the session
    ip: str | None  # of the request that caused the event, as is the next
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver accepted the notification. `answer` is what it said, such as `HTTP 204`."""

    answer: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver did not accept the notification, as far as is known.

    `reason` is for an operator. It contains neither the receiver's words nor the URL, which may hold a secret.
    `permanent`: another attempt cannot succeed. `retry_after`: the delay that the receiver asked for.
    """

    reason: str
    permanent: bool = False
    retry_after: timedelta | None = None


class Channel(Protocol):
    """A way to send security notifications, such as a webhook or mail."""

    @property
    def name(self) -> NotificationChannel: ...

    async def send(self, notification: Notification, now: datetime) -> Delivered | Failed:
        """Make one attempt. It may hang: the caller sets a timeout."""
        ...


async def attempt(channel: Channel, notification: Notification, now: datetime) -> Delivered | Failed:
    """Make one attempt with a timeout. Never raises."""
    try:
        async with asyncio.timeout(ATTEMPT_TIMEOUT):
            return await channel.send(notification, now)
    except TimeoutError:
        return Failed(f"no answer within {ATTEMPT_TIMEOUT} seconds")
    except Exception as error:
        # A bug must not stop the delivery of other notifications. Only its type is logged: its message may contain the
        # receiver's URL, and the secret in it.
        logger.error("a notification could not be sent: %s", type(error).__name__)
        return Failed("internal error; see the log")


@dataclass(frozen=True, slots=True)
class NotificationDelivery:
    """The use cases and their dependencies."""

    db: Database
    entropy: Entropy
    # The channels that notifications are written for, each with the event that wakes its delivery.
    channels: Mapping[NotificationChannel, asyncio.Event]

    async def keep_delivering(self, channel: Channel, clock: Clock) -> None:
        """Deliver due notifications until cancelled: at once if this process wrote them, else within seconds."""
        written, clocks_differ = self.channels[channel.name], False
        while True:
            written.clear()
            try:
                while await self.deliver(channel, clock):
                    pass
                if clocks_differ:
                    logger.warning("notifications by %s are delivered again: the clocks agree", channel.name)
                clocks_differ = False
            except ClocksDiffer as error:
                if not clocks_differ:
                    logger.warning("notifications by %s wait: %s", channel.name, error)
                clocks_differ = True
            except DatabaseUnavailable:
                pass  # the next turn tries again
            except Exception as error:
                logger.error("notifications could not be delivered: %s", type(error).__name__)
            try:
                async with asyncio.timeout(POLL_INTERVAL):
                    await written.wait()
            except TimeoutError:
                pass

    async def deliver(self, channel: Channel, clock: Clock) -> int:
        """Make one attempt at each of the notifications that are due longest. Returns how many; pause after 0.

        Rows that another process claimed first do not count. Neither do rows that could not be claimed: a worker must
        not query a read-only database without a pause. Raises `ClocksDiffer`.
        """
        rows = await self._due(channel.name, clock.now())
        return sum(await asyncio.gather(*(self._deliver(channel, row, clock) for row in rows)))

    async def _deliver(self, channel: Channel, row: Any, clock: Clock) -> bool:
        attempt_number = None
        try:
            attempt_number = await self._claim(row, clock.now() + CLAIM)
            if attempt_number is not None:
                outcome = await attempt(channel, _notification_of(row), clock.now())
                await self._finish(row, attempt_number, outcome, clock.now())
        except DatabaseUnavailable:
            pass  # when the claim has expired, a worker makes the attempt again: at least once
        except Exception as error:
            logger.error("notification %s by %s could not be processed: %s", row.id, row.channel, type(error).__name__)
        return attempt_number is not None

    @retried(idempotent=True)
    async def _due(self, channel: NotificationChannel, now: datetime) -> Sequence[Any]:
        async with self.db.read() as conn:
            # By a clock a year behind, the next attempt is always due: it would use up all ten attempts at once.
            await require_agreement(conn, now, undone="no notification was delivered")
            return await outbox.due(conn, channel, now, implausible=now + MAX_RETRY_DELAY, limit=MAX_CONCURRENCY)

    @retried(idempotent=False)
    async def _claim(self, row: Any, until: datetime) -> int | None:
        async with self.db.transaction() as conn:
            return await outbox.claim(conn, row, until=until)

    @retried(idempotent=True)
    async def _finish(self, row: Any, attempt_number: int, outcome: Delivered | Failed, now: datetime) -> None:
        async with self.db.transaction() as conn:
            match outcome:
                case Delivered():
                    await outbox.finish(conn, row, attempt_number, delivered_at=now)
                case Failed(reason, permanent) if permanent or attempt_number > len(RETRY_DELAYS):
                    logger.error(
                        "notification %s by %s failed at attempt %d and is not tried again: %s",
                        row.id,
                        row.channel,
                        attempt_number,
                        reason,
                    )
                    await outbox.finish(conn, row, attempt_number, failed_at=now, error=reason)
                case Failed(reason, _, retry_after):
                    logger.warning(
                        "notification %s by %s failed at attempt %d: %s", row.id, row.channel, attempt_number, reason
                    )
                    next_attempt_at = now + self._retry_delay(attempt_number, retry_after)
                    await outbox.finish(conn, row, attempt_number, next_attempt_at=next_attempt_at, error=reason)

    def _retry_delay(self, attempt_number: int, retry_after: timedelta | None) -> timedelta:
        # A receiver may ask for a longer delay, up to the longest one.
        delay = max(RETRY_DELAYS[attempt_number - 1], min(retry_after or timedelta(0), RETRY_DELAYS[-1]))
        return delay * (1 + _MAX_JITTER * self.entropy.fraction())

    @retried(idempotent=True)
    async def undelivered(self, channel: NotificationChannel, *, limit: int) -> Sequence[Any]:
        """Return outbox rows that wait or have failed, newest first."""
        async with self.db.read() as conn:
            return await outbox.undelivered(conn, channel, limit=limit)

    @retried(idempotent=True)
    async def backlog(self, channel: NotificationChannel) -> tuple[int, int]:
        """Return how many notifications wait, and how many have failed."""
        async with self.db.read() as conn:
            return await outbox.backlog(conn, channel)

    # Not idempotent: a second time, the delivery may have begun.
    @retried(idempotent=False)
    async def requeue(self, channel: NotificationChannel, now: datetime) -> int:
        """Make every notification due now that waits or has failed. Returns how many."""
        async with self.db.transaction() as conn:
            return await outbox.requeue(conn, channel, now)


def _notification_of(row: Any) -> Notification:
    return Notification(
        id=row.id,
        kind=NotificationKind(row.kind),
        occurred_at=row.occurred_at,
        user_id=row.user_id,
        username=row.username,
        email=row.email,
        session_id=row.family_id,
        device_name=row.device_name,
        device_user_agent=row.device_user_agent,
        ip=row.ip,
        user_agent=row.user_agent,
    )
