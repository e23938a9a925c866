"""PostgreSQL is restarted, in an orderly way and by a crash."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.conftest import SignIn
from tests.faults.history import NOTHING
from tests.faults.load import under_load
from tests.support.databases import Server
from tests.support.endpoints import ROTATED, UNAVAILABLE
from tests.support.servers import serving


@pytest.mark.parametrize("crash", [False, True], ids=["orderly", "crash"])
async def test_a_restart_of_the_database_only_delays_refreshes(
    own_server: Server, own_database: str, sign_in: SignIn, tmp_path: Path, crash: bool
) -> None:
    pairs = await sign_in(own_database)
    async with (
        serving(own_database, tmp_path, KINDRED_DATABASE_TIMEOUT="2") as server,
        under_load([server.url], pairs) as history,
    ):
        await asyncio.to_thread(own_server.go_down, crash=crash)
        await history.until_each_is(UNAVAILABLE)
        await asyncio.to_thread(own_server.come_back)
        returned = time.monotonic()
        await history.until_each_is(ROTATED)
    assert history.count(NOTHING) == 0
    assert history.most_failures(begun_after=returned) <= 2
