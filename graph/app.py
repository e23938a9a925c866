"""The application: builds every part of the service and connects them."""

import asyncio
import gc
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.clock import Clock, SystemClock
from auth.config.secret import load_secret
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.services import Services
from graph.http import errors, pages, probes, rest
from graph.http.graphql import GraphQLEndpoint
from graph.http.middleware import with_middleware
from graph.http.startup_gate import Readiness, StartupGate
from graph.notifications.channels import channels
from graph.observability import log_format
from graph.observability.access_log import AccessLogMiddleware
from graph.observability.metrics import Metrics
from graph.startup import Startup, worker_status


class _Application(FastAPI):
    """FastAPI inside Kindred's middleware, which also sees FastAPI's response to an unhandled exception."""

    outermost: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.outermost(scope, receive, send)

    async def innermost(self, scope: Scope, receive: Receive, send: Send) -> None:
        """FastAPI without the middleware."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings, *, clock: Clock | None = None, entropy: Entropy | None = None) -> FastAPI:
    """Build the service. Raises `InvalidSecret`. The database is first needed when the lifespan begins.

    It starts without a database too, and answers 503 until it has read what it needs.
    """
    clock, entropy = clock or SystemClock(), entropy or Entropy()
    secret = load_secret(settings, entropy)
    metrics = Metrics() if settings.metrics_enabled else None
    readiness = Readiness()

    def lifespan(app: FastAPI) -> AbstractAsyncContextManager[None]:
        app.state.services = services = Services.create(settings, secret, entropy)
        return _running(services, clock, readiness, metrics)

    app = _Application(
        title="Kindred",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,  # a redirect would send the token again, to any host that the request names (NET-06)
        openapi_url=None if settings.in_production else "/openapi.json",
        exception_handlers=errors.HANDLERS,
    )
    _add_routes(app, settings, clock, readiness, metrics)
    graphql = GraphQLEndpoint(
        app.innermost,
        lambda: app.state.services,
        clock,
        pages.graphiql if settings.graphiql_enabled else None,
        timeout=4 * settings.database_timeout,
    )
    app.outermost = AccessLogMiddleware(
        with_middleware(StartupGate(graphql, readiness), settings),
        # The other routes are FastAPI's, which reports the route of each request.
        paths={errors.GRAPHQL_PATH} | {route.path for route in app.routes if isinstance(route, Route)},
        clock=clock,
        entropy=entropy,
        observer=metrics,
    )
    return app


def from_environment() -> FastAPI:
    """Build the service from environment variables. uvicorn calls this in each worker."""
    settings = Settings()
    log_format.configure(settings)
    return create_app(settings)


def _add_routes(app: FastAPI, settings: Settings, clock: Clock, readiness: Readiness, metrics: Metrics | None) -> None:
    if metrics:
        app.router.routes.append(Route("/metrics", metrics.respond, include_in_schema=False))
    if settings.account_page:
        app.router.routes.append(pages.account(settings.password_min_length))
    enabled = {"graphiql": settings.graphiql_enabled, "account": settings.account_page}
    app.router.routes.extend(pages.assets(without=tuple(page for page, is_on in enabled.items() if not is_on)))
    app.include_router(rest.router(clock))
    app.include_router(probes.router(clock, partial(worker_status, readiness)))


@asynccontextmanager
async def _running(
    services: Services, clock: Clock, readiness: Readiness, metrics: Metrics | None
) -> AsyncIterator[None]:
    """Start the worker, run its background tasks, and stop them when the block ends."""
    startup = Startup(services, clock, readiness)
    try:
        is_started = await startup.try_once()
        _tune_garbage_collector()
        async with channels(services.settings, metrics) as opened:
            coroutines = [startup.when_started(services.keys.watch)]
            for channel in opened.values():
                deliver = partial(services.notifications.keep_delivering, channel, clock)
                coroutines.append(startup.when_started(deliver))
            if services.settings.prune_interval:
                coroutines.append(startup.when_started(partial(services.prune_schedule.run, clock)))
            if not is_started:
                coroutines.append(startup.keep_trying())
            if metrics:
                coroutines.append(metrics.sample_forever(services))
            async with _in_background(coroutines):
                yield
    finally:
        readiness.is_ready = False
        await services.stop()


@asynccontextmanager
async def _in_background(coroutines: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run these as tasks, and cancel them when the block ends. A cancelled delivery is attempted again later."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tune_garbage_collector() -> None:
    # Objects of the start live as long as the process. Later collections skip frozen objects.
    gc.collect()
    gc.freeze()
    # The objects of a request form no cycles. By default Python scans every young object after some hundred
    # allocations: a twentieth of a refresh when many requests wait.
    gc.set_threshold(20_000)
