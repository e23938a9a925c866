"""The gate that keeps requests out until the worker has started."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.http.errors import GRAPHQL_PATH, unavailable_for

# These need neither the database nor a signing key. `/readyz` reports why the worker is not ready.
_ALWAYS_OPEN = frozenset(("/healthz", "/readyz", "/metrics", "/account"))


@dataclass
class Readiness:
    """Whether this worker has started."""

    is_ready: bool = False


class StartupGate:
    """ASGI middleware that answers 503 until the worker has started.

    Without signing keys a valid access token would look forged, other services would read an empty key set and refuse
    valid tokens, and a rotation would consume a refresh token without a new pair to answer.
    """

    def __init__(self, app: ASGIApp, readiness: Readiness) -> None:
        self._app = app
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 503 in the format of its endpoint."""
        if scope["type"] != "http" or self._readiness.is_ready or _is_always_open(scope):
            return await self._app(scope, receive, send)
        return await unavailable_for(scope)(scope, receive, send)


def _is_always_open(scope: Scope) -> bool:
    path: str = scope["path"]
    is_graphiql = path == GRAPHQL_PATH and scope["method"] == "GET"
    return is_graphiql or path in _ALWAYS_OPEN or path.startswith("/assets/")
