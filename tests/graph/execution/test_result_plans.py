"""Result plans: for any selection and any results of resolvers, the response is the same as graphql-core's own."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NewType

import pytest
import strawberry
from graphql import (
    DocumentNode,
    Executor,
    GraphQLObjectType,
    GraphQLOutputType,
    execute,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    parse,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from db.tables.base import SecurityEventKind, SessionState
from graph.api.pagination import PageInfo, SessionConnection, SessionEdge
from graph.api.results import RefreshTokenResult, RefreshTokenSuccess
from graph.api.schema import schema
from graph.api.types import Node, SecurityEvent, Session, TokenPair, User
from graph.api.user_errors import InvalidRefreshTokenError, TooManyAttemptsError, UserError
from graph.execution.documents import parse_and_validate
from graph.execution.graphql_core_internals import CompletingExecutor
from graph.execution.result_plans import ContextOnlyInfo, PlannedCompletion, ResultPlans

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MINE = SimpleNamespace(id="mine", user_id="alice")


class Context:
    """The part of a request's context that fields of these types read."""

    is_anonymous = False

    def __init__(self, *, authenticated: bool) -> None:
        self.authenticated_session = MINE if authenticated else None

    async def optional_caller(self) -> Any:
        return MINE


Hollow = NewType("Hollow", str)


@strawberry.type
class Root:
    connection: SessionConnection
    refreshed: RefreshTokenResult | None
    node: Node | None
    nodes: list[Node | None]
    error: UserError | None
    event: SecurityEvent | None
    words: list[str] | None
    hollow: Hollow | None


SCHEMA = strawberry.Schema(
    query=Root,
    types=[User, Session, SecurityEvent, InvalidRefreshTokenError, TooManyAttemptsError],
    # It serializes the empty text as null.
    config=StrawberryConfig(scalar_map={Hollow: strawberry.scalar(name="Hollow", serialize=lambda text: text or None)}),
)._schema


