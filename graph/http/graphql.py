"""`POST /graphql`: GraphQL over HTTP.

https://github.com/graphql/graphql-over-http/blob/main/spec/GraphQLOverHTTP.md
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from graphql import ExecutionResult
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.clock import Clock
from auth.services import Services
from db.engine.shared_timeout import SharedTimeout
from graph.api.context import Context
from graph.api.schema import schema
from graph.execution.documents import OperationNotFound
from graph.execution.error_masking import describe_all
from graph.http.errors import GRAPHQL_PATH, NO_STORE, challenge, graphql_error, unavailable_for
from graph.problems import INTERNAL_ERROR, RETRY_AFTER, STATUS, Code, severity

GraphiQL = Callable[[], Response]

# With the older media type an invalid document gets status 200; with GraphQL's own it gets 400.
JSON, GRAPHQL_JSON = "application/json", "application/graphql-response+json"


class GraphQLEndpoint:
    """ASGI middleware that answers `/graphql` and passes every other path to `next_app`, which is FastAPI.

    FastAPI's own layers would cost 5 % of a refresh.

    `graphiql` renders the page for a browser; None turns GraphiQL off.

    `timeout` is the limit in seconds for one response, which may need several database statements (GQL-22).
    """

    def __init__(
        self,
        next_app: ASGIApp,
        services: Callable[[], Services],
        clock: Clock,
        graphiql: GraphiQL | None,
        *,
        timeout: float,
    ) -> None:
        self._next_app = next_app
        self._services = services
        self._clock = clock
        self._graphiql = graphiql
        self._timeout = SharedTimeout(timeout)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http" or scope["path"] != GRAPHQL_PATH:
            return await self._next_app(scope, receive, send)
        request = Request(scope, receive)
        media_type = negotiate(request.headers.get("accept", ""))
        try:
            async with self._timeout():
                response = await self._respond(request, media_type)
        except BadRequest as error:
            response = graphql_error(400, str(error))
        except TimeoutError:
            response = unavailable_for(scope)
        except Exception:
            await graphql_error(500, INTERNAL_ERROR, code=Code.INTERNAL)(scope, receive, send)
            raise  # for the log
        if response.media_type == JSON and media_type == GRAPHQL_JSON:
            response.headers["content-type"] = f"{GRAPHQL_JSON}; charset=utf-8"
        return await response(scope, receive, send)

    async def _respond(self, request: Request, media_type: str | None) -> Response:
        if request.method == "GET" and self._graphiql and "text/html" in request.headers.get("accept", ""):
            return self._graphiql()
        if request.method != "POST":
            # No queries by GET: tokens would end up in URLs, and URLs in logs (GQL-12).
            return graphql_error(405, "Use POST for GraphQL requests.", {"allow": "POST"})
        if media_type is None:
            return graphql_error(406, f"`Accept` must allow `{GRAPHQL_JSON}` or `{JSON}`.")
        content_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
        if content_type.strip() != JSON or parameters.strip().replace('"', "") not in ("", "charset=utf-8"):
            # A page of another site can send other media types without a CORS preflight (GQL-14).
            return graphql_error(415, "Send JSON in UTF-8, with the header `Content-Type: application/json`.")
        body = parse_request((await request.receive())["body"])  # whole: `RequestBodyLimit` has read all of it
        response = Response(headers=NO_STORE, media_type=JSON)
        # The instant of everything that the request does. (The access log reads the clock for itself.)
        context = Context(self._services(), request, response, self._clock.now())
        try:
            result = await schema.execute_document(
                body["query"], body.get("variables"), body.get("operationName"), context
            )
        except OperationNotFound as error:
            raise BadRequest(str(error)) from None
        response.body = orjson.dumps(render(result, context, media_type))
        response.headers["content-length"] = str(len(response.body))
        return response


class BadRequest(Exception):
    """The body is not a GraphQL request. The message says why."""


def parse_request(body: bytes) -> dict[str, Any]:
    """Return the members of a request body after checking their types. Raises `BadRequest`."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not valid JSON.") from None
    if isinstance(request, list):
        raise BadRequest("Batches are not supported. Send one operation as a JSON object.")
    if not isinstance(request, dict) or not isinstance(request.get("query"), str) or not request["query"].strip():
        raise BadRequest("The body must be a JSON object with the document in `query`.")
    for name, kind in (("variables", dict), ("extensions", dict), ("operationName", str)):
        if request.get(name) is not None and not isinstance(request[name], kind):
            raise BadRequest(f"`{name}` must be {'an object' if kind is dict else 'a string'} or null.")
    return request


def render(result: ExecutionResult, context: Context, media_type: str) -> dict[str, Any]:
    """Return the body of a response, and set the status code of its most severe error."""
    body: dict[str, Any] = {"data": result.data}
    if not result.errors:
        return body
    # A request error: nothing was executed, so no error has the path of a field.
    if request_error := result.data is None and not any(error.path for error in result.errors):
        del body["data"]
    anonymous = context.is_anonymous
    codes, body["errors"] = describe_all(
        result.errors,
        new_error_id=context.services.entropy.id(context.now),
        anonymous=anonymous,
        introspection_enabled=context.services.settings.introspection_enabled,
    )
    default = 400 if request_error and media_type == GRAPHQL_JSON else 200
    context.response.status_code = max((STATUS.get(code, default) for code in codes), default=default)
    context.request_record.record_failure(max(codes, key=severity))
    if Code.UNAUTHENTICATED in codes:
        context.response.headers["www-authenticate"] = challenge(anonymous=anonymous)
    if Code.UNAVAILABLE in codes:
        context.response.headers["retry-after"] = str(RETRY_AFTER)
    return body


@lru_cache(maxsize=64)  # most clients send one of a few values
def negotiate(accept: str) -> str | None:
    """Return the media type for an `Accept` header (RFC 9110 section 12.5.1), or None if it allows neither.

    Without a preference it is `application/json`, which GraphQL over HTTP requires for older clients.
    """
    qualities: dict[str, float] = {}
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        try:
            qualities[media_range] = float(quality)
        except ValueError:
            qualities[media_range] = 0.0
    wildcard = qualities.get("application/*", qualities.get("*/*", 0.0 if accept.strip() else 1.0))
    json, graphql_json = qualities.get(JSON, wildcard), qualities.get(GRAPHQL_JSON, 0.0)
    if max(json, graphql_json) <= 0:
        return None
    return GRAPHQL_JSON if graphql_json >= json else JSON
