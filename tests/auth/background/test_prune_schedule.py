"""Scheduled pruning: one worker at a time, a successor if it dies, and no delay for refreshes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import delete, func, insert, select

from auth.background import prune_schedule, pruning
from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.services import Services
from db.drivers.errors import RolledBack
from db.tables.families import families
from db.tables.leases import leases
from db.tables.refresh_tokens import refresh_tokens
from db.tables.users import UserRow
from tests.support.clocks import FakeClock, OffsetClock
from tests.support.endpoints import INVALID, REPLAYED, ROTATED, Api, RefreshEndpoint, RestEndpoint
from tests.support.servers import SECRET, backstage, serving
from tests.support.sql import looking_at

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


def ended_family(user: UserRow, now: datetime) -> dict[str, Any]:
    long_ago = now - 400 * DAY
    return {
        "user_id": user.id,
        "id": uuid4(),
        "token_digest": b"x" * 32,
        "generation": 16,
        "created_at": long_ago,
        "last_used_at": long_ago,
        "expires_at": long_ago + 7 * DAY,
        "absolute_expires_at": long_ago + 30 * DAY,
    }


async def fill(services: Services, user: UserRow, now: datetime, number: int, *, lineage: int = 0) -> None:
    """Insert sessions that ended long ago, each with this many rows of lineage."""
    rows = [ended_family(user, now) for _ in range(number)]
    token = {"user_id": user.id, "issued_at": now, "expires_at": now, "ip": "192.0.2.1", "user_agent": "x" * 120}
    async with looking_at(services.db) as conn:
        await conn.execute(insert(families), rows)
        if lineage:
            await conn.execute(
                insert(refresh_tokens),
                [
                    token | {"family_id": row["id"], "slot": slot, "generation": slot + 1}
                    for row in rows
                    for slot in range(lineage)
                ],
            )


async def count_sessions(services: Services) -> int:
    async with looking_at(services.db) as conn:
        return int((await conn.execute(select(func.count()).select_from(families))).scalar_one())


@pytest.fixture
async def other_worker(
    database_url: str, settings_for: Callable[..., Settings], clock: FakeClock
) -> AsyncIterator[Services]:
    """Another worker on the same database."""
    services = Services.create(settings_for(database_url, hashing_threads=1), SECRET.encode(), Entropy())
    yield services
    await services.stop()


async def test_data_03_only_one_worker_prunes_in_each_interval(
    services: Services, other_worker: Services, alice: UserRow, clock: FakeClock
) -> None:
    await fill(services, alice, clock.now(), 3)
    workers = [services.prune_schedule, other_worker.prune_schedule] * 3
    results = await asyncio.gather(*(worker.prune_if_due(clock) for worker in workers))
    (pruned,) = [pruned for pruned in results if pruned is not None]
    assert pruned.sessions == 3
    # Once the interval is over, the first worker to ask prunes.
    await fill(services, alice, clock.now(), 2)
    clock.advance(HOUR - SECOND)
    assert [await worker.prune_if_due(clock) for worker in workers] == [None] * 6
    clock.advance(SECOND)
    next_time = await other_worker.prune_schedule.prune_if_due(clock)
    assert next_time is not None
    assert next_time.sessions == 2
    assert await services.prune_schedule.prune_if_due(clock) is None


async def test_a_worker_that_dies_while_it_prunes_blocks_others_for_at_most_an_interval(
    services: Services, other_worker: Services, alice: UserRow, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(services, alice, clock.now(), 30)
    monkeypatch.setattr(pruning, "BATCH", 10)
    monkeypatch.setattr(prune_schedule, "PAUSE", 30)
    dying = asyncio.create_task(services.prune_schedule.prune_if_due(clock))
    while await count_sessions(other_worker) == 30:
        await asyncio.sleep(0.01)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    monkeypatch.setattr(prune_schedule, "PAUSE", 0)
    assert await other_worker.prune_schedule.prune_if_due(clock) is None
    clock.advance(HOUR)
    pruned = await other_worker.prune_schedule.prune_if_due(clock)
    assert pruned is not None
    assert pruned.sessions == 20


async def test_rot_20_a_lease_from_a_clock_far_ahead_blocks_no_worker(
    services: Services, other_worker: Services, clock: FakeClock
) -> None:
    clock.step(365 * DAY)
    assert await services.prune_schedule.prune_if_due(clock) is not None
    clock.step(-365 * DAY)
    assert await other_worker.prune_schedule.prune_if_due(clock) is not None
    # But workers whose clocks differ by some seconds respect each other's lease.
    assert await services.prune_schedule.prune_if_due(OffsetClock(clock, -30 * SECOND)) is None
    assert await services.prune_schedule.prune_if_due(OffsetClock(clock, 30 * SECOND)) is None


@pytest.mark.parametrize("more_settings", [{"prune_interval": SECOND}], ids=["1-s"])
async def test_a_worker_prunes_no_longer_than_it_holds_the_lease(
    services: Services, alice: UserRow, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 10)
    monkeypatch.setattr(prune_schedule, "PAUSE", 0)
    batches, prune_batch = 0, pruning.Pruning._prune_batch

    async def the_third_hangs(self: pruning.Pruning, batch: Any) -> int:
        nonlocal batches
        batches += 1
        if batches == 3:
            await asyncio.Event().wait()
        return await prune_batch(self, batch)

    monkeypatch.setattr(pruning.Pruning, "_prune_batch", the_third_hangs)
    await fill(services, alice, clock.now(), 100)
    async with asyncio.timeout(60):
        assert await services.prune_schedule.prune_if_due(clock) is None
    assert await count_sessions(services) == 80
    # The next run deletes the rest.
    clock.advance(SECOND)
    pruned = await services.prune_schedule.prune_if_due(clock)
    assert pruned is not None
    assert pruned.sessions == 80


@pytest.mark.parametrize(
    "more_settings", [{"refresh_token_ttl": 7 * DAY, "session_ttl": 60 * DAY}], ids=["idle-7-days"]
)
async def test_rot_09_a_replay_is_detected_after_any_pruning_and_without_lineage(
    api: Api, endpoint: RefreshEndpoint, alice: UserRow, services: Services, clock: FakeClock
) -> None:
    pairs = [await api.login()]
    await fill(services, alice, clock.now(), 5)
    for _ in range(10):
        clock.advance(5 * DAY)
        pairs.append((await endpoint.refresh(pairs[-1].refresh)).tokens)
        assert await services.prune_schedule.prune_if_due(clock) is not None
    assert await count_sessions(services) == 1
    async with looking_at(services.db) as conn:
        await conn.execute(delete(refresh_tokens))
    assert await api.is_live(pairs[-1].access)
    assert (await endpoint.refresh(pairs[3].refresh)).outcome == REPLAYED
    clock.advance(31 * DAY)
    pruned = await services.prune_schedule.prune_if_due(clock)
    assert pruned is not None
    assert pruned.sessions == 1
    assert (await endpoint.refresh(pairs[-1].refresh)).outcome == INVALID


async def test_outages_and_bugs_do_not_stop_the_schedule(
    services: Services, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults: list[Exception | None] = [RolledBack(), ValueError("a bug"), None, RolledBack(), None]
    done = asyncio.Event()

    async def prune(self: object, _clock: FakeClock) -> None:
        fault = faults.pop(0)
        if not faults:
            done.set()
        if fault is not None:
            raise fault

    monkeypatch.setattr(prune_schedule.PruneSchedule, "prune_if_due", prune)
    often = prune_schedule.PruneSchedule(
        services.db, services.pruning, services.entropy, timedelta(milliseconds=20), DAY
    )
    with caplog.at_level(logging.WARNING, "kindred"):
        task = asyncio.create_task(often.run(clock))
        async with asyncio.timeout(60):
            await done.wait()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    levels = [record.levelname for record in caplog.records if record.name == "kindred"]
    assert levels == ["WARNING", "ERROR", "WARNING"]


def test_workers_that_start_together_prune_at_different_times() -> None:
    fractions = [Entropy().fraction() for _ in range(1000)]
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert len(set(fractions)) == 1000
    assert 0.4 < sum(fractions) / 1000 < 0.6


async def test_dos_06_refreshes_do_not_wait_for_the_pruning_of_many_sessions(
    api: Api, alice: UserRow, services: Services, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five thousand sessions with all of their lineage, and a client that refreshes while they are pruned."""
    pair = await api.login()
    await fill(services, alice, clock.now(), 5000, lineage=16)
    monkeypatch.setattr(prune_schedule, "PAUSE", 0.02)
    endpoint = RestEndpoint(api.http)
    batches, prune_batch = 0, pruning.Pruning._prune_batch

    async def counted(self: pruning.Pruning, batch: Any) -> int:
        nonlocal batches
        batches += 1
        return await prune_batch(self, batch)

    monkeypatch.setattr(pruning.Pruning, "_prune_batch", counted)
    pruning_ends = asyncio.create_task(services.prune_schedule.prune_if_due(clock))
    waits: list[int] = []
    while not pruning_ends.done():
        clock.advance(60 * SECOND)
        before = batches
        refreshed = await endpoint.refresh(pair.refresh)
        waits.append(batches - before)
        assert refreshed.outcome == ROTATED
        pair = refreshed.tokens
        await asyncio.sleep(0.005)
    pruned = await pruning_ends
    assert pruned is not None
    assert pruned.sessions == 5000
    assert len(waits) > 10
    # The batches are small, and each refresh waits for a few of them at most, however long those take on this machine.
    assert batches >= 50
    assert max(waits) <= 5


