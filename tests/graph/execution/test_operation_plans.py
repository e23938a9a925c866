"""Operations by plan: whatever is sent, the resolver gets the same, once, and the answer is graphql-core's own."""

import ast
import asyncio
import inspect
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, Executor, GraphQLField, OperationDefinitionNode, execute, parse, validate
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from db.tables.base import SessionState
from graph.api import mutations, queries
from graph.api.inputs import LoginInput, RefreshTokenInput, RevokeSessionInput
from graph.api.pagination import SessionConnection
from graph.api.results import RefreshTokenResult, RefreshTokenSuccess
from graph.api.schema import parse_and_validate
from graph.api.types import Session, User
from graph.api.user_errors import InvalidRefreshTokenError, TooManyAttemptsError
from graph.execution import operation_plans
from graph.execution.operation_plans import PreparedOperation, execute_operation, plan_of
from tests.graph.execution.test_result_plans import ERRORS, PAGES, SESSIONS, TOKENS, USERS, a_page, odd

Strange = st.sampled_from([None, 7, -1.5, 2**31, True, "", "text", [], ["text"], {}, {"id": "x"}])
TEXT = st.text(max_size=3)


class Context:
    """What resolvers are given, and what they are to come to."""

    known_caller, is_anonymous = None, False

    def __init__(self, found: Any) -> None:
        self.found = found
        self.given: list[Any] = []

    async def caller_if_any(self) -> None:
        return None

    def come_to(self, **given: Any) -> Any:
        self.given.append(given)
        if isinstance(self.found, BaseException):
            raise self.found
        return self.found


Info = strawberry.Info[Context, None]


@strawberry.type
class Query:
    @strawberry.field
    async def refreshed(self, info: Info, input: RefreshTokenInput) -> RefreshTokenResult | None:
        return info.context.come_to(input=input)  # type: ignore[no-any-return]

    @strawberry.field
    async def ended(self, info: Info, input: RevokeSessionInput | None = None) -> Session | None:
        return info.context.come_to(input=input)  # type: ignore[no-any-return]

    @strawberry.field
    async def signed_in(self, info: Info, input: LoginInput) -> User:
        return info.context.come_to(input=input)  # type: ignore[no-any-return]

    @strawberry.field
    async def sessions(
        self,
        info: Info,
        first: int = 20,
        after: str | None = None,
        state: SessionState | None = SessionState.ACTIVE,
    ) -> SessionConnection:
        return info.context.come_to(first=first, after=after, state=state)  # type: ignore[no-any-return]

    @strawberry.field
    async def session(self, info: Info, id: strawberry.ID, only: bool = False) -> Session | None:
        return info.context.come_to(id=id, only=only)  # type: ignore[no-any-return]

    @strawberry.field
    async def words(self, info: Info, of: list[str] | None = None) -> list[str] | None:
        return info.context.come_to(of=of)  # type: ignore[no-any-return]

    @strawberry.field
    def at_once(self, info: Info) -> str:
        return info.context.come_to()  # type: ignore[no-any-return]


