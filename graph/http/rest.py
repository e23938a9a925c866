"""`POST /auth/token/refresh`: the same use case as the mutation `refreshToken`, for clients without GraphQL."""

from typing import Annotated, assert_never

from fastapi import APIRouter, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from auth.clock import Clock
from auth.outcomes import Expired, Invalid, RefreshOutcome, Replayed, Revoked, Rotated, StoreBehind, TooManyAttempts
from auth.services import Services
from graph.api.context import client_of
from graph.api.inputs import IDEMPOTENCY_KEY
from graph.api.refresh_cookie import RefreshCookie
from graph.http.errors import NO_STORE, RETRY_LATER, challenge, rest_error
from graph.observability.access_log import RequestRecord
from graph.problems import UNAVAILABLE


class RefreshRequest(BaseModel):
    """The token to exchange."""

    model_config = ConfigDict(strict=True)

    refresh_token: str | None = Field(
        None, description="The session's current refresh token, valid for one call. Omit it if the cookie carries it."
    )


class RefreshResponse(BaseModel):
    """The session's new tokens (RFC 6749 section 5.1)."""

    access_token: str = Field(description="A signed JWT, for the header `Authorization: Bearer`.")
    refresh_token: str | None = Field(None, description="Valid for one call. Absent if the cookie carries it.")
    token_type: str = Field(description="Always `bearer`.")
    expires_in: int = Field(description="The access token's lifetime in seconds.")


class ErrorResponse(BaseModel):
    """Why the request was refused."""

    detail: str


def router(clock: Clock) -> APIRouter:
    """The route. It finds the services in the application's state, where the lifespan puts them."""
    routes = APIRouter()

    @routes.post(
        "/auth/token/refresh",
        summary="Exchange a refresh token for its successor",
        response_model=RefreshResponse,
        responses={status: {"model": ErrorResponse} for status in (401, 403, 422, 429, 503)},
    )
    async def refresh(
        request: Request,
        body: RefreshRequest,
        idempotency_key: Annotated[
            str | None,
            Header(
                pattern=IDEMPOTENCY_KEY,
                description="The client's key for this attempt, the same until a response arrives: 16 to 128 printable "
                "ASCII characters, unpredictable. The same token with the same key yields the same successor.",
            ),
        ] = None,
    ) -> JSONResponse:
        services: Services = request.app.state.services
        record: RequestRecord = request.scope["request_record"]
        record.operation = ("refreshToken",)
        now = clock.now()
        cookie = RefreshCookie(request, services.settings)
        in_cookie = body.refresh_token is None
        if in_cookie and not cookie.is_requested:
            raise RequestValidationError(
                [{"loc": ("body", "refresh_token"), "msg": "Field required", "type": "missing"}]
            )
        token = cookie.token() if body.refresh_token is None else body.refresh_token
        outcome = await services.rotation.refresh(token, idempotency_key, client_of(request), now)
        record.record_outcome(outcome, now)
        response = _response(outcome, in_cookie=in_cookie)
        if in_cookie:
            cookie.apply_outcome(response, outcome, now)
        return response

    return routes


def _response(outcome: RefreshOutcome, *, in_cookie: bool) -> JSONResponse:
    match outcome:
        case Rotated(tokens):
            body: dict[str, str | int] = {"access_token": tokens.access_token}
            if not in_cookie:
                body["refresh_token"] = tokens.refresh_token
            return JSONResponse(body | {"token_type": "bearer", "expires_in": tokens.expires_in}, headers=NO_STORE)
        case Invalid():
            return _unauthorized("Invalid token")
        case Expired():
            return _unauthorized("Token expired")
        case Revoked():
            return _unauthorized("Token revoked")
        case Replayed():
            return _unauthorized("Token reused")
        case StoreBehind():
            return rest_error(503, UNAVAILABLE, RETRY_LATER)
        case TooManyAttempts(retry_after):
            # RFC 6585 section 4.
            return rest_error(429, "Too many attempts", {"retry-after": str(retry_after)})
        case _:
            assert_never(outcome)


def _unauthorized(detail: str) -> JSONResponse:
    return rest_error(401, detail, {"www-authenticate": challenge(anonymous=False)})
