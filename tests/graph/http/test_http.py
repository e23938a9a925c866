"""GraphQL requests over HTTP: invalid ones are refused in JSON, and caches may store no response."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from auth.config.settings import Settings
from db.tables.users import UserRow
from graph.app import create_app
from graph.execution.documents import parse_and_validate
from tests.support.endpoints import (
    LOGIN,
    PASSWORD,
    REFRESH,
    REVOKE,
    ROTATED,
    SESSIONS,
    Api,
    GraphQLEndpoint,
    RefreshEndpoint,
)

JSON = {"content-type": "application/json"}
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
SettingsFactory = Callable[..., Settings]


def body_with(**parts: Any) -> bytes:
    return json.dumps({"query": "{ __typename }"} | parts).encode()


BODIES = {
    "nothing": b"",
    "a number": b"3",
    "a string": b'"x"',
    "a batch": b'[{"query":"{ __typename }"},{"query":"{ __typename }"}]',
    "an empty batch": b"[]",
    "null": b"null",
    "half an object": b"{",
    "two objects": b"{}{}",
    "not a number": b'{"query":"{ __typename }","variables":{"a":NaN}}',
    "infinity": b'{"query":"{ __typename }","variables":{"a":-Infinity}}',
    "5,000 digits": b"1" * 5000,
    "5,000 digits within": b'{"query":"{ __typename }","variables":{"a":' + b"1" * 5000 + b"}}",
    "30,000 brackets": b"[" * 30_000 + b"]" * 30_000,
    "10,000 brackets within": b'{"query":"{ __typename }","variables":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    "half a character": b'{"query":"{ __typename }","variables":{"a":"\\ud800"}}',
    "half a character, raw": b'{"query":"\xed\xa0\x80"}',
    "Latin-1": '{"query":"# é"}'.encode("latin-1"),
    "UTF-16": '{"query":"{ __typename }"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"query":"{ __typename }"}'.encode("utf-16-be"),
    "a byte order mark": b"\xef\xbb\xbf" + body_with(),
    "NUL": b"\x00",
    "gzip": b"\x1f\x8b\x08\x00",
    "no query": b"{}",
    "query null": body_with(query=None),
    "query a number": body_with(query=3),
    "query a list": body_with(query=["{ __typename }"]),
    "query empty": body_with(query=" \n"),
    "query twice": b'{"query":"{ __typename }","query":3}',
    "variables a list": body_with(variables=[]),
    "variables a string": body_with(variables="{}"),
    "variables false": body_with(variables=False),
    "operationName a number": body_with(operationName=3),
    "operationName a list": body_with(operationName=["A"]),
    "operationName unknown": body_with(operationName="A"),
    "extensions a list": body_with(extensions=[]),
    "no operation": body_with(query="fragment F on Query { __typename }"),
    "a type": body_with(query="type T { a: Int }"),
    "a persisted query": b'{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}',
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite only: HTTP does not depend on the database."""
    return sqlite_url


def assert_refused(response: Any, *statuses: int) -> None:
    assert response.status_code in statuses
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert error["message"].endswith(".")


async def test_gql_16_a_body_that_is_not_a_graphql_request_is_refused_in_json(http: AsyncClient) -> None:
    for name, body in BODIES.items():
        response = await http.post("/graphql", content=body, headers=JSON)
        assert response.status_code == 400, name
        assert_refused(response, 400)


@pytest.mark.parametrize("nothing", [None, {}])
async def test_an_optional_member_may_be_null(http: AsyncClient, nothing: dict[str, str] | None) -> None:
    body = body_with(variables=nothing, extensions=nothing, operationName=None, unknown="x")
    response = await http.post("/graphql", content=body, headers=JSON)
    assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}})


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/application/jsonp",
        "application/graphql",
        "application/json, text/plain",
        "*/*",
    ],
)
async def test_gql_14_gql_15_only_json_is_read(api: Api, http: AsyncClient, alice: UserRow, media_type: str) -> None:
    pair = await api.login()
    headers = {"content-type": media_type} if media_type else {}
    body = body_with(query=REFRESH, variables={"input": {"refreshToken": pair.refresh}})
    assert_refused(await http.post("/graphql", content=body, headers=headers), 415)
    rest = await http.post("/auth/token/refresh", content=body_with(refresh_token=pair.refresh), headers=headers)
    assert rest.status_code == 422
    assert (await GraphQLEndpoint(http).refresh(pair.refresh)).outcome == ROTATED


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/json;charset=UTF-8"])
async def test_a_media_type_may_have_parameters(http: AsyncClient, media_type: str) -> None:
    response = await http.post("/graphql", content=body_with(), headers={"content-type": media_type})
    assert response.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
