"""Every connection to PostgreSQL is busy."""

import time
from pathlib import Path

from tests.faults.conftest import SignIn
from tests.faults.history import NOTHING
from tests.faults.load import under_load
from tests.support import databases
from tests.support.endpoints import ROTATED, UNAVAILABLE
from tests.support.servers import serving


async def test_dos_06_a_service_without_a_free_connection_answers_503_in_time_and_recovers(
    postgresql_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(postgresql_url)
    async with (
        serving(postgresql_url, tmp_path, KINDRED_DATABASE_POOL_SIZE="2", KINDRED_DATABASE_TIMEOUT="2") as server,
        under_load([server.url], pairs) as history,
    ):
        holder = await databases.connect(postgresql_url)
        # Each refresh waits for its row, and holds a connection while it waits.
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM token_families FOR UPDATE")
            await history.until_each_is(UNAVAILABLE)
        released = time.monotonic()
        await holder.close()
        await history.until_each_is(ROTATED)
    assert history.count(NOTHING) == 0
    assert history.most_failures(begun_after=released) <= 2
