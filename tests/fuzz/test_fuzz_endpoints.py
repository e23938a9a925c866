"""Both endpoints with generated requests: every answer is JSON, and none is a server error."""

import asyncio
import json
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from graph.api.schema import sdl
from tests.fuzz.inputs import SyncClient, fuzzed

JSON = {"content-type": "application/json"}
PATHS = ("/graphql", "/auth/token/refresh")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["query", "variables", "operationName", "extensions", "refresh_token", "input"])
# From arbitrary bytes to bodies that resemble a request.
BODIES = st.one_of(
    st.binary(max_size=400),
    VALUES.map(json.dumps).map(str.encode),
    st.dictionaries(NAMES, VALUES, max_size=5).map(json.dumps).map(str.encode),
    st.builds(lambda text, size: text * size, st.binary(min_size=1, max_size=8), st.integers(1, 20_000)),
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "idempotency-key", "authorization", "accept", "content-length", "host", "origin"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
    max_size=3,
)


@pytest.mark.parametrize("path", PATHS)
def test_dos_02_no_body_causes_a_server_error(client: SyncClient, path: str) -> None:
    @fuzzed
    @given(BODIES, HEADERS)
    def send(body: bytes, headers: dict[str, str]) -> None:
        answer = client("POST", path, content=body, headers=JSON | headers)
        assert answer.status_code < 500, answer.text
        assert answer.headers["content-type"].startswith("application/")
        assert isinstance(answer.json(), dict)

    send()


def test_no_request_of_the_rest_schema_causes_a_server_error(
    client: SyncClient, fuzzed_app: tuple[FastAPI, asyncio.Runner]
) -> None:
    schema = schemathesis.openapi.from_dict(fuzzed_app[0].openapi())
    operation = schema["/auth/token/refresh"]["POST"]

    @fuzzed
    @given(operation.as_strategy())
    def send(case: Any) -> None:
        headers = {
            name: value for name, value in (case.headers or {}).items() if value.isascii() and value.isprintable()
        }
        answer = client(
            "POST", "/auth/token/refresh", content=json.dumps(case.body, default=str), headers=JSON | headers
        )
        assert answer.status_code in (401, 422), answer.text

    send()


@pytest.mark.parametrize("root", ["Query", "Mutation"])
def test_no_document_of_the_graphql_schema_causes_a_server_error(
    client: SyncClient, root: str, graphql_schema: Any
) -> None:
    operations = [found.ok() for found in graphql_schema.get_all_operations() if found.ok().label.startswith(root)]
    assert operations

    @fuzzed
    @given(st.one_of([operation.as_strategy() for operation in operations]))
    def send(case: Any) -> None:
        answer = client("POST", "/graphql", content=json.dumps({"query": case.body}), headers=JSON)
        assert answer.status_code < 500, answer.text
        codes = {error["extensions"]["code"] for error in answer.json().get("errors", [])}
        assert not codes & {"INTERNAL", "UNAVAILABLE"}, answer.text

    send()


@pytest.fixture(scope="module")
def graphql_schema() -> Any:
    """The GraphQL schema, loaded by schemathesis."""
    schemathesis.graphql.scalar("UUID", st.uuids().map(str).map(_literal))
    schemathesis.graphql.scalar("DateTime", st.datetimes().map(lambda moment: _literal(moment.isoformat() + "Z")))
    return schemathesis.graphql.from_file(sdl())


def _literal(text: str) -> Any:
    return schemathesis.graphql.nodes.String(text)
