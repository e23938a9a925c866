"""Upkeep: pruning inside the service, by one worker at a time, for operators who have no cron."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auth.background.pruning import BATCH, Pruned, Pruning
from auth.clock import Clock
from auth.clock_agreement import (
    CLOCKS_MUST_AGREE,
    LONGEST_OUTAGE,
    ClocksDiffer,
    ImplausibleClock,
    PlausibleTime,
    describe_distrust,
    require_agreement,
)
from auth.crypto.entropy import Entropy
from db.drivers.errors import DatabaseUnavailable
from db.engine.database import Connection, Database
from db.engine.retry import retried
from db.tables import families, leases, security_events, users

logger = logging.getLogger("kindred")

LEASE = "prune"
# Seconds between two batches, in which everybody else has the database to themselves.
PAUSE = 0.1
_NOT_PRUNED = "nothing was pruned"


@dataclass(frozen=True, slots=True)
class PruneSchedule:
    """The task, with what it needs."""

    db: Database
    pruning: Pruning
    entropy: Entropy
    interval: timedelta
    # How long a session may last at most.
    session_limit: timedelta
    time_seen: PlausibleTime = field(default_factory=PlausibleTime)

    async def run(self, clock: Clock) -> None:
        """Prune whenever it is due, for ever. Whatever fails is tried again the next time."""
        while True:
            # Workers that started together do not come together.
            await asyncio.sleep(self.interval.total_seconds() * (0.25 + 0.25 * self.entropy.fraction()))
            try:
                if pruned := await self.prune_if_due(clock):
                    logger.info("Pruned: %s", pruned)
            except ClocksDiffer as error:
                logger.warning("Pruning was put off: %s", error)
            except DatabaseUnavailable:
                logger.warning("Pruning was put off: the database did not answer.")
            except Exception:
                logger.exception("Pruning failed, and will be tried again.")

    async def prune_if_due(self, clock: Clock) -> Pruned | None:
        """Prune, unless some worker has begun to less than an interval ago; then None. Raises `ClocksDiffer`.

        A worker prunes for as long as it has the lease. What it leaves, also by dying, is the next one's. It works up
        to the instant that the clock is believed to have reached.
        """
        believed = await self._claim(clock.now(), clock.elapsed())
        if believed is None:
            return None
        if says := await self.from_the_future(clock.now()):
            logger.warning(says)
        try:
            async with asyncio.timeout(self.interval.total_seconds()):
                return await self.pruning.prune(believed, pause=PAUSE)
        except TimeoutError:
            return None

    async def prune_now(self, now: datetime, *, clock_is_right: bool = False) -> Pruned:
        """Prune for an operator, who confirms with `clock_is_right` that so much time has passed since the last run.

        Raises `ClocksDiffer`, and `ClockNotBelieved` where the last run is longer ago than `LONGEST_OUTAGE`.
        """
        await self._begin(now, clock_is_right)
        return await self.pruning.prune(now)

    async def end_in_time(self, now: datetime) -> int:
        """Give sessions that a clock ahead of this one opened the limit that they would have by this one.

        Only for an operator who confirms the clock: one that is behind would end every session by it. Returns how many.
        Raises `ClocksDiffer`.
        """
        total = 0
        while count := await self._end_in_time(now, is_first=not total):
            total += count
        return total

    @retried(idempotent=True)
    async def _end_in_time(self, now: datetime, *, is_first: bool) -> int:
        after = now + CLOCKS_MUST_AGREE
        async with self.db.transaction() as conn:
            if is_first:  # many batches take longer than clocks may differ by
                await require_agreement(conn, now, undone="no session was given another end")
            keys = await families.opened_after(conn, after, limit=self.session_limit, most=BATCH)
            await users.lock_several(conn, {key.user_id for key in keys})  # users first (decision 25)
            return await families.shorten(conn, now, keys, after=after, limit=self.session_limit)

    @retried(idempotent=True)
    async def from_the_future(self, now: datetime) -> str | None:
        """What to tell an operator of sessions that were opened after `now`; None where there are none."""
        async with self.db.read() as conn:
            count = await families.count_opened_after(conn, now + CLOCKS_MUST_AGREE, limit=self.session_limit)
        if not count:
            return None
        return (
            f"{count} sessions were opened in the future, by this machine's clock, and would end too late. If it is "
            "right, run `kindred prune --clock-is-right`; else set it by NTP."
        )

    @retried(idempotent=True)
    async def not_believed(self, now: datetime) -> str | None:
        """What to tell an operator where this clock would not be believed; None where it would."""
        async with self.db.read() as conn:
            ahead = now - await _last_run_at(conn, now)
        return describe_distrust(ahead) if ahead > LONGEST_OUTAGE else None

    @retried(idempotent=False)
    async def _claim(self, now: datetime, elapsed: timedelta) -> datetime | None:
        async with self.db.transaction() as conn:
            await require_agreement(conn, now, undone=_NOT_PRUNED)
            # Before the lease: each worker looks at the clock while it is most probably right.
            believed = self.time_seen.is_plausible(now, elapsed, await _last_run_at(conn, now))
            if not await leases.claim(conn, LEASE, now=now, until=now + self.interval):
                return None
            await leases.record_run(conn, LEASE, at=believed)
            return believed

    @retried(idempotent=True)
    async def _begin(self, now: datetime, clock_is_right: bool) -> None:
        async with self.db.transaction() as conn:
            await require_agreement(conn, now, undone=_NOT_PRUNED)
            ahead = now - await _last_run_at(conn, now)
            if ahead > LONGEST_OUTAGE and not clock_is_right:
                raise ImplausibleClock(describe_distrust(ahead))
            await leases.record_run(conn, LEASE, at=now)


async def _last_run_at(conn: Connection, now: datetime) -> datetime:
    """The instant that the last run reached. Before the first run: the newest event's, or `now` where there is none."""
    return await leases.last_run_at(conn, LEASE) or await security_events.newest(conn, until=now) or now
