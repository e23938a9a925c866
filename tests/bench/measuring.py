"""What is measured, and how it is printed."""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psutil

from auth.credentials.password_hashing import hash_password, verify_password
from tests.bench.client import Connection
from tests.support.endpoints import PASSWORD

Work = Callable[[Connection], Awaitable[None]]


@dataclass
class Watched:
    """Processes whose work is counted, each with all of its children."""

    service: psutil.Process | None
    database: psutil.Process | None = None
    client: psutil.Process = field(default_factory=psutil.Process)

    def cpu(self) -> list[float | None]:
        """Seconds of CPU that each has used: service, database, client."""
        return [_cpu_seconds(one) if one else None for one in (self.service, self.database, self.client)]

    def memory(self) -> float:
        """MiB that belong to one of the service's processes alone (USS), in total."""
        assert self.service is not None
        family = [self.service, *self.service.children(recursive=True)]
        return sum(one.memory_full_info().uss for one in family) / 2**20


def _cpu_seconds(process: psutil.Process) -> float:
    # The children of this process are what is measured, so they do not count as the client.
    own = process.pid == os.getpid()
    family = [process] if own else [process, *process.children(recursive=True)]
    return sum(times.user + times.system for times in (one.cpu_times() for one in family))


@dataclass(frozen=True)
class Measured:
    """The measurements of one operation."""

    rate: float  # each second
    latencies: list[float]  # seconds
    cpu: list[float | None]  # seconds for each: service, database, client
    memory: float  # MiB

    def percentile(self, percent: int) -> float:
        """In milliseconds."""
        return statistics.quantiles(self.latencies, n=100)[percent - 1] * 1000


HEADING = (
    f"{'':<34}{'each second':>12}{'p50 ms':>9}{'p99 ms':>9}{'service':>10}{'database':>10}{'client':>9}{'MiB':>7}\n"
    f"{'':<64}{'ms of CPU for each':>29}"
)


def line(name: str, measured: Measured) -> str:
    """A line of the table."""
    service, database, client = (f"{one * 1000:.3f}" if one is not None else "-" for one in measured.cpu)
    return (
        f"{name:<34}{measured.rate:>12,.0f}{measured.percentile(50):>9.1f}{measured.percentile(99):>9.1f}"
        f"{service:>10}{database:>10}{client:>9}{measured.memory:>7.0f}"
    )


def argon2(seconds: float) -> float:
    """Return how many passwords are verified each second and nothing else, in one thread for each core."""
    threads, hashed = os.cpu_count() or 1, hash_password(PASSWORD)
    begun = time.perf_counter()

    def verify() -> int:
        done = 0
        while time.perf_counter() < begun + seconds:
            done += verify_password(PASSWORD, hashed)
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(one.result() for one in [pool.submit(verify) for _ in range(threads)])
    return done / (time.perf_counter() - begun)


async def measure(port: int, watched: Watched, work: Work, *, clients: int, seconds: float) -> Measured:
    """Have clients repeat the work, each over its own connection, until time is up or it raises `StopAsyncIteration`.

    Work that started in time is finished and counted.
    """
    latencies: list[float] = []
    connections = [await Connection.open("127.0.0.1", port) for _ in range(clients)]
    before, begun = watched.cpu(), time.perf_counter()

    async def client(connection: Connection) -> None:
        while (started := time.perf_counter()) < begun + seconds:
            try:
                await work(connection)
            except StopAsyncIteration:
                return
            latencies.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(client(connection))
    elapsed, count = time.perf_counter() - begun, len(latencies)
    cpu = [
        (after - was) / count if after is not None and was is not None else None
        for after, was in zip(watched.cpu(), before, strict=True)
    ]
    for connection in connections:
        connection.close()
    return Measured(count / elapsed, latencies, cpu, watched.memory())
