"""What a rotation costs: `python -m tests.bench.rotation`, or `make bench`.

Starts a PostgreSQL of its own (with fsync, as in production) and one worker of the service, signs in 64 times, and
follows the 64 token chains with 16 clients. Every rotation is a GraphQL mutation over HTTP. Service, database and
clients share the machine's cores, so the rate says as much of the machine as of the service: CPU per rotation is the
figure to compare, taken from the processes' own times.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path

import psutil

from auth.clock import SystemClock
from auth.entropy import Entropy
from auth.outcomes import WeakPassword
from auth.service import Kindred
from auth.settings import Settings
from db.engine import url_of
from db.migrate import upgrade
from tests.bench.client import Connection
from tests.support.databases import Server, create_database, migrated_sqlite
from tests.support.doors import LOGIN, PASSWORD
from tests.support.servers import SECRET, serving

REFRESH = """
mutation Refresh($input: RefreshTokenInput!) {
  refreshToken(input: $input) {
    __typename
    ... on RefreshTokenSuccess { tokens { accessToken refreshToken expiresIn } }
    ... on UserError { message }
  }
}
"""


def cpu_seconds(process: psutil.Process) -> float:
    """What a process has used, and all of its children; of this one's own children, which are measured, nothing."""
    own = process.pid == os.getpid()
    family = [process] if own else [process, *process.children(recursive=True)]
    return sum(times.user + times.system for times in (one.cpu_times() for one in family))


async def add_user(url: str) -> None:
    """Make the one user whose sessions are refreshed."""
    kindred = Kindred.build(Settings(database_url=url, secret=SECRET), SECRET.encode(), Entropy())
    made = await kindred.accounts.add("alice", None, PASSWORD, SystemClock().now())
    assert not isinstance(made, WeakPassword)
    await kindred.stop()


async def sign_in(port: int, count: int) -> deque[str]:
    """That many sessions' first refresh tokens."""
    connection = await Connection.open("127.0.0.1", port)
    tokens = deque[str]()
    for _ in range(count):
        data = await connection.graphql(LOGIN, {"input": {"username": "alice", "password": PASSWORD}})
        tokens.append(data["login"]["tokens"]["refreshToken"])
    connection.close()
    return tokens


async def follow(port: int, chains: deque[str], clients: int, seconds: float) -> list[float]:
    """Rotate for so long; returns how long each rotation took, in seconds. Fails at the first that is refused."""
    latencies: list[float] = []
    keys = itertools.count()
    end = time.perf_counter() + seconds

    async def client() -> None:
        connection = await Connection.open("127.0.0.1", port)
        while (begun := time.perf_counter()) < end:
            token = chains.popleft()
            given = {"refreshToken": token, "idempotencyKey": f"bench-attempt-{next(keys):012d}"}
            result = (await connection.graphql(REFRESH, {"input": given}))["refreshToken"]
            if result["__typename"] != "RefreshTokenSuccess":
                raise RuntimeError(f"a rotation was refused: {result}")
            latencies.append(time.perf_counter() - begun)
            chains.append(result["tokens"]["refreshToken"])
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return latencies


async def measure(
    url: str, name: str, folder: Path, database: psutil.Process | None, options: argparse.Namespace
) -> None:
    """Start the service over one database, measure, and print a line."""
    await add_user(url)
    # Only in development can the throttle be off, which lets nobody refresh one session as fast as this.
    environment, throttle = "development", "off"
    async with serving(url, folder, KINDRED_ENVIRONMENT=environment, KINDRED_THROTTLE=throttle) as server:
        service, me = psutil.Process(server.process.pid), psutil.Process()
        port = int(server.url.rpartition(":")[2])
        chains = await sign_in(port, options.sessions)
        await follow(port, chains, options.clients, options.seconds / 5)  # warm up: caches, pool, prepared statements
        watched = [service, me] + ([database] if database else [])
        before = [cpu_seconds(process) for process in watched]
        begun = time.perf_counter()
        latencies = await follow(port, chains, options.clients, options.seconds)
        elapsed = time.perf_counter() - begun
        used = [cpu_seconds(process) - earlier for process, earlier in zip(watched, before, strict=True)]
        count = len(latencies)
        percentile = statistics.quantiles(latencies, n=100)
        of_database = f"{used[2] / count * 1000:8.2f}" if database else f"{'-':>8}"
        print(
            f"{name:<12}{count / elapsed:>12.0f}{percentile[49] * 1000:>10.1f}{percentile[98] * 1000:>10.1f}"
            f"{used[0] / count * 1000:>12.2f}{of_database}{used[1] / count * 1000:>8.2f}"
            f"{service.memory_info().rss / 2**20:>10.0f}"
        )


async def main(options: argparse.Namespace) -> None:
    """Measure over each database that was asked for."""
    print(f"{options.sessions} sessions, {options.clients} clients, {options.seconds:g} s, one worker, GraphQL")
    print(
        f"{'':<12}{'rotations/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms each:':>12}\n"
        f"{'':<44}{'service':>12}{'database':>8}{'client':>8}{'RSS MiB':>10}"
    )
    with tempfile.TemporaryDirectory(prefix="kindred-bench-") as name:
        folder = Path(name)
        if "postgresql" in options.databases:
            server = Server(fsync=True)
            try:
                url = await create_database(server.url)
                await asyncio.to_thread(upgrade, url_of(url))
                await measure(url, "postgresql", folder, server.process(), options)
            finally:
                server.stop()
        if "sqlite" in options.databases:
            url = await asyncio.to_thread(migrated_sqlite, folder / "kindred.db")
            await measure(url, "sqlite", folder, None, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=64, help="token chains that are followed (64)")
    parser.add_argument("--clients", type=int, default=16, help="requests under way at once (16)")
    parser.add_argument("--seconds", type=float, default=10, help="how long is measured (10)")
    parser.add_argument("databases", nargs="*", default=["postgresql", "sqlite"], help="postgresql, sqlite, or both")
    asyncio.run(main(parser.parse_args()))
