"""Pruning: deletes what ended long ago. No row that a live session needs is ever deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.background.notifications import ABANDONED_AFTER
from db.engine.database import Connection, Database
from db.engine.retry import retried
from db.tables import familiar_networks, families, login_failures, outbox, security_events

# Rows in one transaction: few enough that no refresh waits long for it, above all on SQLite. A family has up to
# sixteen rows of lineage: deleting a hundred families takes 20 ms on two shared cores.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were deleted."""

    sessions: int
    events: int
    login_failures: int
    familiar_networks: int
    notifications: int


@dataclass(frozen=True, slots=True)
class Pruning:
    """The use case and its dependencies."""

    db: Database
    retention: timedelta
    event_retention: timedelta

    async def prune(self, now: datetime, *, pause: float = 0) -> Pruned:
        """Delete old rows in batches, each in its own transaction, with `pause` seconds after each batch.

        This trusts `now`. `PruneSchedule` decides which instant is plausible.
        """
        ended_before, occurred_before = now - self.retention, now - self.event_retention

        async def prune_families(conn: Connection) -> int:
            return await families.prune(conn, ended_before=ended_before, limit=BATCH)

        async def prune_events(conn: Connection) -> int:
            return await security_events.prune(conn, occurred_before=occurred_before, limit=BATCH)

        async def prune_login_failures(conn: Connection) -> int:
            return await login_failures.prune(conn, failed_before=ended_before, limit=BATCH)

        async def prune_networks(conn: Connection) -> int:
            return await familiar_networks.prune(conn, seen_before=occurred_before, limit=BATCH)

        async def prune_notifications(conn: Connection) -> int:
            waiting_since = min(ended_before, now - ABANDONED_AFTER)
            return await outbox.prune(conn, occurred_before=ended_before, waiting_since=waiting_since, limit=BATCH)

        return Pruned(
            sessions=await self._prune_all(prune_families, pause),
            events=await self._prune_all(prune_events, pause),
            login_failures=await self._prune_all(prune_login_failures, pause),
            familiar_networks=await self._prune_all(prune_networks, pause),
            notifications=await self._prune_all(prune_notifications, pause),
        )

    async def _prune_all(self, prune_batch: Callable[[Connection], Awaitable[int]], pause: float) -> int:
        total = 0
        while count := await self._prune_batch(prune_batch):
            total += count
            await asyncio.sleep(pause)
        return total

    @retried(idempotent=True)
    async def _prune_batch(self, prune_batch: Callable[[Connection], Awaitable[int]]) -> int:
        async with self.db.transaction() as conn:
            return await prune_batch(conn)
