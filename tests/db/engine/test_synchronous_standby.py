"""Synchronous replication: the service acknowledges no write that no standby has, however often a client retries."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from db.engine.database import url_of
from db.migration import upgrade
from db.tables.users import UserRow
from tests.support import databases
from tests.support.endpoints import REVOKE, REVOKED, ROTATED, UNAVAILABLE, Api, RefreshEndpoint

KEY, OTHER_KEY = "the-first-attempt-of-the-phone", "the-second-attempt-of-the-phone"

pytestmark = [
    pytest.mark.skipif("KINDRED_TEST_POSTGRES_URL" in os.environ, reason="changes the settings of a whole server"),
    pytest.mark.parametrize("more_settings", [{"database_timeout": 1}], ids=[""]),
]


@pytest.fixture(scope="module")
def server() -> Iterator[databases.Server]:
    """A PostgreSQL server for this module alone: the standbys it waits for are a setting of the whole server."""
    server = databases.Server()
    yield server
    server.stop()


@pytest.fixture
async def database_url(server: databases.Server) -> AsyncIterator[str]:
    """A migrated database on that server."""
    url = await databases.create_database(server.url)
    await asyncio.to_thread(upgrade, url_of(url))
    yield url
    await databases.drop_database(url, server.url)


@asynccontextmanager
async def no_standby(url: str) -> AsyncIterator[None]:
    """While the block runs, every commit waits for a standby that does not exist."""
    connection, committing = await databases.connect(url), await databases.connect(url)
    commit: asyncio.Task[str] | None = None
    try:
        await _set_standbys(connection, "missing")
        commit = await _commit_that_waits(connection, committing)
        yield
    finally:
        await _set_standbys(connection, "")
        if commit is not None:
            async with asyncio.timeout(60):
                await commit
        await committing.close()
        await connection.close()


async def _set_standbys(connection: asyncpg.Connection, names: str) -> None:
    await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    await connection.execute("SELECT pg_reload_conf()")


async def _commit_that_waits(watching: asyncpg.Connection, committing: asyncpg.Connection) -> asyncio.Task[str]:
    """Commit on `committing` until a commit waits for a standby: the server applies a new setting after a while."""
    waits = f"SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = {committing.get_server_pid()}"
    async with asyncio.timeout(60):
        while True:
            commit = asyncio.create_task(committing.execute("SELECT pg_logical_emit_message(true, 'test', '')"))
            while not commit.done():
                if await watching.fetchval(waits):
                    return commit
                await asyncio.sleep(0.01)


async def test_a_refresh_is_503_until_a_standby_has_it_and_then_gets_its_successor(
    api: Api, endpoint: RefreshEndpoint, alice: UserRow, database_url: str
) -> None:
    first = await api.login()
    async with no_standby(database_url):
        answers = [await endpoint.refresh(first.refresh, KEY) for _ in range(3)]
        assert [answer.outcome for answer in answers] == [UNAVAILABLE] * 3
    rotated = await endpoint.refresh(first.refresh, KEY)
    assert rotated.outcome == ROTATED
    assert (await endpoint.refresh(rotated.tokens.refresh, OTHER_KEY)).outcome == ROTATED


async def test_a_replay_is_503_until_a_standby_has_the_revocation(
    api: Api, endpoint: RefreshEndpoint, alice: UserRow, database_url: str
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh, KEY)).tokens
    async with no_standby(database_url):
        answers = [await endpoint.refresh(first.refresh, OTHER_KEY) for _ in range(3)]
        answers.append(await endpoint.refresh(second.refresh))
        assert [answer.outcome for answer in answers] == [UNAVAILABLE] * 4
    # The first replay revoked the session, and no answer said so before a standby had it.
    assert (await endpoint.refresh(first.refresh, OTHER_KEY)).outcome == REVOKED
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED


async def test_a_revocation_is_503_until_a_standby_has_it(api: Api, alice: UserRow, database_url: str) -> None:
    pair = await api.login()
    by_token, by_id = {"refreshToken": pair.refresh}, {"id": pair.session_id}
    async with no_standby(database_url):
        assert await api.codes(REVOKE, {"input": by_id}, pair.access) == ["UNAVAILABLE"]
        # This server has revoked the session, so the access token no longer works. The refresh token may still revoke.
        for _ in range(2):
            assert await api.codes(REVOKE, {"input": by_token}) == ["UNAVAILABLE"]
    revoked = await api.data(REVOKE, {"input": by_token})
    assert revoked["revokeSession"]["session"]["state"] == "REVOKED"
