"""`kill -9` of one of two workers."""

import asyncio
import time
from pathlib import Path

from tests.faults.conftest import SignIn
from tests.faults.load import under_load
from tests.support.endpoints import UNAVAILABLE
from tests.support.servers import serving


async def test_a_worker_that_is_killed_takes_no_session_with_it_and_is_replaced(
    database_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(database_url)
    async with serving(database_url, tmp_path, workers=2) as server, under_load([server.url], pairs) as history:
        before = server.workers
        killed = time.monotonic()
        before[0].kill()
        await asyncio.sleep(4)
        assert len(set(server.workers) - set(before)) == 1
    assert history.downtime_after(killed) < 2
    assert history.count(UNAVAILABLE) == 0
