"""The access log: for each request one log line, and its count in the metrics.

The outermost middleware, so that every response has its line.
"""

import asyncio
import logging
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.clock import Clock
from auth.credentials.ip_addresses import normalize_address
from auth.crypto.entropy import Entropy
from auth.outcomes import Outcome
from db.tables.base import USER_AGENT_LENGTH
from graph.observability.log_format import escape_control
from graph.observability.outcome_names import BY_CODE, log_entry_for

logger = logging.getLogger("kindred")
requests = logging.getLogger("kindred.requests")

# A request ID that a proxy may choose. Shorter than a token, so that no token fits.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
# Security events that are warnings: many of them may be an attack, and a log of warnings alone has all of them.
WARNING_EVENTS = {
    "authn_login_fail",
    "authn_login_fail_max",
    "authn_login_lock",
    "authn_password_change_fail",
    "authn_token_reuse",
    "authz_fail",
    "excess_rate_limit_exceeded",
}
# Outcomes that are errors, for an operator to look into: a bug, and a store that lost acknowledged commits.
_ERROR_OUTCOMES = {"failed", "store_behind"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
# The code for a response whose handler recorded no outcome, by status; 0 if the request got no response.
_CODES = {401: "UNAUTHENTICATED", 403: "FORBIDDEN", 500: "INTERNAL", 503: "UNAVAILABLE", 0: "CUT_OFF"}


class RequestObserver(Protocol):
    """Counts requests."""

    def record_request(self, operation: str, outcome: str, seconds: float) -> None: ...
    def record_plan_fallback(self, reason: str) -> None: ...


@dataclass(slots=True)
class RequestRecord:
    """What the log line of a request says about it. In the ASGI scope as `request_record`."""

    request_id: str
    # Root fields of the document by their names in the schema; never a name that the client chose.
    operation: tuple[str, ...] = ()
    outcome: str = ""
    # Names of the OWASP logging vocabulary.
    security_events: tuple[str, ...] = ()
    user_id: UUID | None = None
    session_id: UUID | None = None
    # Why graphql-core executed the operation although plans are on.
    plan_fallback: str = ""

    def record_outcome(self, outcome: Outcome, now: datetime) -> None:
        """Record the outcome of a use case."""
        self.outcome, self.security_events, owner = log_entry_for(outcome, self.operation, now)
        if owner is not None:
            self.user_id, self.session_id = owner

    def record_revocations(self, count: int) -> None:
        """Record how many sessions were revoked."""
        self.outcome, self.security_events = "revoked", ("authn_token_revoked",) if count else ()

    def record_failure(self, code: str) -> None:
        """Record an error of the whole request. The outcome of a use case has priority, except over a bug."""
        if not self.outcome or code == "INTERNAL":
            self.outcome, self.security_events = BY_CODE.get(code, ("refused", ()))


class AccessLogMiddleware:
    """ASGI middleware that gives each request an ID and a `RequestRecord`, and logs and counts it.

    `paths` are the paths that may appear in the log, beside those of FastAPI's routes.
    """

    def __init__(
        self, app: ASGIApp, *, paths: AbstractSet[str], clock: Clock, entropy: Entropy, observer: RequestObserver | None
    ) -> None:
        self._app = app
        self._paths = paths
        self._clock = clock
        self._entropy = entropy
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, then log it."""
        if scope["type"] != "http":
            await self._pass_on(scope, receive, send)
            return
        loop_time = asyncio.get_running_loop().time
        started, status = loop_time(), 0
        record = scope["request_record"] = RequestRecord(self._request_id(scope))
        request_id = (b"x-request-id", record.request_id.encode())

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), request_id]
            await send(message)

        failure: Exception | None = None
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            # If the client already has its 500, the error stops here: the server would log it with its message.
            failure = error
            record.record_failure("INTERNAL")
            if not status:
                raise
        finally:
            self._emit(scope, record, status, loop_time() - started, failure)

    def _emit(
        self, scope: Scope, record: RequestRecord, status: int, seconds: float, failure: Exception | None
    ) -> None:
        # Never the path that the client sent: it may contain a token.
        path = scope["path"] if scope["path"] in self._paths else getattr(scope.get("route"), "path", "unknown")
        if not record.outcome:
            record.record_failure(_CODES.get(status, "" if status >= 400 else "OK"))
        if self._observer:
            fields = record.operation
            operation = fields[0] if len(fields) == 1 else "several" if fields else path
            self._observer.record_request(operation, record.outcome, seconds)
            if record.plan_fallback:
                self._observer.record_plan_fallback(record.plan_fallback)
        level = _level(record)
        if not requests.isEnabledFor(level):
            return
        client = scope.get("client")
        line: dict[str, object] = {
            "time": self._clock.now(),
            "request_id": record.request_id,
            "method": scope["method"] if scope["method"] in _METHODS else "other",
            "path": path,
            "operation": ",".join(record.operation),
            "outcome": record.outcome,
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
            "user_id": record.user_id,
            "session_id": record.session_id,
            "client_ip": normalize_address(client[0]) if client else None,
        }
        if record.security_events:
            line |= {"security_events": record.security_events, "user_agent": _user_agent(scope)}
        requests.log(level, "request", exc_info=failure, extra={"line": line})

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return str(value, "ascii")
        return str(self._entropy.id(self._clock.now()))

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without_text(message: Message) -> None:
            # Starlette puts the traceback there for the server to log, with the messages of drivers (LOG-01).
            await send({**message, "message": ""} if message["type"].endswith(".failed") else message)

        try:
            await self._app(scope, receive, send_without_text)
        except Exception:
            logger.exception("The service could not start or stop.")
            raise


def _level(record: RequestRecord) -> int:
    if record.outcome in _ERROR_OUTCOMES:
        return logging.ERROR
    if record.outcome == "unavailable" or not WARNING_EVENTS.isdisjoint(record.security_events):
        return logging.WARNING
    return logging.INFO


def _user_agent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"user-agent":
            return escape_control(value.decode("latin-1")[:USER_AGENT_LENGTH])
    return None
