"""Limits of a document, and what errors disclose of the schema."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType
from typing import Any

import pytest
from graphql import (
    GraphQLError,
    build_schema,
    get_introspection_query,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_list_type,
    is_object_type,
)
from httpx2 import AsyncClient

from auth.config.settings import Settings
from auth.services import Services
from auth.use_cases.sessions import Sessions
from db.tables.users import UserRow
from graph.api.pagination import MAX_PAGE_SIZE
from graph.api.schema import schema, sdl
from graph.execution.documents import parse_and_validate
from graph.execution.limits import LONGEST
from tests.support.endpoints import REVOKE, SESSIONS, Api, GraphQLEndpoint, Pair
from tests.support.plans import PLANS_ENABLED

SCHEMA = build_schema(sdl())
CLOSED = pytest.mark.parametrize("more_settings", [{"introspection": False}], ids=[""])
EVERYTHING = get_introspection_query(
    specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
)


def chain(levels: int, within: str = "") -> str:
    """Fragments each of which spreads the next one twice."""
    spreads = [
        f"fragment F{number} on Query {{{within} ...F{number + 1} ...F{number + 1}}}" for number in range(levels)
    ]
    return "{ ...F0 } " + " ".join(spreads) + f" fragment F{levels} on Query {{ __typename }}"


_ALL_OF_A_SESSION = """{
  id state deviceName userAgent ipAddress createdAt lastUsedAt expiresAt absoluteExpiresAt revokedAt revocationReason
  isCurrent lineage { generation issuedAt rotatedAt ipAddress userAgent }
}"""
FULL_PAGES = f"""{{
  sessions(first: 100) {{ edges {{ cursor node {_ALL_OF_A_SESSION} }} }}
  securityEvents(first: 100) {{ edges {{ node {{ id kind session {_ALL_OF_A_SESSION} }} }} }}
}}"""
HOSTILE = {
    "gql_03 tokens": "{" + "a " * 500_000 + "}",
    "gql_03 spaces": " " * 64_000 + "{ __typename }",
    "gql_03 a comment": "#" + "x" * 64_000 + "\n{ __typename }",
    "gql_03 quotes": '{ session(id: "' + '\\"' * 30_000 + '") { id } }',
    "gql_04 the same field": "{" + "__typename " * 490 + "}",
    "gql_04 the same field with others in it": "{" + "viewer { id username } " * 150 + "}",
    "gql_04 fields that do not exist": "{" + "sessions { id } " * 240 + "}",
    "gql_04 through fragments": "{"
    + " ".join(f"...F{number}" for number in range(60))
    + "}"
    + " ".join(f"fragment F{number} on Query {{ viewer {{ id }} viewer {{ id }} }}" for number in range(60)),
    "gql_05 directives": "{ __typename " + "@aa " * 490 + "}",
    "gql_05 ten directives": "{ __typename " + "@aa " * 10 + "}",
    "gql_06 depth": "{ a " * 490 + "}" * 490,
    "gql_06 a deep list": "{ session(id: " + "[" * 2000 + "]" * 2000 + ") { id } }",
    "gql_06 a deep list within the tokens": "{ session(id: " + "[" * 400 + "]" * 400 + ") { id } }",
    "gql_06 inline fragments": "{ ... " * 300 + "{ __typename }" + "}" * 300,
    "gql_07 ten levels": chain(10),
    "gql_07 fourteen levels": chain(14, "a: viewer { id }"),
    "gql_07 eighteen levels": chain(18),
    "gql_07 ninety levels": chain(90),
    "gql_07 a long chain of fragments": " ".join(
        ["{ ...F0 }", *(f"fragment F{number} on Query {{ ...F{number + 1} }}" for number in range(150))]
    ),
    "gql_08 a circle": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "gql_09 a long list": "{ session(id: [" + "1, " * 900 + "]) { id } }",
    "gql_09 unknown members": "mutation { login(input: {" + "a: 1 " * 300 + "}) { __typename } }",
    "gql_09 variables": "query(" + " ".join(f"$v{number}: Int" for number in range(240)) + ") { __typename }",
    "gql_04 lists in lists": "{ sessions(first: 100) { edges { node {"
    + " ".join(f"a{number}: lineage {{ generation issuedAt }}" for number in range(20))
    + "} } } }",
    "gql_04 pages": "{"
    + " ".join(f"a{number}: sessions(first: 100) {{ edges {{ cursor node {{ id ...F }} }} }}" for number in range(20))
    + "} fragment F on Session { createdAt lastUsedAt expiresAt isCurrent deviceName state userAgent ipAddress }",
    "gql_03 lines": "\n" * 32_000 + "{ v w x y z }",
    "gql_03 lines of another kind": "\r" * 32_000 + "{ v w x y z }",
    "gql_23 a long number": "{ sessions(first: " + "1" * 60_000 + ") { pageInfo { endCursor } } }",
    "gql_05 a value that looks like an error message": '{ sessions(first: "'
    + "value: " * 9000
    + 'cannot represent") { pageInfo { endCursor } } }',
    "gql_01 aliases": "{" + " ".join(f"a{number}: __typename" for number in range(200)) + "}",
}


# The maximum of function calls before other requests get their turn. The worst document here needs 185,000.
MOST_CALLS = 220_000


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """How many functions this thread called, in the list's only entry."""
    calls = [0]

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        calls[0] += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("introspection_enabled", [True, False], ids=["open", "closed"])
@pytest.mark.parametrize("name", HOSTILE)
def test_gql_03_gql_04_gql_05_gql_06_gql_07_no_document_blocks_the_event_loop(
    name: str, introspection_enabled: bool
) -> None:
    parse_and_validate.cache_clear()
    with counted_calls() as calls, suppress(GraphQLError):
        parse_and_validate(schema.core, HOSTILE[name], introspection_enabled=introspection_enabled)
    assert calls[0] < MOST_CALLS


