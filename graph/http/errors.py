"""Error responses: the body format of each endpoint, and FastAPI's exception handlers.

An error response never repeats what the client sent, which may be a token or a password (LOG-02).
"""

from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from auth.credentials.password_hashing import HashingQueueFull
from db.drivers.errors import DatabaseUnavailable
from graph.execution.error_masking import log_outage
from graph.problems import INTERNAL_ERROR, RETRY_AFTER, UNAVAILABLE, Code, Forbidden

GRAPHQL_PATH = "/graphql"
# No cache may store a response: it may hold tokens (RFC 6749 section 5.1).
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
RETRY_LATER = {"retry-after": str(RETRY_AFTER)}


def graphql_error(
    status: int, message: str, headers: dict[str, str] | None = None, *, code: Code = Code.BAD_REQUEST
) -> Response:
    """A request that was not executed, in the format of a GraphQL error."""
    body = {"errors": [{"message": message, "extensions": {"code": code}}]}
    return Response(orjson.dumps(body), status, NO_STORE | (headers or {}), "application/json")


def rest_error(status: int, detail: object, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error in the format of the REST endpoint, which is also FastAPI's."""
    return JSONResponse({"detail": detail}, status, NO_STORE | (headers or {}))


def error_for(scope: Scope, status: int, code: Code, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the format of the endpoint that the request is for."""
    if scope["path"] == GRAPHQL_PATH:
        return graphql_error(status, message, headers, code=code)
    return rest_error(status, message, headers)


def unavailable_for(scope: Scope) -> Response:
    """503 in the format of the endpoint: the client may send the same request again, a refresh with the same key."""
    return error_for(scope, 503, Code.UNAVAILABLE, UNAVAILABLE, RETRY_LATER)


def challenge(*, anonymous: bool) -> str:
    """The `WWW-Authenticate` header. RFC 6750 section 3: no error code if the request carried no token."""
    return "Bearer" if anonymous else 'Bearer error="invalid_token"'


async def _on_outage(request: Request, error: Exception) -> Response:
    log_outage(error)
    return unavailable_for(request.scope)


async def _on_forbidden(_request: Request, error: Exception) -> Response:
    return rest_error(403, str(error))


async def _on_http_error(_request: Request, error: Any) -> Response:
    # FastAPI answers 400 to JSON that its parser gives up on, such as 100,000 brackets. Other invalid bodies get 422.
    status = 422 if error.status_code == 400 else error.status_code
    return rest_error(status, error.detail, dict(error.headers or {}))


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    # Without `input` and `ctx`, which repeat the value.
    return rest_error(422, [{name: problem[name] for name in ("loc", "msg", "type")} for problem in problems])


async def _on_bug(_request: Request, _error: Exception) -> Response:
    return rest_error(500, INTERNAL_ERROR)  # the log has the traceback


# By the class of the exception, for FastAPI.
HANDLERS: dict[int | type[Exception], Any] = {
    DatabaseUnavailable: _on_outage,
    HashingQueueFull: _on_outage,
    Forbidden: _on_forbidden,
    HTTPException: _on_http_error,
    RequestValidationError: _on_invalid_request,
    Exception: _on_bug,
}
