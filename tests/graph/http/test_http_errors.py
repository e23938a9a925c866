"""Errors: each has a code. None repeats input or discloses internals."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from auth.use_cases.accounts import Accounts
from auth.use_cases.rotation import Rotation
from graph.api.schema import schema
from tests.support.endpoints import LOGIN, REFRESH, REVOKE, SESSIONS, Api

pytestmark = pytest.mark.usefixtures("alice")

CANARY = "hunter2"
PARSE, INVALID, INPUT = "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"

# Documents with a misplaced value. Messages keep names, so that a developer finds a misspelled one.
LITERALS = {
    '{ sessions(first: "hunter2") { pageInfo { endCursor } } }': INPUT,
    "{ sessions(first: hunter2) { pageInfo { endCursor } } }": INPUT,
    '{ sessions(first: "value: hunter2 cannot represent") { pageInfo { endCursor } } }': INPUT,
    '{ sessions(first: "value: Int cannot represent value: hunter2") { pageInfo { endCursor } } }': INPUT,
    "{ sessions(after: hunter2) { pageInfo { endCursor } } }": INPUT,
    '{ sessions(after: {a: "hunter2"}) { pageInfo { endCursor } } }': INPUT,
    "{ sessions(state: hunter2) { pageInfo { endCursor } } }": INPUT,
    '{ sessions(state: "hunter2") { pageInfo { endCursor } } }': INPUT,
    "{ sessions(first: null) { pageInfo { endCursor } } }": INPUT,
    "{ sessions(first: 99999999999) { pageInfo { endCursor } } }": INPUT,
    '{ session(id: ["hunter2"]) { id } }': INPUT,
    "{ session(id: hunter2) { id } }": INPUT,
    '{ viewer @include(if: "hunter2") { id } }': INPUT,
    'query($a: Int = "hunter2") { sessions(first: $a) { pageInfo { endCursor } } }': INPUT,
    'mutation { login(input: "hunter2") { __typename } }': INPUT,
    'mutation { login(input: ["hunter2"]) { __typename } }': INPUT,
    "mutation { login(input: $input) { __typename } }": INVALID,
    'mutation { login(input: {username: "hunter2"}) { __typename } }': INPUT,
    'mutation { login(input: {username: "a", password: hunter2}) { __typename } }': INPUT,
    'mutation { login(input: {username: "a", password: ["hunter2"]}) { __typename } }': INPUT,
    'mutation { login(input: {username: "a", password: {hunter2: "hunter2"}}) { __typename } }': INPUT,
    'mutation { login(input: {username: "a", password: null, deviceName: "hunter2"}) { __typename } }': INPUT,
    'mutation { login(input: {username: "a", password: "b", deviceName: "hunter2\\u200b"}) { __typename } }': INPUT,
    'mutation { refreshToken(input: {refreshToken: "hunter2", idempotencyKey: "hunter2"}) { __typename } }': INPUT,
    'mutation { revokeSession(input: {id: "hunter2", refreshToken: "hunter2"}) { __typename } }': INPUT,
    'mutation { login(input: {username: "a", username: "hunter2", password: "b"}) { __typename } }': INVALID,
    'mutation { login(password: "hunter2") { __typename } }': INVALID,
    'mutation { login(input: {"hunter2"}) { __typename } }': PARSE,
    'mutation { login("hunter2") { __typename } }': PARSE,
    'mutation { login(input: {username: "a" password hunter2}) { __typename } }': PARSE,
    'mutation { login(input: {username: "a", password: "hunter2}) { __typename } }': PARSE,
    "mutation { login(input: {username: 'hunter2', password: 'hunter2'}) { __typename } }": PARSE,
    'mutation { login(input: {username: "\\uhunter2"}) { __typename } }': PARSE,
    'mutation { login(input: {username: "\\u{hunter2}"}) { __typename } }': PARSE,
    'mutation { login(input: {username: "\\hunter2"}) { __typename } }': PARSE,
    "mutation { login(input: {username: 0hunter2}) { __typename } }": PARSE,
    '{ viewer """hunter2""" }': PARSE,
    '{ viewer { id } } "hunter2" hunter2': PARSE,
    "hunter2": PARSE,
    '"hunter2"': PARSE,
    "{ viewer { id } } hunter2": PARSE,
    'query($a: "hunter2") { viewer { id } }': PARSE,
    "{ " * 300 + "hunter2": PARSE,
}
VARIABLES: list[tuple[str, Any]] = [
    (SESSIONS, {"first": "hunter2"}),
    (SESSIONS, {"first": ["hunter2"]}),
    (SESSIONS, {"first": 1.5, "after": "hunter2"}),
    (SESSIONS, {"first": None, "after": "hunter2"}),
    (SESSIONS, {"after": {"hunter2": "hunter2"}}),
    (SESSIONS, {"state": "hunter2"}),
    (SESSIONS, {"state": ["hunter2"]}),
    (LOGIN, {"hunter2": "hunter2"}),
    (LOGIN, {"input": "hunter2"}),
    (LOGIN, {"input": ["hunter2"]}),
    (LOGIN, {"input": {"username": "hunter2"}}),
    (LOGIN, {"input": {"username": "hunter2", "password": ["hunter2"]}}),
    (LOGIN, {"input": {"username": {"hunter2": "hunter2"}, "password": "hunter2"}}),
    (LOGIN, {"input": {"username": "hunter2", "password": None}}),
    (LOGIN, {"input": {"username": "hunter2", "password": "hunter2", "hunter2": "hunter2"}}),
    (LOGIN, {"input": {"username": "hunter2", "password": "hunter2", "deviceName": "hunter2" * 20}}),
    (LOGIN, {"input": {"username": "hunter2", "password": 2}}),
    (REFRESH, {"input": {"refreshToken": "hunter2", "idempotencyKey": "hunter2"}}),
    (REFRESH, {"input": {"refreshToken": {"hunter2": "hunter2"}}}),
    (REVOKE, {"input": {"refreshToken": "hunter2", "id": "hunter2"}}),
    (REVOKE, {"input": {"refreshToken": None, "id": "hunter2"}}),
    (REVOKE, {"input": {"hunter2": "hunter2"}}),
    (REVOKE, {"input": {"id": {"hunter2": "hunter2"}}}),
    ("query($a: Boolean!) { viewer @include(if: $a) { id } }", {"a": "hunter2"}),
    ("query($a: String) { sessions(first: $a) { pageInfo { endCursor } } }", {"a": "hunter2"}),
]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite only: the errors do not depend on the database."""
    return sqlite_url


async def test_log_02_no_error_repeats_a_misplaced_value(api: Api) -> None:
    for document, code in LITERALS.items():
        response = await api.post(document)
        codes = {error["extensions"]["code"] for error in response.json().get("errors", [])}
        assert (response.status_code, codes) == (200, {code}), document
        assert CANARY not in response.text
    pair = await api.login()
    for document, variables in VARIABLES:
        response = await api.post(document, variables, pair.access)
        codes = {error["extensions"]["code"] for error in response.json().get("errors", [])}
        assert (response.status_code, codes) == (200, {INPUT}), (document, variables)
        assert CANARY not in response.text


async def test_log_02_no_error_repeats_headers_bodies_or_query_strings(http: AsyncClient) -> None:
    everywhere = ("cookie", "x-hunter2", "user-agent", "accept")
    headers = {"authorization": f"Bearer {CANARY}"} | dict.fromkeys(everywhere, "hunter2=hunter2")
    headers["accept"] += ", */*"
    for query, values in (
        (LOGIN, {"username": CANARY, "password": CANARY}),
        (REFRESH, {"refreshToken": CANARY}),
        (REVOKE, {"refreshToken": CANARY}),
        (REVOKE, {"id": CANARY}),
    ):
        body: Any = {"query": query, "variables": {"input": values}}
        response = await http.post("/graphql?hunter2=hunter2", json=body, headers=headers)
        assert response.status_code in (200, 401)
        assert CANARY not in response.text + str(response.headers)
    bodies = ['"hunter2"', "hunter2", "[hunter2", '{"hunter2":"hunter2"}', '{"query":["hunter2"]}']
    bodies += [f'{{"query":"{{ __typename }}","{name}":"hunter2"}}' for name in ("operationName", "variables")]
    for text in bodies:
        response = await http.post("/graphql", content=text, headers=headers | {"content-type": "application/json"})
        assert response.status_code == 400
        assert CANARY not in response.text
    response = await http.post("/graphql", content="hunter2", headers=headers | {"content-type": "text/hunter2"})
    assert (response.status_code, CANARY in response.text) == (415, False)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", PARSE),
        ("{ viewer { id }", PARSE),
        ("{ nonsense }", INVALID),
        ("{ viewer }", INVALID),
        ("{ viewer { id { x } } }", INVALID),
        ("query($a: Int) { viewer { id } }", INVALID),
        ("{ sessions(first: $a) { pageInfo { endCursor } } }", INVALID),
        ("{ ...F }", INVALID),
        ("subscription { x }", INVALID),
        ("query A { __typename } query A { __typename }", INVALID),
        ("a " * 2000, PARSE),
    ],
)
async def test_an_invalid_document_gets_the_location_and_the_reason(api: Api, document: str, code: str) -> None:
    response = await api.post(document)
    assert response.status_code == 200
    assert "data" not in response.json()
    for error in response.json()["errors"]:
        assert error["extensions"] == {"code": code}
        assert error["message"]
        assert error["locations"]


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


async def test_gql_17_an_internal_error_is_masked_and_found_in_the_log_by_its_id(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pair = await api.login()
    monkeypatch.setattr(Accounts, "get", failing(RuntimeError("postgresql://kindred:hunter2@10.0.0.1/x failed")))
    with caplog.at_level(logging.INFO):
        response = await api.post("query Q { a: viewer { id } b: viewer { id } }", bearer=pair.access)
    assert response.json()["data"] == {"a": None, "b": None}
    for error in response.json()["errors"]:
        error_id = error["extensions"].pop("id")
        assert error["extensions"] == {"code": "INTERNAL"}
        assert error_id in caplog.text
        assert error["message"] == "Internal error. The server log has the details under this ID."
    assert not any(inside in response.text for inside in (CANARY, "postgresql", "RuntimeError", "Traceback", ".py"))
    assert "RuntimeError: postgresql://" in caplog.text


async def test_gql_17_an_internal_error_of_the_rest_endpoint_discloses_nothing(
    app: FastAPI, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = await api.login()
    monkeypatch.setattr(Rotation, "refresh", failing(RuntimeError("postgresql://kindred:hunter2@10.0.0.1/x failed")))
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://kindred.test") as http:
        response = await http.post("/auth/token/refresh", json={"refresh_token": pair.refresh})
    assert (response.status_code, response.headers["cache-control"]) == (500, "no-store")
    assert "detail" in response.json()
    assert not any(inside in response.text for inside in (CANARY, "postgresql", "RuntimeError", "Traceback"))


async def test_gql_18_a_failing_field_does_not_affect_its_siblings(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = await api.login()
    monkeypatch.setattr(Accounts, "get", failing(RuntimeError("hunter2")))
    response = await api.post("{ viewer { id } sessions { edges { node { id } } } }", bearer=pair.access)
    edges = response.json()["data"]["sessions"]["edges"]
    assert [edge["node"]["id"] for edge in edges] == [pair.session_id]
    assert [error["path"] for error in response.json()["errors"]] == [["viewer"]]


async def test_gql_17_an_error_outside_the_schema_has_the_graphql_format_and_is_logged(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        type(schema), "execute_document", failing(RuntimeError("postgresql://kindred:hunter2@10.0.0.1/x failed"))
    )
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://kindred.test") as http:
        with caplog.at_level(logging.INFO):
            response = await http.post("/graphql", json={"query": "{ __typename }"})
    assert (response.status_code, response.headers["cache-control"]) == (500, "no-store")
    (error,) = response.json()["errors"]
    assert error == {
        "message": "Internal error. The server log has the details.",
        "extensions": {"code": "INTERNAL"},
    }
    record = caplog.records[-1]
    assert (record.line["outcome"], record.line["status"]) == ("failed", 500)  # type: ignore[attr-defined]
    assert record.exc_info is not None
