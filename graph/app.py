"""The application: the one place, beside the command line, that builds things and passes them on."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.clock import Clock, SystemClock
from auth.config.secret import load_secret
from auth.config.settings import Settings
from auth.credentials.password_hashing import HashingQueueFull
from auth.crypto.entropy import Entropy
from auth.services import Services
from db.drivers.errors import DatabaseUnavailable
from graph.http import pages, rest
from graph.http.graphql import NO_STORE, PATH, GraphQLEndpoint
from graph.http.middleware import with_middleware
from graph.notifications.channels import deliver_in_background
from graph.observability import log_format
from graph.observability.access_log import AccessLogMiddleware
from graph.observability.metrics import Metrics
from graph.problems import Forbidden
from graph.startup import Gate, NotMigrated, Startup, require_migrations

logger = logging.getLogger("kindred")


class _Application(FastAPI):
    """FastAPI's, with something around all of it, the answer to a bug included."""

    outermost: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.outermost(scope, receive, send)

    async def innermost(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is FastAPI's own."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings, *, clock: Clock | None = None, entropy: Entropy | None = None) -> FastAPI:
    """The service over these settings. Raises `UnfitSecret`; what needs the database is done when it starts.

    It starts without the database too, and then answers 503 until it has read from it what it needs.
    """
    clock, entropy = clock or SystemClock(), entropy or Entropy()
    secret = load_secret(settings, entropy)
    metrics = Metrics() if settings.metrics_enabled else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = Services.create(settings, secret, entropy)
        startup = Startup(services, clock, gate)
        app.state.services = services
        tasks = [asyncio.create_task(startup.when_started(services.keys.watch))]
        if metrics:
            tasks.append(asyncio.create_task(metrics.sample_forever(services)))
        if settings.prune_interval:
            tasks.append(asyncio.create_task(startup.when_started(partial(services.prune_schedule.run, clock))))
        try:
            if not await startup.try_once():
                tasks.append(asyncio.create_task(startup.keep_trying()))
            # What start-up made lives as long as the process: later collections need not look at it again.
            gc.collect()
            gc.freeze()
            # What requests make is in no cycles, and needs no collector. By default that looks at all that is under way
            # whenever it is some hundred objects more: a twentieth of a refresh where many wait.
            gc.set_threshold(20_000)
            async with deliver_in_background(services, clock, metrics, startup):
                yield
        finally:
            gate.is_open = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await services.stop()

    app = _Application(
        title="Kindred",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,  # a redirect would send the token again, to whatever host the request named (NET-06)
        openapi_url=None if settings.in_production else "/openapi.json",
        exception_handlers={
            DatabaseUnavailable: rest.unavailable,
            HashingQueueFull: rest.unavailable,
            Forbidden: rest.forbidden,
            Exception: rest.broken,
            RequestValidationError: rest.unprocessable,
            HTTPException: rest.refused,
        },
    )
    if metrics:
        app.router.routes.append(Route("/metrics", metrics.respond, include_in_schema=False))
    if settings.account_page:
        app.router.routes.append(pages.account(settings.password_min_length))
    shown = {"graphiql": settings.graphiql_enabled, "account": settings.account_page}
    app.router.routes.extend(pages.assets(without=tuple(page for page, is_shown in shown.items() if not is_shown)))
    app.include_router(rest.router(clock))

    @app.get("/.well-known/jwks.json", summary="The public keys of access tokens (RFC 7517)")
    async def jwks(request: Request) -> JSONResponse:
        services: Services = request.app.state.services
        # Public, and less than a new key is published ahead: whoever keeps it has a key before it signs.
        return JSONResponse(services.keys.ring.jwks(clock.now()), headers={"cache-control": "public, max-age=300"})

    @app.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    @app.get("/readyz", summary="Whether this worker has started, and the database is reachable and migrated")
    async def readyz(request: Request) -> JSONResponse:
        try:
            await require_migrations(request.app.state.services)
        except NotMigrated:
            return JSONResponse({"status": "not migrated"}, 503, NO_STORE)
        if not gate.is_open:
            return JSONResponse({"status": "starting"}, 503, NO_STORE)
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    graphiql, timeout = pages.graphiql if settings.graphiql_enabled else None, 4 * settings.database_timeout
    view = GraphQLEndpoint(app.innermost, lambda: app.state.services, clock, graphiql, timeout=timeout)
    gate = Gate(view)
    app.outermost = AccessLogMiddleware(
        with_middleware(gate, settings),
        # FastAPI tells which of its routes it took; of others we know that they have no parameters.
        paths={PATH} | {route.path for route in app.routes if isinstance(route, Route)},
        clock=clock,
        entropy=entropy,
        observer=metrics,
    )
    return app


def from_environment() -> FastAPI:
    """What uvicorn calls in each worker."""
    settings = Settings()
    log_format.configure(settings)
    return create_app(settings)