async def test_gql_12_net_07_both_endpoints_accept_post_only(
    api: Api, http: AsyncClient, alice: UserRow, method: str
) -> None:
    pair = await api.login()
    query = f'mutation {{ refreshToken(input: {{refreshToken: "{pair.refresh}"}}) {{ __typename }} }}'
    for path in ("/graphql", "/auth/token/refresh"):
        response = await http.request(
            method, path, params={"query": query}, headers={"x-http-method-override": "POST", "accept": "*/*"}
        )
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert response.headers["cache-control"] == "no-store"
    assert (await GraphQLEndpoint(http).refresh(pair.refresh)).outcome == ROTATED


async def test_web_05_graphiql_is_shown_to_browsers_in_development(http: AsyncClient) -> None:
    page = await http.get("/graphql", headers=BROWSER)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for accept in ("*/*", "application/json", "application/graphql-response+json"):
        assert (await http.get("/graphql", headers={"accept": accept})).status_code == 405


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ({"environment": "production"}, False),
        ({"environment": "production", "graphiql": True}, True),
        ({"graphiql": False}, False),
    ],
)
async def test_web_05_production_shows_graphiql_only_if_the_setting_says_so(
    sqlite_url: str, settings_for: SettingsFactory, chosen: dict[str, Any], shown: bool
) -> None:
    app = create_app(settings_for(sqlite_url, **chosen))
    client = AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test")
    async with app.router.lifespan_context(app), client as http:
        assert ((await http.get("/graphql", headers=BROWSER)).status_code == 200) is shown
        assert (await http.post("/graphql", content=body_with(), headers=JSON)).status_code == 200


