"""Metrics for Prometheus. What each means for whoever operates the service is in docs/operating.md.

Labels are words of ours alone, or whoever sends requests decides how many series there are (GQL-24).
"""

import asyncio
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.requests import Request
from starlette.responses import Response

from auth.services import Services

# Where workers share their numbers, by prometheus-client's own name; set before it is imported by them.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS_BETWEEN_SAMPLES = 1
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """What one worker counts."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._logins = Counter("kindred_logins", "Sign-ins, by outcome.", ["outcome"], registry=registry)
        self._refreshes = Counter("kindred_refreshes", "Refreshes, by outcome.", ["outcome"], registry=registry)
        self._requests = Counter(
            "kindred_requests", "Requests, by operation and outcome.", ["operation", "outcome"], registry=registry
        )
        self._seconds = Histogram(
            "kindred_request_duration_seconds",
            "How long requests took, by operation.",
            ["operation"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self._notices = Counter(
            "kindred_notification_attempts", "Attempts to tell owners.", ["channel", "outcome"], registry=registry
        )
        self._hashing = self._gauge("kindred_password_hashing_in_progress", "Requests that hash a password or wait to.")
        self._hashing_most = self._gauge("kindred_password_hashing_capacity", "How many of them there may be at once.")
        self._pool = self._gauge("kindred_database_connections_in_use", "Connections to the database at work.")
        self._pool_most = self._gauge("kindred_database_connections", "How many of them there may be.")
        build = Gauge(
            "kindred_build_info", "The version.", ["version", "python"], registry=registry, multiprocess_mode="max"
        )
        build.labels(version("kindred-auth"), platform.python_version()).set(1)
        # `labels` makes a key of its values each time, which takes longer than to count.
        self._of = cache(self._look_up)
        remove_dead_workers()

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, registry=self._registry, multiprocess_mode="livesum")

    def record_request(self, operation: str, outcome: str, status: int, seconds: float) -> None:  # noqa: ARG002
        """Count an answer. `operation` and `outcome` must be words of ours."""
        counters, duration = self._of(operation, outcome)
        for counter in counters:
            counter.inc()
        duration.observe(seconds)

    def _look_up(self, operation: str, outcome: str) -> tuple[list[Counter], Histogram]:
        counters = [self._requests.labels(operation, outcome)]
        if (by_outcome := {"refreshToken": self._refreshes, "login": self._logins}.get(operation)) is not None:
            counters.append(by_outcome.labels(outcome))
        return counters, self._seconds.labels(operation)

    def record_delivery(self, channel: str, *, delivered: bool) -> None:
        """Count an attempt to tell an owner."""
        self._notices.labels(channel, "delivered" if delivered else "failed").inc()

    def sample(self, services: Services) -> None:
        """Look at what has a level and no count."""
        for (taken, most), (gauge, gauge_most) in (
            (services.hasher.slots, (self._hashing, self._hashing_most)),
            (services.db.connections, (self._pool, self._pool_most)),
        ):
            gauge.set(taken)
            gauge_most.set(most)

    async def sample_forever(self, services: Services) -> None:
        """Sample every second, for ever: another worker may be the one that is asked."""
        while True:
            self.sample(services)
            await asyncio.sleep(SECONDS_BETWEEN_SAMPLES)

    async def respond(self, request: Request) -> Response:
        """`GET /metrics`: of all workers together."""
        self.sample(request.app.state.services)
        registry = self._registry
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(
            generate_latest(registry), headers={"cache-control": "no-store"}, media_type=CONTENT_TYPE_LATEST
        )


@contextmanager
def multiprocess_dir(workers: int) -> Iterator[None]:
    """While the block runs, workers that are started share their numbers; one alone keeps its own."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="kindred-metrics-") as folder:
        os.environ[FOLDER] = folder
        yield


def remove_dead_workers() -> None:
    # A worker starts where another one was killed: what that one had in use is no longer.
    for file in Path(os.environ[FOLDER]).glob("gauge_live*.db") if FOLDER in os.environ else ():
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue
