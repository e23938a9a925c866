"""Measure how a flood of wrong passwords affects other users: `make bench-login-flood`.

Starts its own PostgreSQL server and one worker of the service. Fifty refreshes a second of other users' sessions are
timed, first alone and then while a hundred wrong passwords arrive each second, each under another name and from another
address, so that the throttle refuses none of them and each would need a hash. Both kinds arrive at their own pace,
whether the service keeps up or not. Clients, database and service share the machine's cores.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from functools import partial
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from db.engine.database import url_of
from db.migration import upgrade
from tests.bench.client import Connection
from tests.bench.seeding import seed
from tests.bench.service import REFRESH
from tests.support.databases import Server, create_database
from tests.support.endpoints import LOGIN
from tests.support.servers import serving

SESSIONS, REFRESHES, ATTEMPTS = 96, 50, 100  # the last two for each second


class Flood:
    """Requests that arrive at a steady pace, over as many connections as that takes."""

    def __init__(self, port: int) -> None:
        self._port = port
        # Each with the time of its last use.
        self._idle = deque[tuple[Connection, float]]()
        self.latencies: list[float] = []
        self.outcomes = Counter[str]()
        self._numbers = count()
        self._rng = random.Random(1)

    async def log_in(self) -> None:
        """One wrong password, under a name and from an address of its own."""
        given = {"username": f"unknown-{next(self._numbers)}", "password": "not this one either"}
        address = str(IPv4Address(self._rng.randrange(2**24, 2**31)))
        status, answer = await self._post(LOGIN, {"input": given}, x_forwarded_for=address)
        self.outcomes[answer["data"]["login"]["__typename"] if status == 200 else f"HTTP {status}"] += 1

    async def refresh(self, chains: deque[str]) -> None:
        """One refresh of the session that was refreshed longest ago."""
        token = chains.popleft()
        begun = time.perf_counter()
        given = {"refreshToken": token, "idempotencyKey": f"flood-attempt-{next(self._numbers):012d}"}
        status, answer = await self._post(REFRESH, {"input": given})
        self.latencies.append(time.perf_counter() - begun)
        if status != 200 or "tokens" not in answer["data"]["refreshToken"]:
            raise RuntimeError(f"a refresh was refused: HTTP {status}, {answer}")
        chains.append(answer["data"]["refreshToken"]["tokens"]["refreshToken"])

    async def _post(self, query: str, variables: dict[str, Any], **headers: str) -> tuple[int, Any]:
        while self._idle and time.perf_counter() - self._idle[0][1] > 3:  # the service soon closes it
            self._idle.popleft()[0].close()
        connection = self._idle.pop()[0] if self._idle else await Connection.open("127.0.0.1", self._port)
        answer = await connection.post(query, variables, **headers)
        self._idle.append((connection, time.perf_counter()))
        return answer

    def close(self) -> None:
        """Close the connections."""
        for connection, _ in self._idle:
            connection.close()


async def at_a_pace(each_second: int, seconds: float, begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin so many each second, and wait until all have ended."""
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(each_second * seconds)):
            await asyncio.sleep(max(begun + number / each_second - time.perf_counter(), 0))
            group.create_task(begin())


def line(name: str, flood: Flood, attempts: Flood | None, service: psutil.Process) -> str:
    """A line of the table."""
    percentile = statistics.quantiles(flood.latencies, n=100)
    said = ", ".join(f"{kind} {number}" for kind, number in (attempts.outcomes if attempts else {}).items())
    return (
        f"{name:<22}{percentile[49] * 1000:>8.1f}{percentile[98] * 1000:>8.1f}{max(flood.latencies) * 1000:>8.1f}"
        f"{service.memory_info().rss / 2**20:>9.0f}  {said}"
    )


async def main(seconds: float) -> None:
    """Measure refreshes alone, and during the flood."""
    print(f"{REFRESHES} refreshes each second for {seconds:g} s, of {SESSIONS} sessions, one worker, PostgreSQL")
    print(f"{'':<22}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}{'RSS MiB':>9}  outcomes of the attempts")
    server = Server(fsync=True)
    try:
        url = await create_database(server.url)
        await asyncio.to_thread(upgrade, url_of(url))
        sessions = await seed(url, people=SESSIONS, sessions_each=1)
        with tempfile.TemporaryDirectory(prefix="kindred-bench-") as folder:
            async with serving(url, Path(folder), KINDRED_TRUSTED_PROXIES="127.0.0.1") as running:
                port = int(running.url.rpartition(":")[2])
                service = psutil.Process(running.process.pid)
                chains = deque(session.refresh_token for session in sessions)
                for name, with_attempts in (("alone", False), ("with 100 attempts/s", True), ("alone again", False)):
                    refreshes, attempts = Flood(port), Flood(port)
                    await asyncio.gather(
                        at_a_pace(REFRESHES, seconds, partial(refreshes.refresh, chains)),
                        at_a_pace(ATTEMPTS if with_attempts else 0, seconds, attempts.log_in),
                    )
                    print(line(name, refreshes, attempts if with_attempts else None, service))
                    refreshes.close()
                    attempts.close()
    finally:
        server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="how long each is measured (10)")
    asyncio.run(main(parser.parse_args().seconds))
