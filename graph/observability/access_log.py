"""What is told of each request when it is answered: a line in the log, and the metrics.

The outermost part of the application, so that nothing is answered behind its back.
"""

import asyncio
import logging
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.clock import Clock
from auth.credentials.addresses import normalize_address
from auth.crypto.entropy import Entropy
from db.tables.base import USER_AGENT_LENGTH
from graph.observability.log_format import escape_control, log_request
from graph.observability.vocabulary import BY_CODE, log_entry_for

logger = logging.getLogger("kindred")
requests = logging.getLogger("kindred.requests")

# What a proxy in front may call a request. Too short for a token of ours.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
# Events that somebody should look at when there are many; a log of warnings alone has them all.
WARNING_EVENTS = {
    "authn_login_fail",
    "authn_login_fail_max",
    "authn_login_lock",
    "authn_password_change_fail",
    "authn_token_reuse",
    "authz_fail",
    "excess_rate_limit_exceeded",
}


# Outcomes that an operator has to look into: a bug, and a store that lost what it had acknowledged.
_INTERNAL = {"failed", "store_behind"}


class RequestObserver(Protocol):
    """Counts what was answered."""

    def record_request(self, operation: str, outcome: str, status: int, seconds: float) -> None: ...
    def record_plan_fallback(self, reason: str) -> None: ...


@dataclass(slots=True)
class RequestRecord:
    """What becomes known of a request while it is answered. In the scope, as `watched`."""

    request_id: str
    # The root fields of a document, by their names in the schema; never what the client calls them.
    operation: tuple[str, ...] = ()
    outcome: str = ""
    # In the words of the OWASP logging vocabulary.
    security_events: tuple[str, ...] = ()
    user_id: UUID | None = None
    session_id: UUID | None = None
    # Why graphql-core executed the operation although plans are on.
    plan_fallback: str = ""

    def record_outcome(self, outcome: object, now: datetime) -> None:
        """Take note of what came of the use case."""
        self.outcome, self.security_events, who = log_entry_for(outcome, self.operation, now)
        if who is not None:
            self.user_id, self.session_id = who

    def revoked(self, count: int) -> None:
        """Take note of how many sessions were ended."""
        self.outcome, self.security_events = "revoked", ("authn_token_revoked",) if count else ()

    def failed(self, code: str) -> None:
        """Take note of an error of the whole request. What a use case said before is what happened."""
        if not self.outcome or code == "INTERNAL":
            self.outcome, self.security_events = BY_CODE.get(code, ("refused", ()))


class AccessLogMiddleware:
    """ASGI middleware."""

    def __init__(
        self, app: ASGIApp, *, paths: AbstractSet[str], clock: Clock, entropy: Entropy, observer: RequestObserver | None
    ) -> None:
        self._app = app
        self._paths = paths
        self._clock = clock
        self._entropy = entropy
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, and tell of it."""
        if scope["type"] != "http":
            await self._start(scope, receive, send)
            return
        loop_time = asyncio.get_running_loop().time
        started, status = loop_time(), 0
        watched = scope["watched"] = RequestRecord(self._request_id(scope))
        request_id = (b"x-request-id", watched.request_id.encode())

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), request_id]
            await send(message)

        failure: Exception | None = None
        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            # It has been answered with 500; whoever runs us would log it again, with its message.
            failure = error
            watched.failed("INTERNAL")
            if not status:
                raise
        finally:
            self._emit(scope, watched, status, loop_time() - started, failure)

    def _emit(
        self, scope: Scope, record: RequestRecord, status: int, seconds: float, failure: Exception | None
    ) -> None:
        # Never the path as it was sent: whoever sends it may have put a token there.
        path = scope["path"] if scope["path"] in self._paths else getattr(scope.get("route"), "path", "unknown")
        if not record.outcome:
            record.failed(_CODES.get(status, "" if status >= 400 else "OK"))
        outcome = record.outcome
        if self._observer:
            one = record.operation[0] if len(record.operation) == 1 else "several" if record.operation else path
            self._observer.record_request(one, outcome, status, seconds)
            if record.plan_fallback:
                self._observer.record_plan_fallback(record.plan_fallback)
        grave = outcome == "unavailable" or any(name in WARNING_EVENTS for name in record.security_events)
        level = logging.ERROR if outcome in _INTERNAL else logging.WARNING if grave else logging.INFO
        if not requests.isEnabledFor(level):
            return
        client = scope.get("client")
        line: dict[str, Any] = {
            "time": self._clock.now(),
            "request_id": record.request_id,
            "method": scope["method"] if scope["method"] in _METHODS else "other",
            "path": path,
            "operation": ",".join(record.operation),
            "outcome": outcome,
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
            "user_id": record.user_id,
            "session_id": record.session_id,
            "client_ip": normalize_address(client[0]) if client else None,
        }
        if record.security_events:
            line |= {"security_events": record.security_events, "user_agent": _user_agent(scope)}
        log_request(requests, level, line, failure)

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return str(value, "ascii")
        return str(self._entropy.id(self._clock.now()))

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_text(message: Message) -> None:
            # Starlette puts the whole traceback there, with messages of drivers, for the server to log.
            await send({**message, "message": ""} if message["type"].endswith(".failed") else message)

        try:
            await self._app(scope, receive, without_text)
        except Exception:
            logger.exception("Kindred could not start, or not stop.")
            raise


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
_CODES = {401: "UNAUTHENTICATED", 403: "FORBIDDEN", 500: "INTERNAL", 503: "UNAVAILABLE", 0: "CUT_OFF"}


def _user_agent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"user-agent":
            return escape_control(value.decode("latin-1")[:USER_AGENT_LENGTH])
    return None
