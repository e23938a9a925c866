"""The disk is full, for SQLite."""

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import SignIn
from tests.faults.history import ACCEPTED, NOTHING
from tests.faults.load import under_load
from tests.support.endpoints import UNAVAILABLE
from tests.support.servers import serving

LIMIT = 16 * 1024  # bytes


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="only Linux limits another process's files")
async def test_a_disk_without_room_delays_refreshes_and_stops_no_reader(
    sqlite_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(sqlite_url)
    async with serving(sqlite_url, tmp_path) as server, under_load([server.url], pairs) as history:
        service = psutil.Process(server.process.pid)
        unlimited = service.rlimit(psutil.RLIMIT_FSIZE)
        # No file is written beyond this size, which SQLite's log has long passed.
        service.rlimit(psutil.RLIMIT_FSIZE, (LIMIT, unlimited[1]))
        full = time.monotonic()
        await asyncio.sleep(6)  # longer than a request may wait
        service.rlimit(psutil.RLIMIT_FSIZE, unlimited)
        roomy = time.monotonic()
        await asyncio.sleep(3)
    assert history.count(UNAVAILABLE) > 0
    assert history.count(NOTHING) == 0
    assert history.count(ACCEPTED, begun_after=full) > 0
    assert history.downtime_after(roomy) < 2