@pytest.mark.parametrize("name", [name for name in HOSTILE if "gql_03 " not in name])
async def test_gql_05_gql_06_gql_08_a_document_that_exceeds_a_limit_gets_a_few_errors(api: Api, name: str) -> None:
    response = await api.post(HOSTILE[name])
    errors = response.json()["errors"]
    assert response.status_code == 200
    assert "data" not in response.json()
    assert 1 <= len(errors) <= 5
    assert all(error["extensions"]["code"].startswith(("GRAPHQL_", "LIMIT_", "BAD_USER")) for error in errors)
    assert len(response.content) < 2000


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{" + "a " * 1000 + "}", "The document has more than 1000 tokens, or is nested too deeply."),
        ("{" + " ".join(f"a{n}: __typename" for n in range(31)) + "}", "The document has more than 30 aliases."),
        ("{ __typename " + "@skip(if: false) " * 31 + "}", "The document has more than 30 directives."),
        ("query " + "@skip(if: false) " * 31 + "{ __typename }", "The document has more than 30 directives."),
        ("query($a: Int " + "@aa " * 31 + ") { __typename }", "The document has more than 30 directives."),
        ("{ ...F } fragment F on Query " + "@aa " * 31 + "{ __typename }", "The document has more than 30 directives."),
        (
            "{ a: __schema { description } ...F } fragment F on Query { b: __schema { description } }",
            "The document has more than 1 `__schema`.",
        ),
        ("{" + "__typename " * 32 + "}", "The document has more than 30 repeated fields."),
        ("{ a " * 31 + "}" * 31, "The document has more than 30 levels."),
        ("{" + " ".join(f"f{n}" for n in range(401)) + "}", "The document has more than 400 fields."),
        ("\n" * 1000 + "{ __typename }", "The document has more than 1000 lines."),
        (
            "{ sessions { edges { node { "
            + " ".join(f"a{n}: lineage {{ generation issuedAt ipAddress userAgent }}" for n in range(3))
            + " lineage { generation } } } } }",
            "The document has more than 20000 fields in its largest possible response.",
        ),
        (chain(9), "The document has more than 30 repeated fields."),
    ],
)
async def test_gql_03_gql_06_gql_07_each_limit_has_its_own_message(api: Api, document: str, message: str) -> None:
    body = (await api.post(document)).json()
    assert body == {"errors": [{"message": message, "extensions": {"code": "LIMIT_EXCEEDED"}}]}


