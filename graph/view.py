"""`POST /graphql`: Strawberry's ASGI view, with our bodies, our errors and our status codes."""

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
from graph.faults import RETRY_AFTER, STATUS, Code, describe_all
from graph.schema import schema

# Nothing that this door says may be kept by whoever it passes (RFC 6749 section 5.1).
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
GraphiQL = Callable[[], Response]


class GraphQLView(GraphQL[Context, None]):
    """The API. `graphiql` makes the page that a browser gets; None where there shall be none."""

    def __init__(self, kindred: Callable[[], Kindred], clock: Clock, graphiql: GraphiQL | None) -> None:
        super().__init__(schema, graphql_ide=None, allow_queries_via_get=False, subscription_protocols=())
        self._kindred = kindred
        self._clock = clock
        self._graphiql = graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except HTTPException as error:
            # Strawberry repeats the name of an operation that the document lacks.
            response = refusal(error.status_code, error.reason.partition(" named ")[0].rstrip(".") + ".")
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET" and self._graphiql and "text/html" in request.headers.get("accept", ""):
            return self._graphiql()
        if request.method != "POST":
            # No queries by GET: tokens would end up in URLs, and URLs in logs (GQL-12).
            return refusal(405, "GraphQL is spoken here by POST.", {"allow": "POST"})
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            # Any other media type a browser sends across sites without asking first (GQL-14).
            return refusal(415, "The body must be JSON, with the header `Content-Type: application/json`.")
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
        if result.errors:
            anonymous = context.is_anonymous
            incident = context.kindred.entropy.id(context.now)
            open_schema = context.kindred.settings.shows_schema
            codes, answer["errors"] = describe_all(
                result.errors, incident=incident, anonymous=anonymous, open_schema=open_schema
            )
            context.response.status_code = max((STATUS.get(code, 200) for code in codes), default=200)
            if Code.UNAUTHENTICATED in codes:
                context.response.headers["www-authenticate"] = challenge(anonymous=anonymous)
            if Code.UNAVAILABLE in codes:
                context.response.headers["retry-after"] = str(RETRY_AFTER)
        return answer


def challenge(*, anonymous: bool) -> str:
    """The `WWW-Authenticate` header (RFC 6750 section 3): no error code where nothing was sent that could be wrong."""
    return "Bearer" if anonymous else 'Bearer error="invalid_token"'


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """A request that is not GraphQL, answered in the form of GraphQL's errors."""
    body = {"errors": [{"message": message, "extensions": {"code": Code.BAD_REQUEST}}]}
    return Response(orjson.dumps(body), status, NO_STORE | (headers or {}), "application/json")
