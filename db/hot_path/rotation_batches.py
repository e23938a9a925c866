"""Rotations, sent together where several wait at the same moment.

On its own each rotation pays for a way to the database and back, and for a commit. Nobody waits for company: a claim
leaves at once, unless as many batches are under way as may be, and whatever has come when one of them is back leaves
together. Each claim has its own verdict. One that a batch did not rotate, for whatever reason, is sent again by itself,
so what a claim comes to never depends on the others.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, column, func, select

from db.drivers.sqlite_statements import SQLiteStatement
from db.engine.database import Database
from db.hot_path.rate_limit import RateLimit
from db.hot_path.rotation import ROTATE, RotationClaim, rotate, rotation_statement, with_lineage_row
from db.tables.families import TokenFamily, families
from db.tables.refresh_tokens import UPSERT, refresh_tokens, row_values

MAX_BATCH = 64
# PostgreSQL decides one batch while the next is on its way; SQLite has one writer.
MAX_IN_FLIGHT = {"postgresql": 2, "sqlite": 1}

RotatedFamilies = dict[UUID, TokenFamily]

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
# Rows that somebody else holds are passed over, so that no claim waits for another one's lock, nor two batches for
# each other.
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
_ROTATE_ON_SQLITE = SQLiteStatement(ROTATE)
_UPSERT_ON_SQLITE = SQLiteStatement(UPSERT["sqlite"])


@dataclass(eq=False, slots=True)
class _PendingClaim:
    """A claim, and who waits for its verdict."""

    claim: RotationClaim
    verdict: "asyncio.Future[TokenFamily | None]"
    batch: "asyncio.Task[RotatedFamilies] | None" = None


class RotationBatcher:
    """Where claims go. `slots` is how many lineage rows a family keeps (0: none)."""

    def __init__(self, db: Database, *, slots: int, pace: RateLimit, batching: bool) -> None:
        self._db = db
        self._slots = slots
        self._pace = pace
        # On PostgreSQL the lineage is part of the statement for several.
        self._batching_enabled = batching and (slots > 0 or db.writer is not None)
        self._waiting: list[_PendingClaim] = []
        self._in_flight = 0
        self._max_in_flight = MAX_IN_FLIGHT[db.engine.dialect.name]

    async def rotate(self, claim: RotationClaim) -> TokenFamily | None:
        """Rotate the family if the claim is true. Returns it as it now is, or None if no row could be changed."""
        if self._batching_enabled and (family := await self._rotate_in_batch(claim)):
            return family
        async with self._db.autocommit() as conn:
            return await rotate(conn, claim, slots=self._slots, pace=self._pace)

    async def _rotate_in_batch(self, claim: RotationClaim) -> TokenFamily | None:
        waiting = _PendingClaim(claim, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._dispatch()
        try:
            return await waiting.verdict
        except asyncio.CancelledError:
            # Who is told that nothing was done must not be rotated behind their back: the batch is given up, and the
            # others in it go on by themselves.
            if waiting.batch is not None:
                waiting.batch.cancel()
                await asyncio.wait([waiting.batch])
            raise

    def _dispatch(self) -> None:
        while self._waiting and self._in_flight < self._max_in_flight:
            batch: dict[UUID, _PendingClaim] = {}
            later = []
            for waiting in self._waiting:
                if waiting.verdict.done():
                    continue  # gave up
                # Two claims of one family are decided one after the other.
                if len(batch) < MAX_BATCH and waiting.claim.family_id not in batch:
                    batch[waiting.claim.family_id] = waiting
                else:
                    later.append(waiting)
            self._waiting = later
            if batch:
                self._in_flight += 1
                task = asyncio.create_task(self._run_batch([waiting.claim for waiting in batch.values()]))
                for waiting in batch.values():
                    waiting.batch = task
                task.add_done_callback(partial(self._on_done, batch))

    def _on_done(self, batch: dict[UUID, _PendingClaim], task: "asyncio.Task[RotatedFamilies]") -> None:
        self._in_flight -= 1
        # What went wrong may be about one of them, or about the database: each finds out by itself, and tells.
        rotated = {} if task.cancelled() or task.exception() else task.result()
        for family_id, waiting in batch.items():
            if not waiting.verdict.done():
                waiting.verdict.set_result(rotated.get(family_id))
        self._dispatch()

    async def _run_batch(self, claims: list[RotationClaim]) -> RotatedFamilies:
        return await (self._on_sqlite(claims) if self._db.writer else self._on_postgresql(claims))

    async def _on_postgresql(self, claims: Sequence[RotationClaim]) -> RotatedFamilies:
        async with self._db.autocommit() as conn:
            if len(claims) == 1:
                family = await rotate(conn, claims[0], slots=self._slots, pace=self._pace)
                return {family.id: family} if family else {}
            rows = [claim.values(self._pace) | {"from_user_agent": claim.user_agent} for claim in claims]
            values = {name: [row[name] for row in rows] for name in _CLAIMED}
            rotated = await _ROTATE_SEVERAL.all(conn, values | {"slots": self._slots, "busy_for": self._pace.interval})
            return {family.id: cast(TokenFamily, family) for family in rotated}

    async def _on_sqlite(self, claims: Sequence[RotationClaim]) -> RotatedFamilies:
        def work(connection: sqlite3.Connection) -> RotatedFamilies:
            rotated = {}
            for claim in claims:
                values = claim.values(self._pace) | {"busy_for": self._pace.interval}
                if family := _ROTATE_ON_SQLITE.one_or_none(connection, values):
                    rotated[family.id] = family
                    if self._slots:
                        row = row_values(family, user_agent=claim.user_agent, slots=self._slots)
                        _UPSERT_ON_SQLITE.one_or_none(connection, row)
            return rotated

        # Whoever is in it goes on by themselves where the file is busy, and is patient there.
        return await self._db.write(work, busy_retries=1)
