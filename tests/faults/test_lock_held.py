"""Somebody else holds the lock that every rotation needs, for ten seconds."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.faults.conftest import SignIn
from tests.faults.history import ACCEPTED, NOTHING
from tests.faults.load import under_load
from tests.support import databases
from tests.support.endpoints import UNAVAILABLE
from tests.support.servers import serving


@asynccontextmanager
async def locked(database_url: str) -> AsyncIterator[None]:
    """Nobody else writes a family: on SQLite anything at all."""
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


async def test_a_lock_that_is_held_for_ten_seconds_delays_refreshes_and_stops_no_reader(
    database_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(database_url)
    async with serving(database_url, tmp_path) as server, under_load([server.url], pairs) as history:
        async with locked(database_url):
            held = time.monotonic()
            await asyncio.sleep(10)
        released = time.monotonic()
        await asyncio.sleep(3)
    assert history.count(UNAVAILABLE) > 0
    assert history.count(NOTHING) == 0
    assert history.count(ACCEPTED, begun_after=held) > 0
    assert history.downtime_after(released) < 2
    assert history.longest() < 6
