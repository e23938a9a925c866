"""Metrics for Prometheus. docs/operating.md says what each of them means to an operator.

No label value comes from a client: it could create any number of series and fill the memory (GQL-24).
"""

import asyncio
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
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
from graph.observability.version import installed_version

# The environment variable that tells prometheus-client where workers share their values. A worker inherits it: the
# library reads it when it is imported.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SAMPLE_INTERVAL = 1  # seconds
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one worker."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._logins = Counter("kindred_logins", "Sign-in attempts by outcome.", ["outcome"], registry=registry)
        self._refreshes = Counter("kindred_refreshes", "Refreshes by outcome.", ["outcome"], registry=registry)
        self._requests = Counter(
            "kindred_requests", "Requests by operation and outcome.", ["operation", "outcome"], registry=registry
        )
        self._seconds = Histogram(
            "kindred_request_duration_seconds",
            "Duration of requests in seconds by operation.",
            ["operation"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self._notifications = Counter(
            "kindred_notification_attempts",
            "Attempts to deliver a security notification by channel and outcome.",
            ["channel", "outcome"],
            registry=registry,
        )
        self._plan_fallbacks = Counter(
            "kindred_graphql_plan_fallbacks",
            "GraphQL operations that graphql-core executed because no plan covered them, by reason.",
            ["reason"],
            registry=registry,
        )
        self._hashing = self._gauge(
            "kindred_password_hashing_in_progress", "Requests that hash a password, or wait for a hashing slot."
        )
        self._hashing_capacity = self._gauge(
            "kindred_password_hashing_capacity", "Maximum number of requests that hash a password or wait."
        )
        self._connections = self._gauge("kindred_database_connections_in_use", "Database connections in use.")
        self._pool_size = self._gauge("kindred_database_connections", "Maximum number of database connections.")
        build = Gauge(
            "kindred_build_info",
            "Version of Kindred and of Python.",
            ["version", "python"],
            registry=registry,
            multiprocess_mode="max",
        )
        build.labels(installed_version(), platform.python_version()).set(1)
        # `labels` builds and locks a key for each call, which takes longer than the count.
        self._children = cache(self._look_up)
        remove_dead_workers()

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, registry=self._registry, multiprocess_mode="livesum")

    def record_request(self, operation: str, outcome: str, seconds: float) -> None:
        """Count a request. `operation` and `outcome` must not come from the client."""
        counters, duration = self._children(operation, outcome)
        for counter in counters:
            counter.inc()
        duration.observe(seconds)

    def _look_up(self, operation: str, outcome: str) -> tuple[list[Counter], Histogram]:
        counters = [self._requests.labels(operation, outcome)]
        if (by_outcome := {"refreshToken": self._refreshes, "login": self._logins}.get(operation)) is not None:
            counters.append(by_outcome.labels(outcome))
        return counters, self._seconds.labels(operation)

    def record_plan_fallback(self, reason: str) -> None:
        """Count an operation that no plan covered. `reason` must be one of a fixed set of words (GQL-24)."""
        self._plan_fallbacks.labels(reason).inc()

    def record_delivery(self, channel: str, *, delivered: bool) -> None:
        """Count an attempt to deliver a notification."""
        self._notifications.labels(channel, "delivered" if delivered else "failed").inc()

    def sample(self, services: Services) -> None:
        """Set the gauges to the current values."""
        for (in_use, capacity), (in_use_gauge, capacity_gauge) in (
            (services.hasher.slots, (self._hashing, self._hashing_capacity)),
            (services.db.connections, (self._connections, self._pool_size)),
        ):
            in_use_gauge.set(in_use)
            capacity_gauge.set(capacity)

    async def sample_forever(self, services: Services) -> None:
        """Sample every second until cancelled. Another worker may answer `GET /metrics` and read these values."""
        while True:
            self.sample(services)
            await asyncio.sleep(SAMPLE_INTERVAL)

    async def respond(self, request: Request) -> Response:
        """Answer `GET /metrics` with the sums of all workers."""
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
    """Let the workers that start in this block share their values. A single worker needs no directory."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="kindred-metrics-") as folder:
        os.environ[FOLDER] = folder
        yield


def remove_dead_workers() -> None:
    """Remove the gauges of workers that were killed: their connections and hashing slots are free."""
    for file in Path(os.environ[FOLDER]).glob("gauge_live*.db") if FOLDER in os.environ else ():
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue
