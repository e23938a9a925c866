"""Telling owners: what is in the outbox is delivered at least once, or given up after a day and shown as such.

An attempt is claimed by moving the instant of the next one ahead, in one conditional UPDATE, so no lock is held while
a receiver takes its time, and the attempt of a process that died is made again when its claim has passed.
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

# An attempt takes no longer than this, whatever the receiver does. Seconds; Standard Webhooks says 15 to 30.
ATTEMPT_TIMEOUT = 15
# How many attempts are under way at once in each process and channel, and so how many notices are in memory.
MAX_CONCURRENCY = 8
# Other processes write notices too, above all the command `kindred`: how often to look for theirs, in seconds.
POLL_INTERVAL = 5
# Longer than an attempt takes, or it would be made twice. How long a notice waits whose process died over it.
CLAIM = timedelta(seconds=2 * ATTEMPT_TIMEOUT)
# Between an attempt and the next one: ten attempts over a day. Each wait is up to a quarter longer, by chance, so that
# a receiver that comes back does not get everything at once.
RETRY_DELAYS = [timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 10800, 21600, 43200)]
_MAX_JITTER = 0.25
# Longer than any wait. What waits for more was written or claimed by a clock that was ahead, and is due now.
MAX_RETRY_DELAY = 2 * RETRY_DELAYS[-1]
# What nobody could have delivered by now, because its channel was turned off.
ABANDONED_AFTER = 2 * sum(RETRY_DELAYS, timedelta())


@dataclass(frozen=True, slots=True)
class Notification:
    """What an owner is told. `id` is that of the security event."""

    id: UUID
    kind: NotificationKind
    occurred_at: datetime
    user_id: UUID
    username: str
    email: str | None
    session_id: UUID | None
    device_name: str | None  # as somebody named it
    device_user_agent: str | None  # of the session
    ip: str | None  # of what happened, as is the next
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it. `answer` says so in a word, such as `HTTP 204`."""

    answer: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver does not have it, as far as is known.

    `reason` is for an operator, and has nothing of the receiver's words, nor of the URL, in it. `for_good`: there is
    no use in trying again. `retry_after`: when the receiver wishes it.
    """

    reason: str
    permanent: bool = False
    retry_after: timedelta | None = None


class Channel(Protocol):
    """A way to tell an owner."""

    @property
    def name(self) -> NotificationChannel: ...

    async def send(self, notification: Notification, now: datetime) -> Delivered | Failed:
        """One attempt. It may hang: whoever calls this cuts it off."""
        ...


async def attempt(channel: Channel, notification: Notification, now: datetime) -> Delivered | Failed:
    """One attempt that ends, and does not raise."""
    try:
        async with asyncio.timeout(ATTEMPT_TIMEOUT):
            return await channel.send(notification, now)
    except TimeoutError:
        return Failed(f"no answer within {ATTEMPT_TIMEOUT} seconds")
    except Exception as error:
        # A bug, which must not end the delivery of everything else. Its name and no more: what it says may have the
        # receiver's URL, and the secret in it.
        logger.error("a notice could not be sent: %s", type(error).__name__)
        return Failed("an error of ours, which the log has")


@dataclass(frozen=True, slots=True)
class NotificationDelivery:
    """The use cases, with what they need."""

    db: Database
    entropy: Entropy
    # The channels that notices are written for, with what wakes up the delivery of each.
    channels: Mapping[NotificationChannel, asyncio.Event]

    async def keep_delivering(self, channel: Channel, clock: Clock) -> None:
        """Deliver what is due, at once when this process wrote it and within seconds else, until cancelled."""
        written, differ = self.channels[channel.name], False
        while True:
            written.clear()
            try:
                while await self.deliver(channel, clock):
                    pass
                if differ:
                    logger.warning("notices by %s are delivered again: the clocks agree", channel.name)
                differ = False
            except ClocksDiffer as error:
                if not differ:
                    logger.warning("notices by %s wait: %s", channel.name, error)
                differ = True
            except DatabaseUnavailable:
                pass  # it is looked for again
            except Exception as error:
                logger.error("notices could not be delivered: %s", type(error).__name__)
            try:
                async with asyncio.timeout(POLL_INTERVAL):
                    await written.wait()
            except TimeoutError:
                pass

    async def deliver(self, channel: Channel, clock: Clock) -> int:
        """Make one attempt at each of the notices that are due longest. Returns at how many; after 0 there is no hurry.

        Those that another process was faster to claim do not count, nor those that could not be claimed: whoever
        waits for a database that takes no writes must not ask it without a pause. Raises `ClocksDiffer`.
        """
        rows = await self._due(channel.name, clock.now())
        return sum(await asyncio.gather(*(self._deliver(channel, row, clock) for row in rows)))

    async def _deliver(self, channel: Channel, row: Any, clock: Clock) -> bool:
        number = None
        try:
            number = await self._claim(row, clock.now() + CLAIM)
            if number is not None:
                outcome = await attempt(channel, _notification_of(row), clock.now())
                await self._finish(row, number, outcome, clock.now())
        except DatabaseUnavailable:
            pass  # when the claim has passed, the attempt is made again: at least once
        except Exception as error:
            logger.error("notice %s by %s could not be dealt with: %s", row.id, row.channel, type(error).__name__)
        return number is not None

    @retried(idempotent=True)
    async def _due(self, channel: NotificationChannel, now: datetime) -> Sequence[Any]:
        async with self.db.read() as conn:
            # By a clock a year behind, the next attempt is always due: ten at once, and giving up is for good.
            await require_agreement(conn, now, undone="no notice was delivered")
            return await outbox.due(conn, channel, now, implausible=now + MAX_RETRY_DELAY, limit=MAX_CONCURRENCY)

    @retried(idempotent=False)
    async def _claim(self, row: Any, until: datetime) -> int | None:
        async with self.db.transaction() as conn:
            return await outbox.claim(conn, row, until=until)

    @retried(idempotent=True)
    async def _finish(self, row: Any, number: int, outcome: Delivered | Failed, now: datetime) -> None:
        async with self.db.transaction() as conn:
            match outcome:
                case Delivered():
                    await outbox.finish(conn, row, number, delivered_at=now)
                case Failed(reason, for_good) if for_good or number > len(RETRY_DELAYS):
                    logger.error("gave up notice %s by %s after attempt %d: %s", row.id, row.channel, number, reason)
                    await outbox.finish(conn, row, number, failed_at=now, error=reason)
                case Failed(reason, _, retry_after):
                    logger.warning("notice %s by %s, attempt %d: %s", row.id, row.channel, number, reason)
                    next_attempt_at = now + self._retry_delay(number, retry_after)
                    await outbox.finish(conn, row, number, next_attempt_at=next_attempt_at, error=reason)

    def _retry_delay(self, number: int, retry_after: timedelta | None) -> timedelta:
        # A receiver may ask for more time, but not for ever.
        wait = max(RETRY_DELAYS[number - 1], min(retry_after or timedelta(0), RETRY_DELAYS[-1]))
        return wait * (1 + _MAX_JITTER * self.entropy.fraction())

    @retried(idempotent=True)
    async def undelivered(self, channel: NotificationChannel, *, limit: int) -> Sequence[Any]:
        """Rows of the outbox that wait or were given up, newest first."""
        async with self.db.read() as conn:
            return await outbox.undelivered(conn, channel, limit=limit)

    @retried(idempotent=True)
    async def backlog(self, channel: NotificationChannel) -> tuple[int, int]:
        """How many notices wait, and how many were given up."""
        async with self.db.read() as conn:
            return await outbox.backlog(conn, channel)

    # Not idempotent, because a second time the delivery may have begun.
    @retried(idempotent=False)
    async def requeue(self, channel: NotificationChannel, now: datetime) -> int:
        """Make every notice due now that waits or was given up; returns how many."""
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
