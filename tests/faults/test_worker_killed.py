"""`kill -9` of one of two workers."""

import asyncio
import time
from pathlib import Path

from tests.faults.conftest import SignIn
from tests.faults.load import under_load
from tests.support.endpoints import ROTATED, UNAVAILABLE
from tests.support.servers import serving


async def test_a_killed_worker_loses_no_session_and_is_replaced(
    database_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(database_url)
    async with serving(database_url, tmp_path, workers=2) as server:
        await server.until_ready()
        async with under_load([server.url], pairs) as history:
            before = server.workers
            killed = time.monotonic()
            before[0].kill()
            await history.until_each_is(ROTATED)
            await server.until("ended by signal 9")
            async with asyncio.timeout(60):
                while len(set(server.workers) - set(before)) != 1:
                    await asyncio.sleep(0.05)
            await history.until_each_is(ROTATED)
    assert history.most_failures(begun_after=killed) <= 2
    assert history.count(UNAVAILABLE) == 0