@pytest.mark.parametrize("path", ["/graphql", "/", "/auth/token/refresh"])
@pytest.mark.parametrize("protocol", ["graphql-transport-ws", "graphql-ws", None])
async def test_gql_13_no_websocket_is_opened(app: FastAPI, path: str, protocol: str | None) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(
        {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"kindred.test"), (b"origin", b"https://evil.test")],
            "subprotocols": [protocol] if protocol else [],
            "client": ("127.0.0.1", 1),
            "server": ("kindred.test", 80),
        },
        receive,
        send,
    )
    # Closed before it was accepted: the server answers the handshake with 403.
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    "document",
    [
        "mutation {{ a: {one} b: {one} }}",
        "mutation {{ {one} {two} }}",
        "mutation {{ ...F b: {one} }} fragment F on Mutation {{ a: {one} }}",
        "mutation {{ ...F ...G }} fragment F on Mutation {{ ...G }} fragment G on Mutation {{ a: {one} b: {two} }}",
        "mutation {{ ... on Mutation {{ a: {one} }} ... {{ ... {{ b: {two} }} }} }}",
        "mutation {{ a: {one} b: {skipped} }}",
        "mutation {{ ...A }} fragment A on Mutation {{ a: {one} ...B }} fragment B on Mutation {{ b: {one} ...A }}",
        "query Q {{ __typename }} mutation M {{ a: {one} b: {two} }}",
    ],
)
async def test_gql_01_rot_16_a_document_has_one_mutation_field(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint, document: str
) -> None:
    pair = await api.login()
    one = f'refreshToken(input: {{refreshToken: "{pair.refresh}"}}) {{ __typename }}'
    two = f'revokeSession(input: {{refreshToken: "{pair.refresh}"}}) {{ __typename }}'
    skipped = one.replace(" { __typename", " @skip(if: true) { __typename")
    response = await api.post(document.format(one=one, two=two, skipped=skipped))
    assert "data" not in response.json()
    assert {error["extensions"]["code"] for error in response.json()["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}
    assert await api.is_live(pair.access)
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


async def test_gql_01_twenty_login_attempts_in_one_document_are_refused(api: Api, alice: UserRow) -> None:
    login = 'a{}: login(input: {{username: "alice", password: "{}"}}) {{ __typename }}'
    logins = " ".join(login.format(number, number) for number in range(20))
    assert await api.codes(f"mutation {{ {logins} }}") == ["GRAPHQL_VALIDATION_FAILED"]
    pair = await api.login()
    edges = (await api.data("{ securityEvents { edges { node { kind } } } }", bearer=pair.access))["securityEvents"]
    assert [edge["node"]["kind"] for edge in edges["edges"]] == ["LOGIN_SUCCEEDED"]


async def test_a_mutation_field_and_typename_are_allowed_together(api: Api, alice: UserRow) -> None:
    pair = await api.login()
    field = f'refreshToken(input: {{refreshToken: "{pair.refresh}"}}) {{ __typename }}'
    answer = await api.data(f"mutation {{ __typename ...F name: __typename }} fragment F on Mutation {{ {field} }}")
    assert answer == {"__typename": "Mutation", "refreshToken": {"__typename": ROTATED}, "name": "Mutation"}


async def test_gql_08_a_fragment_that_spreads_itself_is_refused(api: Api) -> None:
    for document in (
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "mutation { ...A } fragment A on Mutation { ...B } fragment B on Mutation { ...A }",
    ):
        assert set(await api.codes(document)) == {"GRAPHQL_VALIDATION_FAILED"}


async def test_gql_02_rot_17_batches_are_refused(
    api: Api, http: AsyncClient, alice: UserRow, endpoint: RefreshEndpoint
) -> None:
    pair = await api.login()
    one = {"query": REFRESH, "variables": {"input": {"refreshToken": pair.refresh}}}
    assert_refused(await http.post("/graphql", json=[one, one]), 400)
    assert_refused(await http.post("/graphql", json=[one]), 400)
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


async def test_net_01_no_response_may_be_stored_by_a_cache(api: Api, http: AsyncClient, alice: UserRow) -> None:
    pair = await api.login()
    responses = [
        await api.post(LOGIN, {"input": {"username": "alice", "password": PASSWORD}}),
        await api.post(LOGIN, {"input": {"username": "alice", "password": "wrong"}}),
        await api.post(SESSIONS, bearer=pair.access),
        await api.post(SESSIONS, bearer="bad"),
        await api.post(SESSIONS),
        await api.post("{ viewer { id } }"),
        await api.post("{ nonsense"),
        await api.post("{ nonsense }"),
        await api.post(REFRESH, {"input": {"refreshToken": 3}}),
        await api.post(REFRESH, {"input": {"refreshToken": pair.refresh}}),
        await api.post(REFRESH, {"input": {"refreshToken": pair.refresh}}),
        await api.post(REVOKE, {"input": {"refreshToken": pair.refresh}}),
        await http.post("/graphql", content=b"{"),
        await http.post("/graphql", content=b"{", headers=JSON),
    ]
    rest = await api.login()
    body: Any
    for body in ({"refresh_token": rest.refresh}, {"refresh_token": rest.refresh}, {"refresh_token": "x"}, {}, [], 3):
        responses.append(await http.post("/auth/token/refresh", json=body))
    responses.append(await http.post("/auth/token/refresh", content=b"[" * 60_000, headers=JSON))
    responses.append(await http.get("/auth/token/refresh"))
    assert {response.status_code for response in responses} == {200, 400, 401, 405, 415, 422}
    assert {response.headers.get("cache-control") for response in responses} == {"no-store"}


async def test_a_document_is_parsed_and_validated_once(api: Api, alice: UserRow) -> None:
    pair = await api.login()
    document = SESSIONS + "# sent again and again"
    before = parse_and_validate.cache_info()
    for first in range(1, 6):
        await api.data(document, {"first": first}, pair.access)
    after = parse_and_validate.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 4)
    invalid = "{ nonsense } # sent again and again"
    before = parse_and_validate.cache_info()
    assert [await api.codes(invalid) for _ in range(3)] == [["GRAPHQL_VALIDATION_FAILED"]] * 3
    after = parse_and_validate.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 2)


@pytest.mark.parametrize("more_settings", [{"access_token_ttl": timedelta(seconds=90)}])
async def test_tok_11_the_setting_decides_the_lifetime_of_an_access_token(api: Api, alice: UserRow) -> None:
    assert (await api.try_login("alice", PASSWORD))["tokens"]["expiresIn"] == 90
