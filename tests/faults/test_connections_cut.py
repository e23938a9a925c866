"""The network between the service and PostgreSQL cuts connections, at any moment."""

import asyncio
import random
import time
from pathlib import Path

from tests.faults.conftest import SignIn
from tests.faults.history import NOTHING
from tests.faults.load import under_load
from tests.support.endpoints import ROTATED
from tests.support.proxy import proxied
from tests.support.servers import serving


async def test_no_session_is_lost_while_database_connections_are_cut(
    postgresql_url: str, sign_in: SignIn, tmp_path: Path
) -> None:
    rng = random.Random(1)
    pairs = await sign_in(postgresql_url)
    async with (
        proxied(postgresql_url) as proxy,
        serving(proxy.url, tmp_path) as server,
        under_load([server.url], pairs) as history,
    ):
        for _ in range(40):
            await asyncio.sleep(rng.uniform(0, 0.2))
            proxy.cut()
        healed = time.monotonic()
        await history.until_each_is(ROTATED)
    assert proxy.cuts > 40
    assert history.count(NOTHING) == 0
    assert history.most_failures(begun_after=healed) <= 2
