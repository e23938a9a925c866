"""The edge: what every request has to pass before anything reads it, and the headers that every answer bears."""

import re
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from auth.config.settings import Settings
from db.engine.shared_timeout import SharedTimeout
from graph.problems import Code

MAX_BODY_BYTES = 64 * 1024  # bytes; the largest request that has a meaning here is a fortieth of it

# What is not said otherwise by whoever answers. Same-origin does not keep the pages of allowed origins, or other
# services, from reading answers and keys: it is about embedding alone, and what is fetched with CORS is exempt.
HEADERS = {
    b"cache-control": b"no-store",  # RFC 6749 section 5.1
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
# RFC 6797 section 6.1. Section 7.2 forbids it over plain HTTP.
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

# RFC 9110 section 7.2: a host and perhaps a port. A path in it would become part of the URL that frameworks put
# together from it (CVE-2026-48710).
_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
# Asked for by machines that know the address alone, and they tell nothing.
HEALTH_PATHS = frozenset(("/healthz", "/readyz"))

# Headers that say who asks, and for what. A client sends each once. Of two, the service cannot know which one is meant.
_SINGLE = {name.lower().encode(): name for name in ("Authorization", "Idempotency-Key", "Kindred-Delivery", "Origin")}


def with_middleware(app: ASGIApp, settings: Settings) -> ASGIApp:
    """The application behind its edge. From the outside: proxies, headers, hosts, origins, bodies."""
    app = RequestBodyLimit(app, settings.http_read_timeout)
    if settings.allowed_origins:
        # With cookies, which count only where this list has the page's origin too (`graph/api/refresh_cookie.py`).
        app = CORSMiddleware(
            app,
            allow_origins=frozenset(settings.allowed_origins),
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "Idempotency-Key", "Kindred-Delivery"),
            allow_credentials=True,
            expose_headers=("Retry-After", "WWW-Authenticate"),
        )
    app = UnrepeatedHeaders(app)
    app = AllowedHosts(app, settings.allowed_hosts)
    app = SecurityHeaders(app)
    if settings.trusted_proxies:
        app = ProxyHeadersMiddleware(app, trusted_hosts=list(settings.trusted_proxies))  # type: ignore[arg-type, assignment]
    return app


class SecurityHeaders:
    """Gives every answer the headers that it lacks of `HEADERS`, and HSTS what is answered over TLS."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = HEADERS | dict.fromkeys(name for name, _ in message["headers"])
                message["headers"] = [*message["headers"], *((name, text) for name, text in headers.items() if text)]
                if scope["scheme"] == "https":
                    message["headers"].append(STRICT_TRANSPORT)
            await send(message)

        return await self.app(scope, receive, with_headers)


class AllowedHosts:
    """Refuses requests for other hosts. `hosts` are the names that the service goes by, in lower case; none: any."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app = app
        self._hosts = frozenset(host.encode() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or self._answers_to([v for name, v in scope["headers"] if name == b"host"], scope):
            return await self.app(scope, receive, send)
        refused = _refusal(scope, 400, Code.BAD_REQUEST, "The service does not go by the name in the header `Host`.")
        return await refused(scope, receive, send)

    def _answers_to(self, hosts: list[bytes], scope: Scope) -> bool:
        if not hosts and scope["http_version"] == "1.0":  # which did not have the header yet
            return not self._hosts or scope["path"] in HEALTH_PATHS
        # RFC 9112 section 3.2: 400 where there is none, more than one, or one that is no host.
        host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if host is None:
            return False
        return not self._hosts or host[1].lower() in self._hosts or scope["path"] in HEALTH_PATHS


class UnrepeatedHeaders:
    """Refuses requests that have a header of `_SINGLE` more than once.

    Starlette reads the first of two and other servers the last, so a proxy in front could check the one and the service
    believe the other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            seen = set()
            for name, _ in scope["headers"]:
                if name in seen:
                    message = f"The header `{_SINGLE[name]}` came more than once. Send it once."
                    return await _refusal(scope, 400, Code.BAD_REQUEST, message)(scope, receive, send)
                if name in _SINGLE:
                    seen.add(name)
        return await self.app(scope, receive, send)


class RequestBodyLimit:
    """Refuses bodies that are too large, or too slow by `timeout` in seconds; passes on what has wholly arrived."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self.app = app
        self._timeout = SharedTimeout(timeout)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = int(value) if value.isdigit() and len(value) < 20 else MAX_BODY_BYTES + 1
        if length > MAX_BODY_BYTES:
            # Before a byte of it is read (DOS-02).
            return await _too_large(scope)(scope, receive, send)

        body, more = b"", True
        try:
            async with self._timeout():
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None  # gone before the request was there
                    more = message.get("more_body", False)
                    body = body + message.get("body", b"") if body else message.get("body", b"")
                    if len(body) > MAX_BODY_BYTES:
                        return await _too_large(scope)(scope, receive, send)
        except TimeoutError:
            refused = _refusal(scope, 408, Code.REQUEST_TIMEOUT, "The body took too long to arrive. Send it again.")
            refused.headers["connection"] = "close"
            return await refused(scope, receive, send)

        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        return await self.app(scope, replay, send)


def _too_large(scope: Scope) -> Response:
    return _refusal(scope, 413, Code.BODY_TOO_LARGE, f"The body must not be larger than {MAX_BODY_BYTES // 1024} KiB.")


def _refusal(scope: Scope, status: int, code: Code, message: str) -> Response:
    """In the form of the door that was asked."""
    body: Any = {"detail": message}
    if scope["path"] == "/graphql":
        body = {"errors": [{"message": message, "extensions": {"code": code.value}}]}
    return JSONResponse(body, status)