def odd(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly values of the right type, and now and then of a wrong one."""
    strange: st.SearchStrategy[Any] = st.sampled_from(
        [None, 7, -1.5, True, "", "text", ValueError("no"), b"bytes", [], (), {}, object, NOW]
    )
    return st.one_of(usual, usual, usual, usual, usual, strange)


TEXT, TIME, NUMBER = odd(st.text(max_size=3)), odd(st.just(NOW)), odd(st.integers(-(2**40), 2**40))
USERS = st.builds(User, id=TEXT, username=TEXT, email=TEXT, created_at=TIME)
SESSIONS = st.builds(
    Session,
    id=TEXT,
    family=st.sampled_from([MINE, SimpleNamespace(id="another", user_id="alice"), None]),
    state=odd(st.sampled_from(SessionState)),
    device_name=TEXT,
    user_agent=TEXT,
    ip_address=TEXT,
    created_at=TIME,
    last_used_at=TIME,
    expires_at=TIME,
    absolute_expires_at=TIME,
    revoked_at=TIME,
    revocation_reason=st.none(),
)
EVENTS = st.builds(
    SecurityEvent,
    id=TEXT,
    stored=st.just(SimpleNamespace(family_id=None)),
    kind=odd(st.sampled_from(SecurityEventKind)),
    occurred_at=TIME,
    ip_address=TEXT,
    user_agent=TEXT,
    generation=NUMBER,
)
TOKENS = st.builds(
    TokenPair,
    access_token=TEXT,
    refresh_token=TEXT,
    token_type=TEXT,
    expires_in=NUMBER,
    access_token_expires_at=TIME,
    refresh_token_expires_at=TIME,
)
ERRORS = st.one_of(st.builds(InvalidRefreshTokenError), st.builds(TooManyAttemptsError.after, st.integers(1, 9)))
PAGES = st.builds(PageInfo, has_next_page=odd(st.booleans()), has_previous_page=odd(st.booleans()),
                  start_cursor=TEXT, end_cursor=TEXT)  # fmt: skip
EDGES = st.builds(SessionEdge, node=odd(SESSIONS), cursor=TEXT)
ROOTS = st.builds(
    Root,
    connection=odd(st.builds(SessionConnection, edges=odd(st.lists(odd(EDGES), max_size=3)), page_info=odd(PAGES))),
    refreshed=odd(st.one_of(st.builds(RefreshTokenSuccess, tokens=odd(TOKENS), session=odd(SESSIONS)), ERRORS)),
    node=odd(st.one_of(USERS, SESSIONS, EVENTS, TOKENS)),
    nodes=odd(st.lists(odd(st.one_of(USERS, SESSIONS)), max_size=3)),
    error=odd(ERRORS),
    event=odd(EVENTS),
    words=odd(st.lists(TEXT, max_size=3)),
    hollow=odd(TEXT),
)


@st.composite
def selections(draw: st.DrawFn, kind: Any, depth: int = 5) -> str:
    """A selection set of a type: fields, some of them with an alias, and fragments."""
    parts = []
    if is_abstract_type(kind):
        for member in draw(st.lists(st.sampled_from(SCHEMA.get_possible_types(kind)), max_size=3, unique=True)):
            parts.append(f"... on {member.name} {draw(selections(member, depth))}")
    fields: dict[str, GraphQLOutputType] = (
        {name: field.type for name, field in kind.fields.items() if name != "lineage"}
        if hasattr(kind, "fields")
        else {}
    )
    fields = {name: type_ for name, type_ in fields.items() if depth or is_leaf_type(get_named_type(type_))}
    for name in draw(st.lists(st.sampled_from([*fields, "__typename"]), min_size=1, max_size=4)):
        # The alias has the names of the field and its type, so that selections can be merged.
        alias = draw(st.sampled_from(["", f"{kind.name}_{name}: "]))
        inner = get_named_type(fields[name]) if name in fields else None
        below = "" if inner is None or is_leaf_type(inner) else draw(selections(inner, depth - 1))
        parts.append(alias + name + below)
    return "{ " + " ".join(parts) + " }"


ROOT: GraphQLObjectType = SCHEMA.query_type  # type: ignore[assignment]


def by_plans(plans: ResultPlans, *, authenticated: bool) -> dict[str, Any]:
    """Arguments of `execute` that let plans complete values."""
    completion = PlannedCompletion(plans, ContextOnlyInfo(Context(authenticated=authenticated)))
    return {"executor_class": CompletingExecutor, "complete": completion}


def response_to(document: DocumentNode, root: Root, *, authenticated: bool, **arguments: Any) -> Any:
    """The data of a response and its errors."""

    async def run() -> Any:
        result = execute(SCHEMA, document, root, Context(authenticated=authenticated), **arguments)
        return await result if asyncio.iscoroutine(result) else result

    result = asyncio.run(run())
    # As text, because the order of the fields counts.
    return repr(result.data), sorted(str(error.formatted) for error in result.errors or ())


@settings(deadline=None)
@given(text=selections(ROOT), roots=st.lists(ROOTS, min_size=2, max_size=3), authenticated=st.booleans())
def test_a_response_by_plans_is_the_same_as_graphql_cores(text: str, roots: list[Root], authenticated: bool) -> None:
    document = parse(text)
    if validate(SCHEMA, document):
        return  # two fields with one response key that cannot be merged
    plans = ResultPlans(SCHEMA)  # made for the first response, and used again for the next
    for root in roots:
        planned = response_to(
            document, root, authenticated=authenticated, **by_plans(plans, authenticated=authenticated)
        )
        assert planned == response_to(document, root, authenticated=authenticated, executor_class=Executor)


def a_page() -> Root:
    """Three sessions and an error."""
    times = dict.fromkeys(("created_at", "last_used_at", "expires_at", "absolute_expires_at"), NOW)
    values = {"user_agent": None, "ip_address": None, "revoked_at": None, "revocation_reason": None, **times}
    usual: dict[str, Any] = {"family": MINE, "state": SessionState.ACTIVE, "device_name": "Laptop", **values}
    sessions = [Session(id=strawberry.ID(str(number)), **usual) for number in range(3)]
    page = PageInfo(has_next_page=False, has_previous_page=False, start_cursor=None, end_cursor=None)
    edges = [SessionEdge(node=session, cursor="cursor") for session in sessions]
    connection = SessionConnection(edges=edges, page_info=page)
    nulls: dict[str, Any] = dict.fromkeys(("refreshed", "node", "nodes", "event", "words", "hollow"))
    return Root(connection=connection, error=TooManyAttemptsError.after(7), **nulls)


LIST = "{ connection { edges { cursor node { id state isCurrent createdAt } } } error { __typename message } }"


def completed_by_graphql_core(document: str, monkeypatch: pytest.MonkeyPatch, *, authenticated: bool) -> int:
    """How many values graphql-core completed."""
    count = 0
    complete_value = Executor.complete_value

    def counting(self: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        return complete_value(self, *arguments)

    monkeypatch.setattr(Executor, "complete_value", counting)
    plans = by_plans(ResultPlans(SCHEMA), authenticated=authenticated)
    response_to(parse(document), a_page(), authenticated=authenticated, **plans)
    return count


def test_a_page_of_sessions_is_completed_by_plans_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed_by_graphql_core(LIST, monkeypatch, authenticated=True) == 0


def test_graphql_core_completes_values_that_have_to_be_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed_by_graphql_core(LIST, monkeypatch, authenticated=False) > 0


def test_an_exception_in_place_of_a_value_is_an_error_even_if_its_scalar_accepts_any_value() -> None:
    failed: Any = ValueError("no")
    root = replace(a_page(), hollow=failed)
    plans = by_plans(ResultPlans(SCHEMA), authenticated=True)
    data, errors = response_to(parse("{ hollow }"), root, authenticated=True, **plans)
    assert (data, len(errors)) == ("{'hollow': None}", 1)


@pytest.mark.parametrize(
    ("query", "has_plans"),
    [("query($a: Boolean!) { viewer { id @include(if: $a) } }", False), ("{ viewer { id } }", True)],
)
def test_a_document_with_directives_has_no_plans(query: str, has_plans: bool) -> None:
    (operation,) = parse_and_validate(schema.core, query).operations.values()
    assert (operation.result_plans is not None) is has_plans
