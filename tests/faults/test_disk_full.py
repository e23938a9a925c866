"""The disk of SQLite is full."""

import time
from pathlib import Path

import psutil
import pytest
from httpx2 import AsyncClient

from tests.faults.conftest import SignIn
from tests.faults.history import NOTHING
from tests.faults.load import under_load
from tests.support.endpoints import ROTATED, UNAVAILABLE, Api
from tests.support.servers import serving

LIMIT = 16 * 1024  # bytes


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="only Linux limits another process's files")
async def test_a_full_disk_delays_refreshes_and_access_tokens_still_work(
    sqlite_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(sqlite_url)
    async with (
        serving(sqlite_url, tmp_path, KINDRED_DATABASE_TIMEOUT="2") as server,
        AsyncClient(base_url=server.url, timeout=15) as http,
        under_load([server.url], pairs) as history,
    ):
        service = psutil.Process(server.process.pid)
        unlimited = service.rlimit(psutil.RLIMIT_FSIZE)
        # No file is written beyond this size, which SQLite's log has long passed.
        service.rlimit(psutil.RLIMIT_FSIZE, (LIMIT, unlimited[1]))
        await history.until_each_is(UNAVAILABLE)
        assert all([await Api(http).is_live(pair.access) for pair in pairs])
        service.rlimit(psutil.RLIMIT_FSIZE, unlimited)
        freed = time.monotonic()
        await history.until_each_is(ROTATED)
    assert history.count(NOTHING) == 0
    assert history.most_failures(begun_after=freed) <= 2
