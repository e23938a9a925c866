"""Operation plans: for any request, the resolver is called once, and the response is the same as graphql-core's own."""

import ast
import asyncio
import inspect
from collections.abc import Callable
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
from graph.api.schema import schema
from graph.api.types import Session, User
from graph.api.user_errors import InvalidRefreshTokenError, TooManyAttemptsError
from graph.execution import operation_plans
from graph.execution.documents import parse_and_validate
from graph.execution.operation_plans import FallbackReason, PreparedOperation, execute_operation, plan_operation
from graph.execution.result_plans import ResultPlans
from tests.graph.execution.test_result_plans import ERRORS, PAGES, SESSIONS, TOKENS, USERS, a_page, odd

Strange = st.sampled_from([None, 7, -1.5, 2**31, True, "", "text", [], ["text"], {}, {"id": "x"}])
TEXT = st.text(max_size=3)


class Context:
    """Records the arguments of resolvers, and tells them what to return or raise."""

    authenticated_session, is_anonymous = None, False

    def __init__(self, result: Any) -> None:
        self.result = result
        self.calls: list[Any] = []

    async def optional_caller(self) -> None:
        return None

    def resolve(self, **arguments: Any) -> Any:
        self.calls.append(arguments)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


Info = strawberry.Info[Context, None]


@strawberry.type
class Query:
    @strawberry.field
    async def refreshed(self, info: Info, input: RefreshTokenInput) -> RefreshTokenResult | None:
        return info.context.resolve(input=input)  # type: ignore[no-any-return]

    @strawberry.field
    async def ended(self, info: Info, input: RevokeSessionInput | None = None) -> Session | None:
        return info.context.resolve(input=input)  # type: ignore[no-any-return]

    @strawberry.field
    async def signed_in(self, info: Info, input: LoginInput) -> User:
        return info.context.resolve(input=input)  # type: ignore[no-any-return]

    @strawberry.field
    async def sessions(
        self,
        info: Info,
        first: int = 20,
        after: str | None = None,
        state: SessionState | None = SessionState.ACTIVE,
    ) -> SessionConnection:
        return info.context.resolve(first=first, after=after, state=state)  # type: ignore[no-any-return]

    @strawberry.field
    async def session(self, info: Info, id: strawberry.ID, only: bool = False) -> Session | None:
        return info.context.resolve(id=id, only=only)  # type: ignore[no-any-return]

    @strawberry.field
    async def words(self, info: Info, of: list[str] | None = None) -> list[str] | None:
        return info.context.resolve(of=of)  # type: ignore[no-any-return]

    @strawberry.field
    def at_once(self, info: Info) -> str:
        return info.context.resolve()  # type: ignore[no-any-return]


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
RESULTS = st.one_of(
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
    """A document with one root field, and variables."""
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
    if any("$within" in argument for argument in arguments):
        declared.append("$within: String")
        if draw(st.booleans()):
            variables["within"] = draw(odd(TEXT))
    if draw(st.integers(0, 5)) == 0:
        variables["beside"] = draw(Strange)
    alias, others = draw(st.sampled_from(["", "", "mine: "])), draw(st.sampled_from(["", "", "", " __typename"]))
    argument_list = f"({', '.join(arguments)})" if arguments else ""
    selection, _, fragment = (alias + name + argument_list + SELECTIONS[name]).partition(" fragment ")
    head = f"query Asked({', '.join(declared)}) " if declared else draw(st.sampled_from(["", "query Asked "]))
    return f"{head}{{ {selection}{others} }}" + (f" fragment {fragment}" if fragment else ""), variables


def response(result: ExecutionResult, context: Context) -> Any:
    """Data, errors, and the resolver's calls. As text, because the order of the fields counts."""
    return repr(result.data), [str(error.formatted) for error in result.errors or ()], repr(context.calls)


def prepared(text: str) -> PreparedOperation:
    document = parse(text)
    (operation,) = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    name = operation.name.value if operation.name else None
    plan = plan_operation(SCHEMA, document, operation)
    return PreparedOperation(document, name, (), plan, ResultPlans(SCHEMA))


async def by_plan(
    text: str, variables: dict[str, Any], returned: Any, on_fallback: Callable[[FallbackReason], object] | None = None
) -> Any:
    context = Context(returned)
    return response(await execute_operation(SCHEMA, prepared(text), variables, context, on_fallback), context)


async def by_graphql_core(text: str, variables: dict[str, Any], returned: Any) -> Any:
    context = Context(returned)
    result = execute(SCHEMA, parse(text), None, context, variables, executor_class=Executor)
    return response(result if isinstance(result, ExecutionResult) else await result, context)


@settings(deadline=None, max_examples=300)
@given(request=requests(), returned=RESULTS)
def test_a_response_by_plan_is_the_same_as_graphql_cores(request: tuple[str, dict[str, Any]], returned: Any) -> None:
    text, variables = request
    if not validate(SCHEMA, parse(text)):
        assert asyncio.run(by_plan(text, variables, returned)) == asyncio.run(
            by_graphql_core(text, variables, returned)
        )


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
async def test_absent_null_and_default_variables_are_coerced_as_graphql_core_coerces_them(
    text: str, variables: dict[str, Any]
) -> None:
    returned = a_page().connection if "sessions" in text else None
    assert await by_plan(text, variables, returned) == await by_graphql_core(text, variables, returned)


REFRESHED = "query($input: RefreshTokenInput!) { refreshed(input: $input) { __typename } }"
GOOD = {"input": {"refreshToken": "t", "idempotencyKey": "k"}}


def no_graphql_core(*_: Any, **__: Any) -> Any:
    raise AssertionError("graphql-core executed the operation")


@pytest.mark.parametrize(
    ("text", "variables", "returned"),
    [
        (REFRESHED, GOOD, InvalidRefreshTokenError()),
        (REFRESHED, GOOD, None),
        ("{ sessions(first: 3) { edges { cursor node { id } } } }", {}, a_page().connection),
        ("query($most: Int!) { sessions(first: $most) { edges { cursor } } }", {"most": 3}, a_page().connection),
    ],
)
async def test_a_usual_request_is_executed_by_its_plan_alone(
    text: str, variables: dict[str, Any], returned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await by_graphql_core(text, variables, returned)
    monkeypatch.setattr(operation_plans, "execute", no_graphql_core)
    assert await by_plan(text, variables, returned) == expected


NO_TOKENS: Any = RefreshTokenSuccess(tokens=None, session=None)  # type: ignore[arg-type]
TOKENS_SELECTED = REFRESHED.replace("__typename", "... on RefreshTokenSuccess { tokens { expiresIn } }")


@pytest.mark.parametrize("returned", [ValueError("raised"), object(), NO_TOKENS])
async def test_a_resolver_is_called_once_even_if_graphql_core_describes_its_error(returned: Any) -> None:
    data, errors, calls = await by_plan(TOKENS_SELECTED, GOOD, returned)
    assert (data, len(errors), calls.count("RefreshTokenInput")) == ("{'refreshed': None}", 1, 1)


@pytest.mark.parametrize(
    ("text", "variables", "returned", "reasons"),
    [
        (REFRESHED, GOOD, None, []),
        ("{ a: sessions { edges { cursor } } b: atOnce }", {}, None, [FallbackReason.NO_PLAN]),
        ("{ __typename }", {}, None, [FallbackReason.NO_PLAN]),
        (REFRESHED, {"input": 7}, None, [FallbackReason.VARIABLES]),
        (REFRESHED, GOOD, ValueError("raised"), [FallbackReason.EXCEPTION]),
        (TOKENS_SELECTED, GOOD, NO_TOKENS, [FallbackReason.RESULT]),
    ],
)
async def test_every_fallback_to_graphql_core_is_reported_with_its_reason(
    text: str, variables: dict[str, Any], returned: Any, reasons: list[FallbackReason]
) -> None:
    reported: list[FallbackReason] = []
    await by_plan(text, variables, returned, reported.append)
    assert reported == reasons


async def test_a_cancelled_resolver_cancels_the_operation(monkeypatch: pytest.MonkeyPatch) -> None:
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
        "{ sessions { edges { node { lineage { generation } } } } }",  # `lineage` is awaited
    ],
)
def test_only_an_operation_with_one_plain_root_field_has_a_plan(text: str) -> None:
    (operation,) = parse_and_validate(schema.core, text).operations.values()
    assert operation.plan is None


