"""Rotations that wait at the same moment, sent to the database together: group commit.

Each rotation alone pays for a round trip and a commit. No claim waits for others: it leaves at once, unless as many
batches are in flight as may be, and the claims that came in between leave together when one is back. Each claim has its
own result. A claim that a batch did not rotate, for any reason, is sent again alone, so the result of a claim never
depends on the others.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, column, func, select

from db.drivers.connection import Dialect
from db.engine.database import Database
from db.hot_path.rate_limit import RateLimit
from db.hot_path.rotation import ROTATE_ALONE, RotationClaim, rotate, rotation_statement, with_lineage_row
from db.tables.families import FamilyRow, families
from db.tables.refresh_tokens import RECORD, refresh_tokens, row_values

MAX_BATCH = 64
# PostgreSQL runs one batch while the next is on its way; SQLite has one writer.
MAX_IN_FLIGHT = {Dialect.postgresql: 2, Dialect.sqlite: 1}

RotatedFamilies = dict[UUID, FamilyRow]

_instant, _number, _text = families.c.last_used_at.type, families.c.rate_limit_tat.type, families.c.ip.type
_CLAIMED: dict[str, Any] = {
    "of_user": Uuid(),
    "of_family": Uuid(),
    "presented": families.c.token_digest.type,
    "successor": families.c.token_digest.type,
    "now": _instant,
    "idle_limit": _instant,
    "from_ip": _text,
    "from_user_agent": refresh_tokens.c.user_agent.type,
    "now_in_seconds": _number,
    "too_busy_from": _number,
    "too_busy_to": _number,
}
_claims = (
    func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _CLAIMED.items()))
    .table_valued(*(column(name, kind) for name, kind in _CLAIMED.items()))
    .render_derived(name="claims")
)
# Rows that another transaction locks are passed over, so that no claim waits for another one's lock, nor two batches
# for each other.
_free = (
    select(*_claims.c)
    .join_from(_claims, families, (families.c.user_id == _claims.c.of_user) & (families.c.id == _claims.c.of_family))
    .with_for_update(key_share=True, skip_locked=True, of=families)
    .cte("free")
)
_ROTATE_SEVERAL = with_lineage_row(
    rotation_statement(lambda name: _free.c[name]).returning(_free.c.from_user_agent),
    lambda rotated: rotated.c.from_user_agent,
)


@dataclass(eq=False, slots=True)
class _PendingClaim:
    """A claim, and the future of its result."""

    claim: RotationClaim
    verdict: "asyncio.Future[FamilyRow | None]"
    batch: "asyncio.Task[RotatedFamilies] | None" = None


class RotationBatcher:
    """Sends claims to the database. `slots` is how many lineage rows a family keeps (0: none)."""

    def __init__(self, db: Database, *, slots: int, rate_limit: RateLimit, batching: bool) -> None:
        self._db = db
        self._slots = slots
        self._rate_limit = rate_limit
        on_sqlite = db.dialect is Dialect.sqlite
        self._run_batch = self._on_sqlite if on_sqlite else self._on_postgresql
        # On PostgreSQL the statement for several writes lineage rows too.
        self._batching_enabled = batching and (slots > 0 or on_sqlite)
        self._waiting: list[_PendingClaim] = []
        self._in_flight = 0
        self._max_in_flight = MAX_IN_FLIGHT[db.dialect]

    async def rotate(self, claim: RotationClaim) -> FamilyRow | None:
        """Rotate the family if the claim is true. Returns its new row, or None if no row could be changed."""
        if self._batching_enabled and (family := await self._rotate_in_batch(claim)):
            return family
        async with self._db.autocommit() as conn:
            return await rotate(conn, claim, slots=self._slots, rate_limit=self._rate_limit)

    async def _rotate_in_batch(self, claim: RotationClaim) -> FamilyRow | None:
        pending = _PendingClaim(claim, asyncio.get_running_loop().create_future())
        self._waiting.append(pending)
        self._dispatch()
        try:
            return await pending.verdict
        except asyncio.CancelledError:
            # A caller that is cancelled believes that nothing was done, so its token must not be rotated afterwards:
            # the batch is cancelled, and the other claims in it go on alone.
            if pending.batch is not None:
                pending.batch.cancel()
                await asyncio.wait([pending.batch])
            raise

    def _dispatch(self) -> None:
        while self._waiting and self._in_flight < self._max_in_flight:
            batch: dict[UUID, _PendingClaim] = {}
            later = []
            for pending in self._waiting:
                if pending.verdict.done():
                    continue  # its caller was cancelled
                # Two claims about one family are decided one after the other.
                if len(batch) < MAX_BATCH and pending.claim.family_id not in batch:
                    batch[pending.claim.family_id] = pending
                else:
                    later.append(pending)
            self._waiting = later
            if batch:
                self._in_flight += 1
                task = asyncio.create_task(self._run_batch([pending.claim for pending in batch.values()]))
                for pending in batch.values():
                    pending.batch = task
                task.add_done_callback(partial(self._on_done, batch))

    def _on_done(self, batch: dict[UUID, _PendingClaim], task: "asyncio.Task[RotatedFamilies]") -> None:
        self._in_flight -= 1
        # An error may concern one of the claims, or the database: each is sent again alone, and reports it.
        rotated = {} if task.cancelled() or task.exception() else task.result()
        for family_id, pending in batch.items():
            if not pending.verdict.done():
                pending.verdict.set_result(rotated.get(family_id))
        self._dispatch()

    async def _on_postgresql(self, claims: Sequence[RotationClaim]) -> RotatedFamilies:
        async with self._db.autocommit() as conn:
            if len(claims) == 1:
                family = await rotate(conn, claims[0], slots=self._slots, rate_limit=self._rate_limit)
                return {family.id: family} if family else {}
            rows = [claim.values(self._rate_limit) | {"from_user_agent": claim.user_agent} for claim in claims]
            values = {name: [row[name] for row in rows] for name in _CLAIMED}
            rotated = await _ROTATE_SEVERAL.all(
                conn, values | {"slots": self._slots, "busy_for": self._rate_limit.interval}
            )
            return {family.id: family for family in rotated}

    async def _on_sqlite(self, claims: Sequence[RotationClaim]) -> RotatedFamilies:
        def work(connection: sqlite3.Connection) -> RotatedFamilies:
            rotated = {}
            for claim in claims:
                values = claim.values(self._rate_limit) | {"busy_for": self._rate_limit.interval}
                if family := ROTATE_ALONE.on_sqlite.one_or_none(connection, values):
                    rotated[family.id] = family
                    if self._slots:
                        row = row_values(family, user_agent=claim.user_agent, slots=self._slots)
                        RECORD.on_sqlite.execute(connection, row)
            return rotated

        # While the file is busy, the claims go on alone, and wait there.
        return await self._db.write(work, busy_retries=1)