async def test_documents_of_real_clients_exceed_no_limit(api: Api, alice: UserRow) -> None:
    pair = await api.login()
    schema = await api.data(EVERYTHING)
    assert schema["__schema"]["queryType"]["name"] == "Query"
    assert await api.data(SESSIONS, bearer=pair.access)
    parts = " ".join(
        f"fragment F{n} on Session {{ id state {'...F' + str(n + 1) if n < 7 else ''} }}" for n in range(8)
    )
    assert await api.data("{ sessions { edges { node { ...F0 } } } } " + parts, bearer=pair.access)
    assert await api.data(FULL_PAGES, bearer=pair.access)
    assert await api.data("\r\n" * 999 + "{ __typename }")


def test_gql_09_every_list_of_the_schema_counts_with_its_maximum_length() -> None:
    lists = {
        name
        for kind in SCHEMA.type_map.values()
        if is_object_type(kind) and not kind.name.startswith("__")
        for name, field in kind.fields.items()
        if is_list_type(get_nullable_type(field.type))
    }
    assert lists == set(LONGEST)
    assert {"edges": MAX_PAGE_SIZE, "lineage": Settings.model_fields["lineage_depth"].default} == LONGEST


@asynccontextmanager
async def longest_turn() -> AsyncIterator[list[int]]:
    """The most calls of functions in one turn of the event loop, in the list's only entry."""
    longest = [0]

    async def watch() -> None:
        while True:
            before = calls[0]
            await asyncio.sleep(0)
            longest[0] = max(longest[0], calls[0] - before)

    with counted_calls() as calls:
        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        yield longest
        await asyncio.sleep(0)
        watching.cancel()


@pytest.fixture
async def full(api: Api, alice: UserRow) -> Pair:
    """A user with the maximum number of sessions, each with the longest lineage."""
    endpoint = GraphQLEndpoint(api.http)

    async def use(pair: Pair) -> None:
        for _ in range(15):
            pair = (await endpoint.refresh(pair.refresh)).tokens

    await asyncio.gather(*[use(await api.login()) for _ in range(99)])
    return await api.login()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("more_settings", [{"rate_limits": False}], ids=[""])
async def test_gql_04_gql_09_no_response_blocks_the_event_loop(api: Api, full: Pair) -> None:
    page = await api.data(FULL_PAGES, bearer=full.access)
    assert sorted(len(edge["node"]["lineage"]) for edge in page["sessions"]["edges"]) == [1] + [16] * 99
    documents = (
        FULL_PAGES,
        "{" + " ".join(f"a{n}: sessions(first: 100) {{ edges {{ node {{ id }} }} }}" for n in range(30)) + "}",
        "{ securityEvents(first: 100) { edges { node { "
        + " ".join(f"a{n}: session {{ id deviceName createdAt isCurrent }}" for n in range(29))
        + " } } } }",
    )
    for document in documents:
        async with longest_turn() as calls:
            assert await api.data(document, bearer=full.access)
        assert calls[0] < (MOST_CALLS if PLANS_ENABLED else 3 * MOST_CALLS), document


async def test_gql_03_gql_05_many_errors_late_in_a_document_are_located_fast(api: Api) -> None:
    document = "\n" * 998 + " " * 50_000 + "{" + " ".join(f"a{n}: sessions {{ __typename }}" for n in range(29)) + "}"
    async with longest_turn() as calls:
        errors = (await api.post(document)).json()["errors"]
    assert errors[0]["locations"] == [{"line": 999, "column": 50_002}]
    assert calls[0] < MOST_CALLS


