"""Scheduled pruning by one worker at a time, and what a wrong clock left: warnings, and sessions to shorten."""

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
# Seconds between two batches, in which requests have the database to themselves.
PAUSE = 0.1
_NOT_PRUNED = "nothing was pruned"


@dataclass(frozen=True, slots=True)
class PruneSchedule:
    """The maintenance task and its dependencies."""

    db: Database
    pruning: Pruning
    entropy: Entropy
    interval: timedelta
    # The longest lifetime of a session.
    session_lifetime: timedelta
    plausible_time: PlausibleTime = field(default_factory=PlausibleTime)

    async def run(self, clock: Clock) -> None:
        """Prune whenever it is due, until cancelled. A run that fails is tried again the next time."""
        while True:
            # Random, so that workers that started together do not prune together.
            await asyncio.sleep(self.interval.total_seconds() * (0.25 + 0.25 * self.entropy.fraction()))
            try:
                if pruned := await self.prune_if_due(clock):
                    logger.info("Pruned: %s", pruned)
            except ClocksDiffer as error:
                logger.warning("Pruning was put off: %s", error)
            except DatabaseUnavailable:
                logger.warning("Pruning was put off: the database did not answer.")
            except Exception:
                logger.exception("Pruning failed. It will be tried again.")

    async def prune_if_due(self, clock: Clock) -> Pruned | None:
        """Prune, unless a worker began to less than an interval ago; then return None. Raises `ClocksDiffer`.

        A worker prunes for as long as it holds the lease. If it dies or runs out of time, the next holder continues.
        It deletes what is old at the latest plausible instant.
        """
        plausible_now = await self._claim(clock.now(), clock.elapsed())
        if plausible_now is None:
            return None
        if warning := await self.future_sessions_warning(clock.now()):
            logger.warning(warning)
        try:
            async with asyncio.timeout(self.interval.total_seconds()):
                return await self.pruning.prune(plausible_now, pause=PAUSE)
        except TimeoutError:
            return None

    async def prune_now(self, now: datetime, *, clock_is_right: bool = False) -> Pruned:
        """Prune for an operator, who confirms with `clock_is_right` that so much time has passed since the last run.

        Raises `ClocksDiffer`, and `ImplausibleClock` if the last run is longer ago than `LONGEST_OUTAGE`.
        """
        await self._begin(now, clock_is_right)
        return await self.pruning.prune(now)

    async def shorten_future_sessions(self, now: datetime) -> int:
        """Shorten sessions that were opened in the future, to the limit of a session opened now. Returns how many.

        A clock that was ahead opened them. Only an operator who confirms the clock may call this: with a clock that
        is behind, it would shorten every session. Raises `ClocksDiffer`.
        """
        total = 0
        while count := await self._shorten_batch(now, is_first=not total):
            total += count
        return total

    @retried(idempotent=True)
    async def _shorten_batch(self, now: datetime, *, is_first: bool) -> int:
        after = now + CLOCKS_MUST_AGREE
        async with self.db.transaction() as conn:
            if is_first:  # many batches take longer than the clocks may differ by
                await require_agreement(conn, now, undone="no session was shortened")
            keys = await families.opened_after(conn, after, limit=self.session_lifetime, most=BATCH)
            await users.lock_several(conn, {key.user_id for key in keys})  # users first (decision 25)
            return await families.shorten(conn, now, keys, after=after, limit=self.session_lifetime)

    @retried(idempotent=True)
    async def future_sessions_warning(self, now: datetime) -> str | None:
        """Say what an operator should do about sessions that were opened after `now`; None if there are none."""
        async with self.db.read() as conn:
            count = await families.count_opened_after(conn, now + CLOCKS_MUST_AGREE, limit=self.session_lifetime)
        if not count:
            return None
        return (
            f"{count} sessions were opened in the future, by this machine's clock, and would end too late. If it is "
            "right, run `kindred prune --clock-is-right`; else set it by NTP."
        )

    @retried(idempotent=True)
    async def clock_warning(self, now: datetime) -> str | None:
        """Say what an operator should do about an implausible clock; None if it is plausible."""
        async with self.db.read() as conn:
            ahead = now - await _last_run_at(conn, now)
        return describe_distrust(ahead) if ahead > LONGEST_OUTAGE else None

    @retried(idempotent=False)
    async def _claim(self, now: datetime, elapsed: timedelta) -> datetime | None:
        async with self.db.transaction() as conn:
            await require_agreement(conn, now, undone=_NOT_PRUNED)
            # Before the lease: so every worker observes the clock at each interval, while it is probably right.
            plausible_now = self.plausible_time.latest(now, elapsed, await _last_run_at(conn, now))
            if not await leases.claim(conn, LEASE, now=now, until=now + self.interval):
                return None
            await leases.record_run(conn, LEASE, at=plausible_now)
            return plausible_now

    @retried(idempotent=True)
    async def _begin(self, now: datetime, clock_is_right: bool) -> None:
        async with self.db.transaction() as conn:
            await require_agreement(conn, now, undone=_NOT_PRUNED)
            ahead = now - await _last_run_at(conn, now)
            if ahead > LONGEST_OUTAGE and not clock_is_right:
                raise ImplausibleClock(describe_distrust(ahead))
            await leases.record_run(conn, LEASE, at=now)


async def _last_run_at(conn: Connection, now: datetime) -> datetime:
    """Return the instant that the last run reached. Before the first run: the newest event's, or `now`."""
    return await leases.last_run_at(conn, LEASE) or await security_events.newest(conn, until=now) or now
