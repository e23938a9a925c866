"""Pruning: what ended long ago goes. Nothing that a live family needs is ever among it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.background.notifications import ABANDONED_AFTER
from db.engine.database import Connection, Database
from db.engine.retry import retried
from db.tables import familiar_networks, families, login_failures, outbox, security_events

# Rows in one transaction: few enough that no refresh waits long behind it, above all on SQLite. A family takes up to
# sixteen rows of lineage with it: a hundred of them 20 ms, on two shared cores.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went."""

    sessions: int
    events: int
    login_failures: int
    familiar_networks: int
    notifications: int


@dataclass(frozen=True, slots=True)
class Pruning:
    """The use case, with what it needs."""

    db: Database
    retention: timedelta
    event_retention: timedelta

    async def prune(self, now: datetime, *, pause: float = 0) -> Pruned:
        """Delete what is old, in batches, each of them a transaction of its own, with `pause` seconds behind each.

        `now` is believed here. `Upkeep` says which instant may be.
        """
        ended_before, occurred_before = now - self.retention, now - self.event_retention

        async def of_families(conn: Connection) -> int:
            return await families.prune(conn, ended_before=ended_before, limit=BATCH)

        async def of_events(conn: Connection) -> int:
            return await security_events.prune(conn, occurred_before=occurred_before, limit=BATCH)

        async def of_failures(conn: Connection) -> int:
            return await login_failures.prune(conn, failed_before=ended_before, limit=BATCH)

        async def of_networks(conn: Connection) -> int:
            return await familiar_networks.prune(conn, seen_before=occurred_before, limit=BATCH)

        async def of_notices(conn: Connection) -> int:
            waiting_since = min(ended_before, now - ABANDONED_AFTER)
            return await outbox.prune(conn, occurred_before=ended_before, waiting_since=waiting_since, limit=BATCH)

        return Pruned(
            sessions=await self._all(of_families, pause),
            events=await self._all(of_events, pause),
            login_failures=await self._all(of_failures, pause),
            familiar_networks=await self._all(of_networks, pause),
            notifications=await self._all(of_notices, pause),
        )

    async def _all(self, batch: Callable[[Connection], Awaitable[int]], pause: float) -> int:
        total = 0
        while count := await self._one(batch):
            total += count
            await asyncio.sleep(pause)
        return total

    @retried(idempotent=True)
    async def _one(self, batch: Callable[[Connection], Awaitable[int]]) -> int:
        async with self.db.transaction() as conn:
            return await batch(conn)
