"""`POST /graphql`: the schema over HTTP, with our bodies, our errors and our status codes."""

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
from graph.problems import INTERNAL_ERROR, RETRY_AFTER, STATUS, UNAVAILABLE, Code, severity

# Nothing that this door says may be kept by whoever it passes (RFC 6749 section 5.1).
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
GraphiQL = Callable[[], Response]
PATH = "/graphql"

# GraphQL over HTTP: the old media type, in which an error of the document is 200, and its own, in which it is 400.
JSON, GRAPHQL_JSON = "application/json", "application/graphql-response+json"
_ANSWERED = [(name.encode(), text.encode()) for name, text in (NO_STORE | {"content-type": JSON}).items()]


class GraphQLEndpoint:
    """The API. Stands before FastAPI, whose layers cost a refresh a twentieth; all other paths are `others`'.

    `graphiql` makes the page that a browser gets; None where there shall be none.

    `timeout` in seconds bounds the answering of a request, which may need the database several times (GQL-22).
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
        """Answer one request, or pass it on."""
        if scope["type"] != "http" or scope["path"] != PATH:
            return await self._next_app(scope, receive, send)
        request = Request(scope, receive)
        wanted = negotiate(request.headers.get("accept", ""))
        try:
            async with self._timeout():
                response = await self._respond(request, wanted)
        except BadRequest as refused:
            response = refusal(400, str(refused))
        except TimeoutError:
            response = refusal(503, UNAVAILABLE, {"retry-after": str(RETRY_AFTER)}, code=Code.UNAVAILABLE)
        except Exception:
            await refusal(500, INTERNAL_ERROR, code=Code.INTERNAL)(scope, receive, send)
            raise  # for the log
        if response.media_type == JSON and wanted == GRAPHQL_JSON:
            response.headers["content-type"] = f"{GRAPHQL_JSON}; charset=utf-8"
        return await response(scope, receive, send)

    async def _respond(self, request: Request, media_type: str | None) -> Response:
        if request.method == "GET" and self._graphiql and "text/html" in request.headers.get("accept", ""):
            return self._graphiql()
        if request.method != "POST":
            # No queries by GET: tokens would end up in URLs, and URLs in logs (GQL-12).
            return refusal(405, "GraphQL is spoken here by POST.", {"allow": "POST"})
        if media_type is None:
            return refusal(406, f"An answer is `{GRAPHQL_JSON}` or `{JSON}`; the header `Accept` allows neither.")
        content_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
        if content_type.strip() != JSON or parameters.strip().replace('"', "") not in ("", "charset=utf-8"):
            # Any other media type a browser sends across sites without asking first (GQL-14).
            return refusal(415, "The body must be JSON in UTF-8, with the header `Content-Type: application/json`.")
        asked = parse_request((await request.receive())["body"])  # which the edge passes on whole
        response = GraphQLResponse()
        # The instant is read here and nowhere else.
        context = Context(self._services(), request, response, self._clock.now())
        try:
            result = await schema.execute_document(
                asked["query"], asked.get("variables"), asked.get("operationName"), context
            )
        except OperationNotFound as error:
            raise BadRequest(str(error)) from None
        response.body = orjson.dumps(render(result, context, media_type))
        response.raw_headers.append((b"content-length", str(len(response.body)).encode()))
        return response


class GraphQLResponse(Response):
    """An answer to an operation. Made as it is, where Starlette encodes the same few headers anew each time."""

    media_type = JSON

    def __init__(self) -> None:
        self.status_code, self.background, self.body = 200, None, b""
        self.raw_headers = [*_ANSWERED]


class BadRequest(Exception):
    """The body is not a request of GraphQL's. The message says why."""


def parse_request(body: bytes) -> dict[str, Any]:
    """A request body, checked down to the types of its parts; raises `Refused`."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not JSON.") from None
    if isinstance(asked, list):
        raise BadRequest("One operation at a time: the body must be a JSON object.")
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str) or not asked["query"].strip():
        raise BadRequest("The body must be a JSON object with the document as `query`.")
    for name, kind in (("variables", dict), ("extensions", dict), ("operationName", str)):
        if asked.get(name) is not None and not isinstance(asked[name], kind):
            raise BadRequest(f"`{name}` must be {'an object' if kind is dict else 'a string'} or null.")
    return asked


def render(result: ExecutionResult, context: Context, wanted: str) -> dict[str, Any]:
    """An answer: errors described or masked, and the status code that the gravest of them asks for."""
    if not result.errors:
        return {"data": result.data}
    answer: dict[str, Any] = {"data": result.data}
    # Nothing was executed. (What was has an error with the path of a field.)
    if request_error := result.data is None and not any(error.path for error in result.errors):
        del answer["data"]
    anonymous = context.is_anonymous
    incident = context.services.entropy.id(context.now)
    introspection_enabled = context.services.settings.introspection_enabled
    codes, answer["errors"] = describe_all(
        result.errors, new_error_id=incident, anonymous=anonymous, introspection_enabled=introspection_enabled
    )
    usual = 400 if request_error and wanted == GRAPHQL_JSON else 200
    context.response.status_code = max((STATUS.get(code, usual) for code in codes), default=usual)
    context.request_record.failed(max(codes, key=severity))
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


@lru_cache(maxsize=64)  # clients send the same few
def negotiate(accept: str) -> str | None:
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
