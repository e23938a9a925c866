"""Writes are atomic and durable: committed before the answer, and still there after `kill -9` and a restart."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy.engine import make_url

from auth.config.settings import Settings
from auth.credentials.login_throttle import REFRESH_RATE_LIMIT
from auth.crypto.tokens import TokenKind, decode_token, derive_successor, digest
from auth.services import Services
from db.hot_path.rotation import RotationClaim, rotate
from db.tables.users import UserRow
from graph.app import create_app
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.endpoints import ENDPOINTS, REPLAYED, REVOKED, ROTATED, Api, RefreshEndpoint
from tests.support.servers import backstage, serving

KEY = "the-first-attempt-of-the-phone"
REPLAY = "REFRESH_TOKEN_REPLAYED"
REPLAYS = f"SELECT count(*) FROM security_events WHERE kind = '{REPLAY}'"
REVOKED_BY_REPLAY = (
    f"SELECT count(*) FROM token_families WHERE revoked_at IS NOT NULL AND revocation_reason = '{REPLAY}'"
)
GENERATIONS = """
SELECT token_families.generation, max(refresh_tokens.generation)
FROM token_families JOIN refresh_tokens ON refresh_tokens.family_id = token_families.id
GROUP BY token_families.generation
"""


async def read_row(database_url: str, query: str) -> tuple[Any, ...]:
    """Return the one row that an independent connection reads, without the service's code."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        file = sqlite3.connect(url.database or "")
        try:
            return tuple(file.execute(query).fetchone())
        finally:
            file.close()
    connection = await databases.connect(database_url)
    try:
        return tuple(await connection.fetchrow(query))
    finally:
        await connection.close()


async def test_rot_06_the_revocation_after_a_replay_is_committed_before_the_answer(
    api: Api, endpoint: RefreshEndpoint, alice: UserRow, database_url: str
) -> None:
    first = await api.login()
    await endpoint.refresh(first.refresh)
    assert await read_row(database_url, REVOKED_BY_REPLAY) == (0,)
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert await read_row(database_url, REVOKED_BY_REPLAY) == (1,)
    assert await read_row(database_url, REPLAYS) == (1,)


async def test_rot_06_rot_08_answered_rotations_and_replays_survive_kill_9(
    database_url: str, password_hash: str, tmp_path: Path
) -> None:
    async with backstage(database_url, password_hash) as behind:
        user = await behind.user()
        replayed, rotated, idle = [await behind.session(user) for _ in range(3)]
    async with serving(database_url, tmp_path) as server, AsyncClient(base_url=server.url, timeout=30) as http:
        graphql, rest = (endpoint(http) for endpoint in ENDPOINTS.values())
        after_rotated = (await graphql.refresh(rotated.refresh)).tokens
        after_replayed = (await rest.refresh(replayed.refresh)).tokens
        # The server is killed directly after it answers the replay.
        assert (await graphql.refresh(replayed.refresh)).outcome == REPLAYED
        server.kill()
    assert await read_row(database_url, REVOKED_BY_REPLAY) == (1,)
    assert await read_row(database_url, REPLAYS) == (1,)

    async with serving(database_url, tmp_path) as server, AsyncClient(base_url=server.url, timeout=30) as http:
        graphql, rest = (endpoint(http) for endpoint in ENDPOINTS.values())
        assert (await rest.refresh(after_replayed.refresh)).outcome == REVOKED
        assert not await Api(http).is_live(after_replayed.access)
        assert await Api(http).is_live(after_rotated.access)
        assert (await rest.refresh(idle.refresh)).outcome == ROTATED
        # Still known as rotated: the killed process did not keep that in its memory alone.
        assert (await graphql.refresh(rotated.refresh)).outcome == REPLAYED
        server.kill()
    assert await read_row(database_url, REVOKED_BY_REPLAY) == (2,)


@pytest.mark.parametrize("name", list(ENDPOINTS))
async def test_rot_08_after_a_restart_a_retry_gets_the_same_successor_and_a_replay_is_detected(
    name: str, api: Api, alice: UserRow, database_url: str, clock: FakeClock, settings_for: Callable[..., Settings]
) -> None:
    first = await api.login()
    second = (await ENDPOINTS[name](api.http).refresh(first.refresh, KEY)).tokens
    restarted = create_app(settings_for(database_url), clock=clock)
    async with (
        restarted.router.lifespan_context(restarted),
        AsyncClient(transport=ASGITransport(restarted), base_url="http://kindred.test") as http,
    ):
        endpoint = ENDPOINTS[name](http)
        assert (await endpoint.refresh(first.refresh, KEY)).tokens.refresh == second.refresh
        assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
        assert (await endpoint.refresh(second.refresh)).outcome == REVOKED


async def test_rot_03_a_replay_during_an_uncommitted_rotation_revokes_the_successor_too(
    api: Api, endpoint: RefreshEndpoint, alice: UserRow, services: Services, clock: FakeClock
) -> None:
    # One statement on one row consumes the parent and stores the child, so nothing can happen between the two. The
    # test pauses the transaction around it: the replay waits for the lock and is decided after the commit.
    first = await api.login()
    token_pairs = services.rotation.token_pairs
    presented = decode_token(token_pairs.issuer, first.refresh, TokenKind.REFRESH, clock.now())
    jti = derive_successor(presented, KEY)
    async with services.db.transaction() as paused:
        family = await rotate(
            paused,
            RotationClaim(
                presented.user_id,
                presented.session_id,
                presented=digest(presented.jti),
                successor=digest(jti),
                now=clock.now(),
                idle_limit=clock.now() + timedelta(days=30),
                ip=None,
                user_agent=None,
            ),
            slots=16,
            rate_limit=services.rotation.rate_limit,
        )
        assert family is not None
        replay = asyncio.create_task(endpoint.refresh(first.refresh))
        await asyncio.sleep(0.2)
        assert not replay.done()
    assert (await replay).outcome == REPLAYED
    child = token_pairs.create(family, jti, clock.now())
    assert (await endpoint.refresh(child.refresh_token, KEY)).outcome == REVOKED
    assert not await api.is_live(child.access_token)


async def test_rot_03_a_reader_never_sees_a_rotation_without_its_lineage_row(
    api: Api, endpoint: RefreshEndpoint, alice: UserRow, database_url: str
) -> None:
    token = (await api.login()).refresh
    seen: set[int] = set()

    async def look() -> None:
        while REFRESH_RATE_LIMIT.burst + 1 not in seen:
            generation, newest = await read_row(database_url, GENERATIONS)
            assert generation == newest
            seen.add(generation)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    for number in range(REFRESH_RATE_LIMIT.burst):
        while number == 5 and not seen and not looking.done():
            await asyncio.sleep(0.01)
        token = (await endpoint.refresh(token)).tokens.refresh
    async with asyncio.timeout(30):
        await looking
    assert len(seen) > 1
