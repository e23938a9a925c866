"""The REST door: one endpoint, over the same use case as the mutation `refreshToken`."""

from typing import Annotated, Any, assert_never

from fastapi import APIRouter, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from auth.clock import Clock
from auth.outcomes import Expired, Invalid, RefreshOutcome, Replayed, Revoked, Rotated, StoreBehind, TooManyAttempts
from auth.services import Services
from graph.api.context import origin_of
from graph.api.inputs import IDEMPOTENCY_KEY
from graph.api.refresh_cookie import RefreshCookie
from graph.execution.error_masking import log_outage
from graph.http.graphql import NO_STORE, challenge
from graph.observability.access_log import RequestRecord
from graph.problems import INTERNAL_ERROR, RETRY_AFTER, UNAVAILABLE


class RefreshBody(BaseModel):
    """The token to exchange."""

    model_config = ConfigDict(strict=True)

    refresh_token: str | None = Field(
        None, description="The session's current refresh token, good for one call. Not given where it is in the cookie."
    )


class RefreshAnswer(BaseModel):
    """The session's new credentials (RFC 6749 section 5.1)."""

    access_token: str = Field(description="A signed JWT, for the header `Authorization: Bearer`.")
    refresh_token: str | None = Field(None, description="Good for one call. Not given where it is in the cookie.")
    token_type: str = Field(description="Always `bearer`.")
    expires_in: int = Field(description="The access token's lifetime in seconds.")


class Refusal(BaseModel):
    """Why not."""

    detail: str


def router(clock: Clock) -> APIRouter:
    """The door's routes. The service itself is found in the application's state once that has started."""
    routes = APIRouter()

    @routes.post(
        "/auth/token/refresh",
        summary="Exchange a refresh token for its successor",
        response_model=RefreshAnswer,
        responses={status: {"model": Refusal} for status in (401, 403, 422, 429, 503)},
    )
    async def refresh(
        request: Request,
        body: RefreshBody,
        idempotency_key: Annotated[
            str | None,
            Header(
                pattern=IDEMPOTENCY_KEY,
                description="The client's name for this attempt, kept until an answer came: 16 to 128 printable ASCII "
                "characters, hard to guess. The same token with the same key yields the same successor.",
            ),
        ] = None,
    ) -> JSONResponse:
        services: Services = request.app.state.services
        watched: RequestRecord = request.scope["watched"]
        watched.operation = ("refreshToken",)
        now = clock.now()
        cookie = RefreshCookie(request, services.settings)
        if body.refresh_token is None and not cookie.is_requested:
            raise RequestValidationError(
                [{"loc": ("body", "refresh_token"), "msg": "Field required", "type": "missing"}]
            )
        token = cookie.token() if body.refresh_token is None else body.refresh_token
        outcome = await services.rotation.refresh(token, idempotency_key, origin_of(request), now)
        watched.record_outcome(outcome, now)
        response = _answer(outcome, in_cookie=body.refresh_token is None)
        if body.refresh_token is None:
            cookie.apply_outcome(response, outcome, now)
        return response

    return routes


def _answer(outcome: RefreshOutcome, *, in_cookie: bool) -> JSONResponse:
    match outcome:
        case Rotated(tokens):
            answer = {
                "access_token": tokens.access_token,
                "refresh_token": tokens.refresh_token,
                "token_type": "bearer",
                "expires_in": tokens.expires_in,
            }
            if in_cookie:
                del answer["refresh_token"]
            return JSONResponse(answer, headers=NO_STORE)
        case Invalid():
            return _refused("Invalid token")
        case Expired():
            return _refused("Token expired")
        case Revoked():
            return _refused("Token revoked")
        case Replayed():
            return _refused("Token reused")
        case StoreBehind():
            return _unavailable()
        case TooManyAttempts(retry_after):
            # RFC 6585 section 4.
            return JSONResponse({"detail": "Too many attempts"}, 429, NO_STORE | {"retry-after": str(retry_after)})
        case _:
            assert_never(outcome)


def _refused(detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, 401, NO_STORE | {"www-authenticate": challenge(anonymous=False)})


def _unavailable() -> JSONResponse:
    return JSONResponse({"detail": UNAVAILABLE}, 503, NO_STORE | {"retry-after": str(RETRY_AFTER)})


async def forbidden(_request: Request, error: Exception) -> JSONResponse:
    """403: a cookie that does not count, and why."""
    return JSONResponse({"detail": str(error)}, 403, NO_STORE)


async def refused(_request: Request, error: Any) -> JSONResponse:
    """404, 405 and their like."""
    # 400 is how FastAPI calls a body that its parser gives up on, such as 100,000 brackets: as bad as any other.
    status = 422 if error.status_code == 400 else error.status_code
    return JSONResponse({"detail": error.detail}, status, NO_STORE | dict(error.headers or {}))


async def unavailable(_request: Request, error: Exception) -> JSONResponse:
    """503: nothing is known to have been spent, and the same request may be sent again."""
    log_outage(error)
    return _unavailable()


async def unprocessable(_request: Request, error: Exception) -> JSONResponse:
    """422: what is wrong and where, without an echo of what was sent, which may be a token."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{name: problem[name] for name in ("loc", "msg", "type")} for problem in problems]
    return JSONResponse({"detail": detail}, 422, NO_STORE)


async def broken(_request: Request, _error: Exception) -> JSONResponse:
    """500: a bug. Nothing of it is told; the log has the traceback."""
    return JSONResponse({"detail": INTERNAL_ERROR}, 500, NO_STORE)
