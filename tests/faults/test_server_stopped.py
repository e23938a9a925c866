"""One of two servers is stopped, as in each deployment."""

import asyncio
import signal
from pathlib import Path

from tests.faults.conftest import SignIn
from tests.faults.load import under_load
from tests.support.endpoints import ROTATED, UNAVAILABLE
from tests.support.servers import serving


async def test_ops_08_a_server_that_is_stopped_answers_its_running_requests_and_exits(
    database_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(database_url)
    async with (
        serving(database_url, tmp_path, KINDRED_HTTP_READ_TIMEOUT="300") as leaving,
        serving(database_url, tmp_path) as staying,
        under_load([leaving.url, staying.url], pairs) as history,
    ):
        leaving.process.terminate()
        # It does not wait for idle clients, whose connections it would keep open for five minutes.
        async with asyncio.timeout(60):
            while leaving.process.poll() is None:
                await asyncio.sleep(0.05)
        await history.until_each_is(ROTATED)
    # After the last answer, uvicorn exits as the signal would have ended it.
    assert leaving.process.returncode in (0, -signal.SIGTERM)
    assert history.count(UNAVAILABLE) == 0
