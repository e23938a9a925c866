"""`POST /graphql`: Strawberry's ASGI view, with our bodies, our errors and our status codes."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.types import ExecutionResult

from auth.clock import Clock
from auth.service import Kindred
from graph.context import Context
from graph.faults import RETRY_AFTER, STATUS, UNAVAILABLE, Code, describe_all, gravity
from graph.schema import schema

# Nothing that this door says may be kept by whoever it passes (RFC 6749 section 5.1).
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
GraphiQL = Callable[[], Response]

# GraphQL over HTTP: the old media type, in which an error of the document is 200, and its own, in which it is 400.
JSON, GRAPHQL_JSON = "application/json", "application/graphql-response+json"


class GraphQLView(GraphQL[Context, None]):
    """The API. `graphiql` makes the page that a browser gets; None where there shall be none.

    `timeout` in seconds bounds the answering of a request, which may need the database several times (GQL-22).
    """

    def __init__(
        self, kindred: Callable[[], Kindred], clock: Clock, graphiql: GraphiQL | None, *, timeout: float
    ) -> None:
        super().__init__(schema, graphql_ide=None, allow_queries_via_get=False, subscription_protocols=())
        self._kindred = kindred
        self._clock = clock
        self._graphiql = graphiql
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        request.state.media_type = _wanted(request.headers.get("accept", ""))
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._answer(request)
        except HTTPException as error:
            # Strawberry repeats the name of an operation that the document lacks.
            response = refusal(error.status_code, error.reason.partition(" named ")[0].rstrip(".") + ".")
        except TimeoutError:
            response = refusal(503, UNAVAILABLE, {"retry-after": str(RETRY_AFTER)}, code=Code.UNAVAILABLE)
        if response.media_type == JSON and request.state.media_type == GRAPHQL_JSON:
            response.headers["content-type"] = f"{GRAPHQL_JSON}; charset=utf-8"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET" and self._graphiql and "text/html" in request.headers.get("accept", ""):
            return self._graphiql()
        if request.method != "POST":
            # No queries by GET: tokens would end up in URLs, and URLs in logs (GQL-12).
            return refusal(405, "GraphQL is spoken here by POST.", {"allow": "POST"})
        if request.state.media_type is None:
            return refusal(406, f"An answer is `{GRAPHQL_JSON}` or `{JSON}`; the header `Accept` allows neither.")
        media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
        if media_type.strip() != JSON or parameters.strip().replace('"', "") not in ("", "charset=utf-8"):
            # Any other media type a browser sends across sites without asking first (GQL-14).
            return refusal(415, "The body must be JSON in UTF-8, with the header `Content-Type: application/json`.")
        return await self.run(request)

    async def get_context(self, request: Any, response: Any) -> Context:
        """The request's context; the instant is read here and nowhere else."""
        request.state.context = Context(self._kindred(), request, response, self._clock.now())
        return request.state.context  # type: ignore[no-any-return]

    def decode_json(self, data: str | bytes) -> object:
        """A request body, checked down to the types of its parts; raises `HTTPException` 400."""
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise HTTPException(400, "The body is not JSON.") from None
        if isinstance(body, list):
            raise HTTPException(400, "One operation at a time: the body must be a JSON object.")
        if not isinstance(body, dict) or not isinstance(body.get("query"), str) or not body["query"].strip():
            raise HTTPException(400, "The body must be a JSON object with the document as `query`.")
        for name, kind in (("variables", dict), ("extensions", dict), ("operationName", str)):
            if body.get(name) is not None and not isinstance(body[name], kind):
                raise HTTPException(400, f"`{name}` must be {'an object' if kind is dict else 'a string'} or null.")
        return body

    def encode_json(self, data: object) -> bytes:
        """An answer's body."""
        return orjson.dumps(data)

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """An answer: errors described or masked, and the status code that the gravest of them asks for."""
        context: Context = request.state.context
        context.response.headers.update(NO_STORE)
        answer: GraphQLHTTPResponse = {"data": result.data}
        # Nothing was executed. (What was has an error with the path of a field.)
        if request_error := result.data is None and not any(error.path for error in result.errors or ()):
            del answer["data"]
        if result.errors:
            anonymous = context.is_anonymous
            incident = context.kindred.entropy.id(context.now)
            open_schema = context.kindred.settings.shows_schema
            codes, answer["errors"] = describe_all(
                result.errors, incident=incident, anonymous=anonymous, open_schema=open_schema
            )
            usual = 400 if request_error and request.state.media_type == GRAPHQL_JSON else 200
            context.response.status_code = max((STATUS.get(code, usual) for code in codes), default=usual)
            context.watched.failed(max(codes, key=gravity))
            if Code.UNAUTHENTICATED in codes:
                context.response.headers["www-authenticate"] = challenge(anonymous=anonymous)
            if Code.UNAVAILABLE in codes:
                context.response.headers["retry-after"] = str(RETRY_AFTER)
        return answer


def challenge(*, anonymous: bool) -> str:
    """The `WWW-Authenticate` header (RFC 6750 section 3): no error code where nothing was sent that could be wrong."""
    return "Bearer" if anonymous else 'Bearer error="invalid_token"'


def refusal(
    status: int, message: str, headers: dict[str, str] | None = None, *, code: Code = Code.BAD_REQUEST
) -> Response:
    """A request that is not GraphQL, answered in the form of GraphQL's errors."""
    body = {"errors": [{"message": message, "extensions": {"code": code}}]}
    return Response(orjson.dumps(body), status, NO_STORE | (headers or {}), JSON)


def _wanted(accept: str) -> str | None:
    """The media type that an `Accept` header asks for (RFC 9110 section 12.5.1); None where we have none of them.

    Who names none gets the old one, as GraphQL over HTTP asks of servers for the sake of old clients.
    """
    qualities: dict[str, float] = {}
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        try:
            qualities[media_range] = float(quality)
        except ValueError:
            qualities[media_range] = 0.0
    anything = qualities.get("application/*", qualities.get("*/*", 0.0 if accept.strip() else 1.0))
    old, new = qualities.get(JSON, anything), qualities.get(GRAPHQL_JSON, 0.0)
    if max(old, new) <= 0:
        return None
    return GRAPHQL_JSON if new >= old else JSON