async def test_gql_16_gql_23_a_number_of_thousands_of_digits_is_no_internal_error(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    for document in (
        "{ sessions(first: " + "1" * 5000 + ") { pageInfo { endCursor } } }",
        "query($a: Int! = " + "1" * 5000 + ") { sessions(first: $a) { pageInfo { endCursor } } }",
    ):
        assert await api.codes(document) == ["BAD_USER_INPUT"]
    assert "internal error" not in caplog.text


async def test_the_same_document_is_parsed_once(api: Api) -> None:
    parse_and_validate.cache_clear()
    for _ in range(5):
        await api.data("{ __typename }")
    assert (parse_and_validate.cache_info().misses, parse_and_validate.cache_info().hits) == (1, 4)


# What the service discloses of the schema


INTROSPECTION = (
    "{ __schema { types { name } } }",
    '{ __type(name: "User") { name } }',
    "{ a: __schema { queryType { name } } }",
    "{ ...F } fragment F on Query { __schema { queryType { name } } }",
    "{ ... on Query { ... { __schema { queryType { name } } } } }",
    "{\n\n__schema\n{\nqueryType { name } } }",
    "query A { __typename } query B { __schema { queryType { name } } }",
    "mutation { __schema { queryType { name } } }",
    EVERYTHING,
)


@CLOSED
@pytest.mark.parametrize("document", INTROSPECTION)
async def test_gql_10_introspection_can_be_disabled(api: Api, document: str) -> None:
    response = await api.post(document)
    (error,) = response.json()["errors"]
    assert (error["message"], error["extensions"]) == (
        "Introspection is disabled on this server.",
        {"code": "GRAPHQL_VALIDATION_FAILED"},
    )
    assert "data" not in response.json()


@CLOSED
async def test_gql_10_typename_is_always_available(api: Api, alice: UserRow) -> None:
    assert await api.data("{ __typename ...F } fragment F on Query { a: __typename }") == {
        "__typename": "Query",
        "a": "Query",
    }
    assert (await api.try_login("alice", "wrong"))["__typename"] == "InvalidCredentialsError"


@pytest.mark.parametrize(
    ("settings", "enabled"),
    [
        ({}, True),
        ({"environment": "production"}, False),
        ({"environment": "production", "introspection": True}, True),
        ({"introspection": False}, False),
    ],
)
def test_gql_10_introspection_is_for_development_unless_it_is_set(
    settings_for: Any, settings: Any, enabled: bool
) -> None:
    assert settings_for("sqlite:///kindred.db", **settings).introspection_enabled is enabled


def names_of_the_schema() -> set[str]:
    """Every name of the schema that an error could disclose."""
    names = set()
    for kind in SCHEMA.type_map.values():
        if kind.name.startswith("__"):
            continue
        names.add(kind.name)
        if is_enum_type(kind):
            names.update(kind.values)
        if is_object_type(kind) or is_interface_type(kind) or is_input_object_type(kind):
            names.update(kind.fields)
        if is_object_type(kind):
            names.update(name for field in kind.fields.values() for name in field.args)
    # Every error has a message.
    return {name for name in names if len(name) > 4} - {"message"}


PROBES: list[tuple[str, dict[str, Any]]] = [
    ("{ sesions { id } }", {}),
    ("{ sessions(frist: 1) { pageInfo { endCursor } } }", {}),
    ("{ sessions(state: ACTIV) { pageInfo { endCursor } } }", {}),
    ("{ sessions { edges { node { devicName } } } }", {}),
    ("{ sessions { edge { node { id } } } }", {}),
    ("{ sessions }", {}),
    ("{ session { id } }", {}),
    ("query($a: Sesion) { session(id: $a) { id } }", {}),
    ("query($a: Int) { session(id: $a) { id } }", {"a": 1}),
    ("query($a: SessionStat) { sessions(state: $a) { pageInfo { endCursor } } }", {}),
    ("fragment F on Sesion { id } { ...F }", {}),
    ("{ viewer { ... on Sessio { id } } }", {}),
    ("mutation { logn }", {}),
    ("mutation { login { __typename } }", {}),
    ("mutation { login(inpt: {}) { __typename } }", {}),
    ("mutation { login(input: {usernam: 1}) { __typename } }", {}),
    ("mutation { login(input: {}) { __typename } }", {}),
    ("mutation { login(input: {username: 1, password: 2}) { __typename } }", {}),
    ("mutation($a: LoginInput!) { login(input: $a) { __typename } }", {"a": {}}),
    ("mutation($a: LoginInput!) { login(input: $a) { __typename } }", {"a": {"usernam": "x"}}),
    ("mutation($a: LoginInput!) { login(input: $a) { __typename } }", {}),
    ("{ viewer @includ(if: true) { id } }", {}),
    ("subscription { x }", {}),
]


@CLOSED
@pytest.mark.parametrize(("document", "variables"), PROBES)
async def test_gql_11_an_error_about_a_wrong_name_does_not_disclose_the_right_one(
    api: Api, document: str, variables: dict[str, Any]
) -> None:
    response = await api.post(document, variables)
    assert "errors" in response.json()
    disclosed = set(re.findall(r"\w+", response.text))
    assert disclosed & (names_of_the_schema() - set(re.findall(r"\w+", document))) == set()
    assert "mean" not in disclosed


@pytest.mark.parametrize("document", ["{ sesions { id } }", "{ sessions(frist: 1) { pageInfo { endCursor } } }"])
async def test_with_introspection_an_error_about_a_wrong_name_suggests_the_right_one(api: Api, document: str) -> None:
    assert "Did you mean" in (await api.post(document)).text


# Authentication, types of variables, and the timeout


NEEDS_CALLER = {
    "viewer": "{ viewer { id } }",
    "sessions": "{ sessions(first: 1) { edges { node { id lineage { generation } } } } }",
    "session": '{ session(id: "%s") { id } }',
    "securityEvents": "{ securityEvents(first: 1) { edges { node { id } } } }",
    "revokeSession": 'mutation { revokeSession(input: {id: "%s"}) { __typename } }',
    "revokeOtherSessions": "mutation { revokeOtherSessions { revokedCount } }",
    "revokeAllSessions": "mutation { revokeAllSessions { revokedCount } }",
    "changePassword": 'mutation { changePassword(input: {currentPassword: "a", newPassword: "b"}) { __typename } }',
    "checkPassword": 'mutation { checkPassword(input: {newPassword: "b"}) { strength } }',
    "renameSession": 'mutation { renameSession(input: {id: "%s", deviceName: "b"}) { __typename } }',
}


def test_gql_20_the_fields_that_need_a_caller_are_all_listed() -> None:
    assert SCHEMA.query_type is not None
    assert SCHEMA.mutation_type is not None
    fields = {*SCHEMA.query_type.fields, *SCHEMA.mutation_type.fields}
    assert fields - {"login", "refreshToken"} == set(NEEDS_CALLER)


@pytest.mark.parametrize("name", NEEDS_CALLER)
async def test_gql_20_every_listed_field_needs_a_caller(api: Api, alice: UserRow, bob: UserRow, name: str) -> None:
    session = await api.login()
    document = NEEDS_CALLER[name].replace("%s", session.session_id)
    kind = "Mutation" if document.startswith("mutation") else "Query"
    fragment = f"fragment F on {kind} {document.removeprefix('mutation ')}"
    # The same field through a fragment. (`viewer` needs no caller: it is null without one.)
    for query in (document, f"{kind.lower()} {{ ... {{ ...F }} }} {fragment}"):
        body = (await api.post(query)).json()
        codes = [error["extensions"]["code"] for error in body.get("errors", [])]
        assert codes == ([] if name == "viewer" else ["UNAUTHENTICATED"])
        assert body["data"] in (None, {name: None})
    if "%s" in NEEDS_CALLER[name]:
        stranger = await api.login("bob")
        body = (await api.post(document, bearer=stranger.access)).json()
        assert body["data"][name] in (None, {"__typename": "SessionNotFoundError"})
    assert await api.is_live(session.access)


@pytest.mark.parametrize("value", [7, 1.5, ["x"], {"a": 1}, True, None])
async def test_gql_23_a_variable_of_a_wrong_type_is_bad_user_input(api: Api, value: Any) -> None:
    query = "query($id: ID!) { session(id: $id) { id } }"
    response = await api.post(query, {"id": value})
    codes = {error["extensions"]["code"] for error in response.json()["errors"]}
    # An ID may be an integer. The field then needs a caller.
    assert codes == ({"UNAUTHENTICATED"} if value == 7 and value is not True else {"BAD_USER_INPUT"})
    for name in ("id", "refreshToken"):
        answer = await api.post(REVOKE, {"input": {name: value}})
        assert answer.status_code in (200, 401)


@pytest.mark.parametrize("more_settings", [{"database_timeout": 0.3, "database_pool_size": 2}], ids=[""])
async def test_gql_22_a_request_that_times_out_is_503_and_releases_its_connection(
    api: Api, http: AsyncClient, services: Services, alice: UserRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = await api.login()

    async def slow(self: Sessions, *_: Any, **__: Any) -> None:
        async with self.db.read():
            await asyncio.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(Sessions, "page", slow)
        for _ in range(3):
            response = await api.post(SESSIONS, bearer=pair.access)
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["UNAVAILABLE"]
    assert (await api.data(SESSIONS, bearer=pair.access))["sessions"]["edges"]
