"""Middleware that every request passes before an endpoint reads it, and the security headers of every response."""

import re

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from auth.config.settings import Settings
from db.engine.shared_timeout import SharedTimeout
from graph.http.errors import error_for
from graph.problems import Code

MAX_BODY_BYTES = 64 * 1024  # 40 times the largest valid request

# Defaults; an endpoint may set its own value. `same-origin` does not stop the pages of allowed origins: it restricts
# embedding, and CORS requests are exempt. Other services can still fetch the key set.
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

# RFC 9110 section 7.2: a host with an optional port. A path in it would become part of the URLs that frameworks build
# from it (CVE-2026-48710).
_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
# Health checks know only the machine's address. These endpoints disclose nothing.
HEALTH_PATHS = frozenset(("/healthz", "/readyz"))

# Headers that identify the caller or the request. If one is sent twice, the service cannot tell which is meant.
_SINGLE = {name.lower().encode(): name for name in ("Authorization", "Idempotency-Key", "Kindred-Delivery", "Origin")}


def with_middleware(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Wrap the application. From the outside in: proxies, headers, hosts, repeated headers, origins, bodies."""
    app = RequestBodyLimit(app, settings.http_read_timeout)
    if settings.allowed_origins:
        # With credentials: `graph/api/refresh_cookie.py` accepts the cookie only from the origins of the same list.
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
    """Adds the headers of `HEADERS` that a response lacks, and HSTS over TLS."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = HEADERS | dict.fromkeys(name for name, _ in message["headers"])
                message["headers"] = [*message["headers"], *((name, text) for name, text in headers.items() if text)]
                if scope["scheme"] == "https":
                    message["headers"].append(STRICT_TRANSPORT)
            await send(message)

        return await self.app(scope, receive, send_with_headers)


class AllowedHosts:
    """Refuses requests for other hosts. `hosts` are the allowed names in lower case; empty allows any valid host."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app = app
        self._hosts = frozenset(host.encode() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or self._is_allowed([v for name, v in scope["headers"] if name == b"host"], scope):
            return await self.app(scope, receive, send)
        message = "Invalid `Host` header. Allowed hosts: KINDRED_ALLOWED_HOSTS."
        return await error_for(scope, 400, Code.BAD_REQUEST, message)(scope, receive, send)

    def _is_allowed(self, hosts: list[bytes], scope: Scope) -> bool:
        if not hosts and scope["http_version"] == "1.0":  # which does not have the header yet
            return not self._hosts or scope["path"] in HEALTH_PATHS
        # RFC 9112 section 3.2: 400 if the header is missing, repeated or malformed.
        host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if host is None:
            return False
        return not self._hosts or host[1].lower() in self._hosts or scope["path"] in HEALTH_PATHS


class UnrepeatedHeaders:
    """Refuses requests with a repeated header of `_SINGLE`.

    Starlette reads the first of two and other servers the last. A proxy in front could check one value, and the service
    would use the other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            seen = set()
            for name, _ in scope["headers"]:
                if name in seen:
                    message = f"The header `{_SINGLE[name]}` was sent more than once. Send it once."
                    return await error_for(scope, 400, Code.BAD_REQUEST, message)(scope, receive, send)
                if name in _SINGLE:
                    seen.add(name)
        return await self.app(scope, receive, send)


class RequestBodyLimit:
    """Reads the whole body before the application runs; refuses one that is too large, or slower than `timeout`."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self.app = app
        self._timeout = SharedTimeout(timeout)  # seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if _content_length(scope) > MAX_BODY_BYTES:
            # Before any of the body is read (DOS-02).
            return await _too_large(scope)(scope, receive, send)
        try:
            async with self._timeout():
                body = await _read_body(receive)
        except TimeoutError:
            message = "The body took too long to arrive. Send the request again."
            headers = {"connection": "close"}
            return await error_for(scope, 408, Code.REQUEST_TIMEOUT, message, headers)(scope, receive, send)
        if body is None:
            return None  # the client disconnected
        if len(body) > MAX_BODY_BYTES:
            return await _too_large(scope)(scope, receive, send)

        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        return await self.app(scope, replay, send)


def _content_length(scope: Scope) -> int:
    """The declared length of the body; too large if it is not a number, 0 if it is not declared."""
    length = 0
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < 20 else MAX_BODY_BYTES + 1
    return length


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body, or its beginning if it is too large, or None if the client disconnected."""
    body, more = b"", True
    while more and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        more = message.get("more_body", False)
        body = body + message.get("body", b"") if body else message.get("body", b"")
    return body


def _too_large(scope: Scope) -> Response:
    message = f"The body must not be larger than {MAX_BODY_BYTES // 1024} KiB."
    return error_for(scope, 413, Code.BODY_TOO_LARGE, message)
