"""Another process holds the lock that every rotation needs, for longer than a request may wait."""

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from httpx2 import AsyncClient
from sqlalchemy.engine import make_url

from tests.faults.conftest import SignIn
from tests.faults.history import NOTHING
from tests.faults.load import under_load
from tests.support import databases
from tests.support.endpoints import ROTATED, UNAVAILABLE, Api
from tests.support.servers import serving


@asynccontextmanager
async def locked(database_url: str) -> AsyncIterator[None]:
    """Keep every other process from writing families, on SQLite from writing anything."""
    if database_url.startswith("sqlite"):
        file = sqlite3.connect(str(make_url(database_url).database), isolation_level=None, timeout=5)
        file.execute("BEGIN IMMEDIATE")
        yield
        file.execute("ROLLBACK")
        file.close()
    else:
        holder = await databases.connect(database_url)
        async with holder.transaction():
            await holder.execute("LOCK TABLE token_families IN EXCLUSIVE MODE")
            yield
        await holder.close()


async def test_a_lock_that_is_held_long_delays_refreshes_and_access_tokens_still_work(
    database_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    """The lock is held until every client has had two answers that say to try again."""
    pairs = await sign_in(database_url)
    async with (
        serving(database_url, tmp_path, KINDRED_DATABASE_TIMEOUT="2") as server,
        AsyncClient(base_url=server.url, timeout=15) as http,
        under_load([server.url], pairs) as history,
    ):
        async with locked(database_url):
            await history.until_each_is(UNAVAILABLE)
            assert all([await Api(http).is_live(pair.access) for pair in pairs])
            await history.until_each_is(UNAVAILABLE)
        released = time.monotonic()
        await history.until_each_is(ROTATED)
    assert history.count(NOTHING) == 0
    assert history.most_failures(begun_after=released) <= 2