def test_with_plans_off_no_operation_has_a_plan() -> None:
    (operation,) = parse_and_validate(schema.core, "{ viewer { id } }", plans_enabled=False).operations.values()
    assert (operation.plan, operation.result_plans) == (None, None)


def test_gql_07_a_document_of_many_operations_that_share_a_fragment_has_no_operation_plans() -> None:
    """Limits count for each operation: the plans of a hundred operations would have hundreds of fields each."""
    fields = " ".join(f"a{n}: session {{ id state deviceName }}" for n in range(20))
    operations = " ".join(f"mutation m{n} {{ ...R }}" for n in range(100))
    text = f"{operations} fragment R on Mutation {{ refreshToken(input: {{}}) {{ ...F }} }}"
    document = parse_and_validate(schema.core, f"{text} fragment F on RefreshTokenSuccess {{ {fields} }}")
    assert not document.errors
    assert [operation.plan for operation in document.operations.values()] == [None] * 100


def test_an_operation_with_a_list_argument_has_no_plan() -> None:
    """A resolver that changes its list would change it for the next request too."""
    assert prepared("query($of: [String!]) { words(of: $of) }").plan is None
    assert prepared('{ words(of: ["a"]) }').plan is None


@pytest.mark.parametrize("module", [queries, mutations])
def test_root_resolvers_read_only_the_context_of_info(module: Any) -> None:
    """A plan offers nothing else to them."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
    read = [node for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "info"]
    assert {node.attr for node in read} == {"context"}
    assert len([node for node in nodes if isinstance(node, ast.Name) and node.id == "info"]) == len(read)
