"""A client of the service over HTTP: both refresh endpoints, and GraphQL for everything else."""

from dataclasses import dataclass
from typing import Any, Protocol

from httpx2 import AsyncClient, Response

LOGIN = """
mutation Login($input: LoginInput!) {
  login(input: $input) {
    __typename
    ... on LoginSuccess {
      tokens { accessToken refreshToken tokenType expiresIn accessTokenExpiresAt refreshTokenExpiresAt }
      session { id deviceName state isCurrent }
      viewer { id username email }
    }
    ... on UserError { message }
    ... on TooManyAttemptsError { retryAfter }
  }
}
"""
REFRESH = """
mutation Refresh($input: RefreshTokenInput!) {
  refreshToken(input: $input) {
    __typename
    ... on RefreshTokenSuccess { tokens { accessToken refreshToken expiresIn } session { id } }
    ... on UserError { message }
    ... on TooManyAttemptsError { retryAfter }
  }
}
"""
REVOKE = """
mutation Revoke($input: RevokeSessionInput!) {
  revokeSession(input: $input) {
    __typename
    ... on RevokeSessionSuccess { session { id state revokedAt revocationReason } }
    ... on UserError { message }
  }
}
"""
SESSIONS = """
query Sessions($first: Int! = 20, $after: String, $state: SessionState = ACTIVE) {
  sessions(first: $first, after: $after, state: $state) {
    edges { cursor node { id state isCurrent deviceName revocationReason } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""

ROTATED, INVALID, EXPIRED, REVOKED, REPLAYED, THROTTLED = (
    "RefreshTokenSuccess",
    "InvalidRefreshTokenError",
    "RefreshTokenExpiredError",
    "SessionRevokedError",
    "RefreshTokenReplayedError",
    "TooManyAttemptsError",
)
UNAVAILABLE = "UNAVAILABLE"
_REST = {
    "Invalid token": INVALID,
    "Token expired": EXPIRED,
    "Token revoked": REVOKED,
    "Token reused": REPLAYED,
    "Too many attempts": THROTTLED,
}


@dataclass(frozen=True)
class Pair:
    """The tokens of a client that is signed in."""

    access: str
    refresh: str
    session_id: str = ""


@dataclass(frozen=True)
class Refreshed:
    """The result of a refresh: the name of its GraphQL type, or `UNAVAILABLE` for 503."""

    outcome: str
    status: int
    pair: Pair | None = None
    # Seconds to wait, if the response has them.
    retry_after: int = 0

    @property
    def tokens(self) -> Pair:
        assert self.pair is not None, self.outcome
        return self.pair


class RefreshEndpoint(Protocol):
    """An endpoint that refreshes tokens."""

    async def refresh(self, token: str, key: str | None = None) -> Refreshed: ...


class Api:
    """GraphQL over HTTP."""

    def __init__(self, http: AsyncClient) -> None:
        self.http = http

    async def post(
        self, query: str, variables: dict[str, Any] | None = None, bearer: str | None = None, **headers: str
    ) -> Response:
        """Send a request. Return the whole response."""
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        return await self.http.post("/graphql", json={"query": query, "variables": variables or {}}, headers=headers)

    async def data(self, query: str, variables: dict[str, Any] | None = None, bearer: str | None = None) -> Any:
        """Send a request that must succeed. Return its data."""
        response = await self.post(query, variables, bearer)
        body = response.json()
        assert response.status_code == 200, body
        assert "errors" not in body, body
        return body["data"]

    async def codes(self, query: str, variables: dict[str, Any] | None = None, bearer: str | None = None) -> list[str]:
        """Send a request. Return the codes of its errors."""
        body = (await self.post(query, variables, bearer)).json()
        return [error["extensions"]["code"] for error in body.get("errors", [])]

    async def try_login(self, username: str, password: str, device_name: str | None = None) -> Any:
        """Sign in. Return the result, also of a failed attempt."""
        given = {"username": username, "password": password, "deviceName": device_name}
        return (await self.data(LOGIN, {"input": given}))["login"]

    async def login(self, username: str = "alice", password: str = "", device_name: str | None = None) -> Pair:
        """Sign in, by default as Alice. Return the tokens."""
        result = await self.try_login(username, password or PASSWORD, device_name)
        assert result["__typename"] == "LoginSuccess", result
        return Pair(result["tokens"]["accessToken"], result["tokens"]["refreshToken"], result["session"]["id"])

    async def is_live(self, access_token: str) -> bool:
        """Whether the service accepts an access token."""
        response = await self.post("{ viewer { id } }", bearer=access_token)
        assert response.status_code in (200, 401), response.text
        return response.status_code == 200


class GraphQLEndpoint:
    """The mutation `refreshToken`."""

    def __init__(self, http: AsyncClient) -> None:
        self.api = Api(http)

    async def refresh(self, token: str, key: str | None = None) -> Refreshed:
        response = await self.api.post(REFRESH, {"input": {"refreshToken": token, "idempotencyKey": key}})
        body = response.json()
        if "errors" in body:
            wait = int(response.headers.get("retry-after", "0"))
            return Refreshed(body["errors"][0]["extensions"]["code"], response.status_code, retry_after=wait)
        result = body["data"]["refreshToken"]
        if result["__typename"] != ROTATED:
            return Refreshed(result["__typename"], response.status_code, retry_after=result.get("retryAfter", 0))
        tokens = result["tokens"]
        pair = Pair(tokens["accessToken"], tokens["refreshToken"], result["session"]["id"])
        return Refreshed(ROTATED, response.status_code, pair)


class RestEndpoint:
    """`POST /auth/token/refresh`."""

    def __init__(self, http: AsyncClient) -> None:
        self.http = http

    async def refresh(self, token: str, key: str | None = None) -> Refreshed:
        headers = {"idempotency-key": key} if key is not None else {}
        response = await self.http.post("/auth/token/refresh", json={"refresh_token": token}, headers=headers)
        body = response.json()
        if response.status_code == 200:
            return Refreshed(ROTATED, 200, Pair(body["access_token"], body["refresh_token"]))
        wait = int(response.headers.get("retry-after", "0"))
        if response.status_code == 503:
            return Refreshed(UNAVAILABLE, 503, retry_after=wait)
        return Refreshed(_REST[body["detail"]], response.status_code, retry_after=wait)


ENDPOINTS: dict[str, type[GraphQLEndpoint] | type[RestEndpoint]] = {"graphql": GraphQLEndpoint, "rest": RestEndpoint}
PASSWORD = "violet kettle orbits 42 lanterns"
NEW_PASSWORD = "three grey owls read 7 maps"
