"""Plans: whatever is asked for, and whatever resolvers return, the answer is graphql-core's own."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NewType

import pytest
import strawberry
from graphql import (
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
from graph.api.schema import parse_and_validate
from graph.api.types import Node, SecurityEvent, Session, TokenPair, User
from graph.api.user_errors import InvalidRefreshTokenError, TooManyAttemptsError, UserError
from graph.execution.result_plans import PlannedExecutor, Plans

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MINE = SimpleNamespace(id="mine", user_id="alice")


class Context:
    """What fields of these types read of a request."""

    is_anonymous = False

    def __init__(self, *, knows: bool) -> None:
        self.known_caller = MINE if knows else None

    async def caller_if_any(self) -> Any:
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
    # Of the empty text it makes nothing at all.
    config=StrawberryConfig(scalar_map={Hollow: strawberry.scalar(name="Hollow", serialize=lambda text: text or None)}),
)._schema


def odd(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what the schema says, and now and then what it does not."""
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
    """What may be asked for of a type: fields, some of them under another name, and fragments."""
    asked = []
    if is_abstract_type(kind):
        for one in draw(st.lists(st.sampled_from(SCHEMA.get_possible_types(kind)), max_size=3, unique=True)):
            asked.append(f"... on {one.name} {draw(selections(one, depth))}")
    fields: dict[str, GraphQLOutputType] = (
        {name: field.type for name, field in kind.fields.items() if name != "lineage"}
        if hasattr(kind, "fields")
        else {}
    )
    fields = {name: type_ for name, type_ in fields.items() if depth or is_leaf_type(get_named_type(type_))}
    for name in draw(st.lists(st.sampled_from([*fields, "__typename"]), min_size=1, max_size=4)):
        # Named after themselves and their type, so that selections can be merged.
        alias = draw(st.sampled_from(["", f"{kind.name}_{name}: "]))
        inner = get_named_type(fields[name]) if name in fields else None
        below = "" if inner is None or is_leaf_type(inner) else draw(selections(inner, depth - 1))
        asked.append(alias + name + below)
    return "{ " + " ".join(asked) + " }"


ROOT: GraphQLObjectType = SCHEMA.query_type  # type: ignore[assignment]


def told(document: Any, root: Root, *, knows: bool, **how: Any) -> Any:
    """An answer, and its errors."""

    async def ask() -> Any:
        result = execute(SCHEMA, document, root, Context(knows=knows), **how)
        return await result if asyncio.iscoroutine(result) else result

    result = asyncio.run(ask())
    # As text, for the order of the fields.
    return repr(result.data), sorted(str(error.formatted) for error in result.errors or ())


@settings(deadline=None)
@given(text=selections(ROOT), roots=st.lists(ROOTS, min_size=2, max_size=3), knows=st.booleans())
def test_an_answer_by_plan_is_what_graphql_core_would_have_answered(text: str, roots: list[Root], knows: bool) -> None:
    document = parse(text)
    if validate(SCHEMA, document):
        return  # two fields of one name that cannot be merged
    plans: Plans = {}  # of the first, and there for the next
    for root in roots:
        planned = told(document, root, knows=knows, executor_class=PlannedExecutor, plans=plans)
        assert planned == told(document, root, knows=knows, executor_class=Executor)


def a_page() -> Root:
    """Three sessions, as anybody may have them, and a refusal."""
    at = dict.fromkeys(("created_at", "last_used_at", "expires_at", "absolute_expires_at"), NOW)
    of = {"user_agent": None, "ip_address": None, "revoked_at": None, "revocation_reason": None, **at}
    named: dict[str, Any] = {"family": MINE, "state": SessionState.ACTIVE, "device_name": "Laptop", **of}
    sessions = [Session(id=strawberry.ID(str(number)), **named) for number in range(3)]
    page = PageInfo(has_next_page=False, has_previous_page=False, start_cursor=None, end_cursor=None)
    edges = [SessionEdge(node=session, cursor="there") for session in sessions]
    connection = SessionConnection(edges=edges, page_info=page)
    nothing: dict[str, Any] = dict.fromkeys(("refreshed", "node", "nodes", "event", "words", "hollow"))
    return Root(connection=connection, error=TooManyAttemptsError.after(7), **nothing)


LIST = "{ connection { edges { cursor node { id state isCurrent createdAt } } } error { __typename message } }"


def completed_by_graphql_core(document: str, monkeypatch: pytest.MonkeyPatch, **knowing: bool) -> int:
    """How many values it had to complete."""
    counted = 0
    usual = Executor.complete_value

    def counting(self: Any, *arguments: Any) -> Any:
        nonlocal counted
        counted += 1
        return usual(self, *arguments)

    monkeypatch.setattr(Executor, "complete_value", counting)
    told(parse(document), a_page(), executor_class=PlannedExecutor, plans={}, **knowing)
    return counted


def test_a_page_of_sessions_is_answered_by_plan_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed_by_graphql_core(LIST, monkeypatch, knows=True) == 0


def test_what_has_to_be_awaited_is_left_to_graphql_core(monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed_by_graphql_core(LIST, monkeypatch, knows=False) > 0


def test_an_exception_in_the_place_of_a_value_is_an_error_even_where_its_type_takes_anything() -> None:
    failed: Any = ValueError("no")
    root = replace(a_page(), hollow=failed)
    data, errors = told(parse("{ hollow }"), root, knows=True, executor_class=PlannedExecutor, plans={})
    assert (data, len(errors)) == ("{'hollow': None}", 1)


def test_a_document_that_may_have_directives_has_no_plans() -> None:
    assert parse_and_validate("query($a: Boolean!) { viewer { id @include(if: $a) } }").plans is None
    assert parse_and_validate("{ viewer { id } }").plans is not None
