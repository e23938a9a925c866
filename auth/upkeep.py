"""Upkeep: pruning inside the service, by one worker at a time, for operators who have no cron."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.clock import Clock
from auth.entropy import Entropy
from auth.pruning import Pruned, Pruning
from db import leases
from db.engine import Database
from db.faults import DatabaseUnavailable
from db.retries import retried

logger = logging.getLogger("kindred")

LEASE = "prune"
# Seconds between two batches, in which everybody else has the database to themselves.
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The task, with what it needs."""

    db: Database
    pruning: Pruning
    entropy: Entropy
    interval: timedelta

    async def run(self, clock: Clock) -> None:
        """Prune whenever it is due, for ever. Whatever fails is tried again the next time."""
        while True:
            # Workers that started together do not come together.
            await asyncio.sleep(self.interval.total_seconds() * (0.25 + 0.25 * self.entropy.fraction()))
            try:
                if pruned := await self.prune_if_due(clock.now()):
                    logger.info("Pruned: %s", pruned)
            except DatabaseUnavailable:
                logger.warning("Pruning was put off: the database did not answer.")
            except Exception:
                logger.exception("Pruning failed, and will be tried again.")

    async def prune_if_due(self, now: datetime) -> Pruned | None:
        """Prune, unless some worker has begun to less than an interval ago; then None.

        A worker prunes for as long as it has the lease. What it leaves, also by dying, is the next one's.
        """
        if not await self._claim(now):
            return None
        try:
            async with asyncio.timeout(self.interval.total_seconds()):
                return await self.pruning.prune(now, pause=PAUSE)
        except TimeoutError:
            return None

    @retried(idempotent=False)
    async def _claim(self, now: datetime) -> bool:
        async with self.db.transaction() as conn:
            return await leases.claim(conn, LEASE, now=now, until=now + self.interval)