async def test_data_03_ops_05_if_one_of_two_servers_dies_the_other_one_prunes(
    database_url: str, tmp_path: Path, password_hash: str
) -> None:
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(backstage(database_url, password_hash))
        first = await stack.enter_async_context(serving(database_url, tmp_path, KINDRED_PRUNE_INTERVAL="1"))
        second = await stack.enter_async_context(serving(database_url, tmp_path, KINDRED_PRUNE_INTERVAL="1"))
        user = await behind.user()
        pair = await behind.session(user)
        for server in (first, second):
            await fill(behind.services, user, SystemClock().now(), 700)
            async with asyncio.timeout(15):
                while await count_sessions(behind.services) > 1:
                    await asyncio.sleep(0.05)
            if server is first:
                first.kill()
        async with AsyncClient(base_url=second.url) as http:
            assert (await RestEndpoint(http).refresh(pair.refresh)).outcome == ROTATED
            assert await Api(http).is_live(pair.access)


async def test_prune_interval_0_turns_scheduled_pruning_off(
    sqlite_url: str, tmp_path: Path, password_hash: str
) -> None:
    async with (
        backstage(sqlite_url, password_hash) as behind,
        serving(sqlite_url, tmp_path, KINDRED_PRUNE_INTERVAL="0"),
    ):
        await fill(behind.services, await behind.user(), SystemClock().now(), 3)
        await asyncio.sleep(2)
        assert await count_sessions(behind.services) == 3
        async with looking_at(behind.services.db) as conn:
            assert (await conn.execute(select(leases))).all() == []
