"""Endpoints for machines: liveness, readiness, and the public keys of access tokens."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from auth.clock import Clock
from auth.services import Services
from graph.http.errors import NO_STORE

# Shorter than the ten minutes that a new key is published before it signs: every cache has the key in time.
_JWKS_MAX_AGE = 300  # seconds


def router(clock: Clock, worker_status: Callable[[Services], Awaitable[str]]) -> APIRouter:
    """The routes. `worker_status` returns "ok", or why the worker is not ready."""
    routes = APIRouter()

    @routes.get("/.well-known/jwks.json", summary="The public keys of access tokens (RFC 7517)")
    async def jwks(request: Request) -> JSONResponse:
        services: Services = request.app.state.services
        headers = {"cache-control": f"public, max-age={_JWKS_MAX_AGE}"}
        return JSONResponse(services.keys.ring.jwks(clock.now()), headers=headers)

    @routes.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    @routes.get("/readyz", summary="Whether this worker has started, and the database is reachable and migrated")
    async def readyz(request: Request) -> JSONResponse:
        status = await worker_status(request.app.state.services)
        return JSONResponse({"status": status}, 200 if status == "ok" else 503, NO_STORE)

    return routes