SCHEMA = strawberry.Schema(
    query=Query, types=[InvalidRefreshTokenError, TooManyAttemptsError], config=StrawberryConfig()
)._schema
FIELDS: dict[str, GraphQLField] = SCHEMA.query_type.fields  # type: ignore[union-attr]
SELECTIONS = {
    "refreshed": " { __typename ... on RefreshTokenSuccess { tokens { expiresIn } session { id isCurrent } } "
    "... on UserError { message } }",
    "ended": " { id state createdAt isCurrent }",
    "signedIn": " { username email }",
    "sessions": " { edges { cursor node { id state } } pageInfo { hasNextPage } }",
    "session": " { ...Its } fragment Its on Session { id }",
    "words": "",
    "atOnce": "",
}
LITERALS = {
    "input": [
        '{refreshToken: "t"}',
        '{refreshToken: null, idempotencyKey: "k"}',
        "{}",
        '{id: "x"}',
        '{username: "u", password: "p", delivery: COOKIE}',
        '{username: "u", password: "p"}',
        "{refreshToken: $within}",
        "null",
    ],
    "first": ["3", "-1"],
    "after": ['"there"', "null"],
    "state": ["EXPIRED", "null"],
    "id": ['"x"', "7"],
    "only": ["true"],
    "of": ['["a"]', '"a"', "null"],
}
DECLARED = {
    "input": ["RefreshTokenInput!", "RefreshTokenInput", "RevokeSessionInput", "LoginInput!", "LoginInput"],
    "first": ["Int!", "Int = 5", "Int"],
    "after": ["String", 'String = "there"', "String!"],
    "state": ["SessionState", "SessionState! = REVOKED"],
    "id": ["ID!", 'ID = "x"', "ID"],
    "only": ["Boolean!", "Boolean = true"],
    "of": ["[String!]", "[String!]!"],
}
INPUTS = st.fixed_dictionaries(
    {},
    optional={
        "refreshToken": odd(TEXT),
        "idempotencyKey": odd(TEXT),
        "id": odd(TEXT),
        "username": odd(TEXT),
        "password": odd(TEXT),
        "deviceName": odd(TEXT),
        "delivery": odd(st.sampled_from(["BODY", "COOKIE", "PIGEON"])),
        "unheardOf": TEXT,
    },
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "input": INPUTS
    | st.builds(lambda token: {"refreshToken": token}, TEXT)
    | st.builds(lambda name, word: {"username": name, "password": word}, TEXT, TEXT),
    "first": st.integers(-(2**33), 2**33),
    "after": TEXT,
    "state": st.sampled_from(["ACTIVE", "REVOKED", "active"]),
    "id": TEXT | st.integers(0, 9),
    "only": st.booleans(),
    "of": st.lists(TEXT, max_size=2) | TEXT,
}
FOUND = st.one_of(
    st.builds(RefreshTokenSuccess, tokens=odd(TOKENS), session=odd(SESSIONS)),
    ERRORS,
    SESSIONS,
    USERS,
    st.builds(SessionConnection, edges=st.just([]), page_info=PAGES),
    st.just(a_page().connection),
    st.sampled_from([None, "text", ["a", "b"], ["a", None], ValueError("raised"), RuntimeError("raised")]),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A document with one field, and the variables that come with it."""
    name = draw(st.sampled_from(sorted(SELECTIONS)))
    declared, arguments, variables = [], [], {}
    for argument in FIELDS[name].args:
        how = draw(st.sampled_from(["left out", "literal", "variable", "variable", "variable"]))
        if how == "literal":
            arguments.append(f"{argument}: {draw(st.sampled_from(LITERALS[argument]))}")
        elif how == "variable":
            declared.append(f"${argument}: {draw(st.sampled_from(DECLARED[argument]))}")
            arguments.append(f"{argument}: ${argument}")
            if draw(st.integers(0, 5)):
                variables[argument] = draw(odd(VALUES[argument]) | Strange)
    if any("$within" in one for one in arguments):
        declared.append("$within: String")
        if draw(st.booleans()):
            variables["within"] = draw(odd(TEXT))
    if draw(st.integers(0, 5)) == 0:
        variables["beside"] = draw(Strange)
    alias, others = draw(st.sampled_from(["", "", "mine: "])), draw(st.sampled_from(["", "", "", " __typename"]))
    given = f"({', '.join(arguments)})" if arguments else ""
    selection, _, fragment = (alias + name + given + SELECTIONS[name]).partition(" fragment ")
    head = f"query Asked({', '.join(declared)}) " if declared else draw(st.sampled_from(["", "query Asked "]))
    return f"{head}{{ {selection}{others} }}" + (f" fragment {fragment}" if fragment else ""), variables


def told(result: ExecutionResult, context: Context) -> Any:
    """An answer, its errors, and what the resolver was given; as text, for the order of the fields."""
    return repr(result.data), [str(error.formatted) for error in result.errors or ()], repr(context.given)


def planned(text: str) -> PreparedOperation:
    document = parse(text)
    (one,) = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    return PreparedOperation((), plan_of(SCHEMA, document, one))


async def by_plan(text: str, variables: dict[str, Any], found: Any) -> Any:
    context = Context(found)
    return told(await execute_operation(SCHEMA, parse(text), planned(text), {}, variables, None, context), context)


async def by_graphql_core(text: str, variables: dict[str, Any], found: Any) -> Any:
    context = Context(found)
    result = execute(SCHEMA, parse(text), None, context, variables, executor_class=Executor)
    return told(result if isinstance(result, ExecutionResult) else await result, context)


@settings(deadline=None, max_examples=300)
@given(request=requests(), found=FOUND)
def test_an_operation_by_plan_comes_to_what_graphql_core_would_have_made_of_it(
    request: tuple[str, dict[str, Any]], found: Any
) -> None:
    text, variables = request
    if not validate(SCHEMA, parse(text)):
        assert asyncio.run(by_plan(text, variables, found)) == asyncio.run(by_graphql_core(text, variables, found))


ENDED = "query($input: RevokeSessionInput) { ended(input: $input) { id } }"
PAGE = "query($first: Int! %s) { sessions(first: $first) { edges { cursor } } }"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        (ENDED, {"input": None}),
        (ENDED, {}),
        (ENDED, {"input": {}}),
        (ENDED, {"input": {"id": "x", "refreshToken": "t"}}),
        ("query($id: String) { ended(input: {refreshToken: $id}) { id } }", {"id": "t"}),
        ("query($id: String) { ended(input: {refreshToken: $id}) { id } }", {}),
        ("query($t: String) { refreshed(input: {refreshToken: $t}) { __typename } }", {"t": "t"}),
        (PAGE % "", {}),
        (PAGE % "", {"first": None}),
        (PAGE % "= 3", {}),
        (PAGE % "= 3", {"first": None}),
        ("query($first: Int = 3) { sessions(first: $first) { edges { cursor } } }", {"first": None}),
        ("query($after: String) { sessions(after: $after) { edges { cursor } } }", {}),
    ],
)
async def test_what_variables_may_be_at_their_edges_is_taken_as_graphql_core_takes_it(
    text: str, variables: dict[str, Any]
) -> None:
    found = a_page().connection if "sessions" in text else None
    assert await by_plan(text, variables, found) == await by_graphql_core(text, variables, found)


REFRESHED = "query($input: RefreshTokenInput!) { refreshed(input: $input) { __typename } }"
GOOD = {"input": {"refreshToken": "t", "idempotencyKey": "k"}}


def no_graphql_core(*_: Any, **__: Any) -> Any:
    raise AssertionError("graphql-core was asked")


@pytest.mark.parametrize(
    ("text", "variables", "found"),
    [
        (REFRESHED, GOOD, InvalidRefreshTokenError()),
        (REFRESHED, GOOD, None),
        ("{ sessions(first: 3) { edges { cursor node { id } } } }", {}, a_page().connection),
        ("query($most: Int!) { sessions(first: $most) { edges { cursor } } }", {"most": 3}, a_page().connection),
    ],
)
async def test_a_usual_request_needs_graphql_core_for_nothing(
    text: str, variables: dict[str, Any], found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await by_graphql_core(text, variables, found)
    monkeypatch.setattr(operation_plans, "execute", no_graphql_core)
    assert await by_plan(text, variables, found) == expected


@pytest.mark.parametrize("found", [ValueError("raised"), object(), RefreshTokenSuccess(tokens=None, session=None)])  # type: ignore[arg-type]
async def test_a_resolver_is_called_once_even_where_graphql_core_has_to_tell_of_it(found: Any) -> None:
    text = REFRESHED.replace("__typename", "... on RefreshTokenSuccess { tokens { expiresIn } }")
    data, errors, calls = await by_plan(text, GOOD, found)
    assert (data, len(errors), calls.count("RefreshTokenInput")) == ("{'refreshed': None}", 1, 1)


async def test_a_request_that_is_cut_off_within_a_resolver_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_plans, "execute", no_graphql_core)
    with pytest.raises(asyncio.CancelledError):
        await by_plan(REFRESHED, GOOD, asyncio.CancelledError())


@pytest.mark.parametrize(
    "text",
    [
        "{ a: viewer { id } b: viewer { id } }",
        "{ viewer { id } viewer { username } }",
        "{ __typename }",
        "{ __schema { types { name } } }",
        "query($first: Int) { viewer { id } sessions(first: $first) { edges { cursor } } }",
        "query($skipped: Boolean!) { viewer { id @skip(if: $skipped) } }",
        "{ sessions { edges { node { lineage { generation } } } } }",  # which is awaited
    ],
)
def test_what_is_not_one_plain_field_is_left_to_graphql_core(text: str) -> None:
    (operation,) = parse_and_validate(text).operations.values()
    assert operation.plan is None


def test_gql_07_a_document_of_many_operations_has_no_plans_however_often_they_share_a_fragment() -> None:
    """Limits are for each operation: a hundred of them may ask for hundreds of fields each."""
    fields = " ".join(f"a{n}: session {{ id state deviceName }}" for n in range(20))
    many = " ".join(f"mutation m{n} {{ ...R }}" for n in range(100))
    text = f"{many} fragment R on Mutation {{ refreshToken(input: {{}}) {{ ...F }} }}"
    understood = parse_and_validate(f"{text} fragment F on RefreshTokenSuccess {{ {fields} }}")
    assert not understood.errors
    assert [operation.plan for operation in understood.operations.values()] == [None] * 100


def test_lists_are_left_to_graphql_core() -> None:
    """They may be of anything, and who changes one must not change it for the next request."""
    assert planned("query($of: [String!]) { words(of: $of) }").plan is None
    assert planned('{ words(of: ["a"]) }').plan is None


@pytest.mark.parametrize("module", [queries, mutations])
def test_root_fields_read_nothing_of_a_request_but_its_context(module: Any) -> None:
    """A plan has nothing else to give them, and calls them only once."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
    read = [node for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "info"]
    assert {node.attr for node in read} == {"context"}
    assert len([node for node in nodes if isinstance(node, ast.Name) and node.id == "info"]) == len(read)
