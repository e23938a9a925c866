"""The switch `KINDRED_GRAPHQL_PLANS`: with plans on and off, the same request gets the same response, byte for byte."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from auth.config.settings import Settings
from db.tables.users import User
from graph.api.context import Context
from graph.app import create_app
from graph.execution.operation_plans import FallbackReason
from tests.support.clocks import FakeClock
from tests.support.endpoints import LOGIN, REFRESH, REVOKE, SESSIONS, Api, Pair
from tests.support.plans import needs_plans

SESSION = "{ id state isCurrent deviceName userAgent ipAddress createdAt lastUsedAt expiresAt revokedAt }"
DOCUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a field": ("{ viewer { id username email createdAt } }", {}),
    "an alias": ("{ me: viewer { name: username also: username } }", {}),
    "typename": ("{ __typename viewer { __typename id } }", {}),
    "a name": ("query Mine { viewer { id } }", {}),
    "an inline fragment": ("{ viewer { ... { id } ... on Node { __typename id } } }", {}),
    "fragments": (
        f"{{ sessions {{ ...Page }} }} fragment Page on SessionConnection {{ edges {{ node {{ ...It }} cursor }} }} "
        f"fragment It on Session {SESSION}",
        {},
    ),
    "fields that are merged": ("{ sessions { edges { node { id } } edges { node { state } cursor } } }", {}),
    "several root fields": ("{ viewer { id } sessions { edges { node { id } } } }", {}),
    "a list that is awaited": ("{ sessions { edges { node { id lineage { generation rotatedAt ipAddress } } } } }", {}),
    "an object that is awaited": ("{ securityEvents { edges { node { kind session { id state } } } } }", {}),
    "include": ("query($a: Boolean!) { viewer { id username @include(if: $a) } }", {"a": False}),
    "skip": ("query($a: Boolean!) { viewer { id ...F @skip(if: $a) } } fragment F on User { email }", {"a": False}),
    "variables": (SESSIONS, {"first": 2}),
    "a default variable": (SESSIONS, {}),
    "null for a variable": (SESSIONS, {"first": None}),
    "a variable of a wrong type": (SESSIONS, {"first": "two"}),
    "an unknown variable": (SESSIONS, {"last": 2}),
    "an argument out of range": ("{ sessions(first: 0) { edges { cursor } } }", {}),
    "an enum": ("{ sessions(state: REVOKED, first: 3) { edges { node { id revocationReason } } } }", {}),
    "an invalid cursor": ('{ sessions(after: "x") { edges { cursor } } }', {}),
    "null for an unknown ID": ('{ session(id: "x") { id } }', {}),
    "introspection": ('{ __type(name: "User") { fields { name description } } }', {}),
    "a syntax error": ("{ viewer { id }", {}),
    "an unknown field": ("{ viewer { idd } }", {}),
    "a wrong password": (LOGIN, {"input": {"username": "alice", "password": "wrong"}}),
    "an invalid refresh token": (REFRESH, {"input": {"refreshToken": "x"}}),
    "an invalid idempotency key": (REFRESH, {"input": {"refreshToken": "x", "idempotencyKey": "short"}}),
    "an input with a wrong field": (REFRESH, {"input": {"token": "x"}}),
    "one of two": (REVOKE, {"input": {"id": "x", "refreshToken": "y"}}),
    "no refresh token": ("mutation { refreshToken(input: {}) { __typename } }", {}),
    "an unknown session": (REVOKE, {"input": {"id": "x"}}),
    "an exception": ("{ viewer { id } }", {"exception": True}),
    "an exception beside a result": ("{ viewer { id } sessions { edges { node { id } } } }", {"exception": True}),
    "null in place of a non-null list": ("{ sessions { edges { node { id } } } }", {"exception": True}),
}
APIS = dict[bool, Api]


@pytest.fixture
async def apis(
    database_url: str, clock: FakeClock, settings_for: Callable[..., Settings], more_settings: dict[str, Any]
) -> AsyncIterator[APIS]:
    """Two services over one database: one has its plans on, the other one off."""
    async with AsyncExitStack() as stack:
        apis: APIS = {}
        for is_on in (True, False):
            app = create_app(settings_for(database_url, graphql_plans=is_on, **more_settings), clock=clock)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = ASGITransport(app, raise_app_exceptions=False)
            apis[is_on] = Api(await stack.enter_async_context(AsyncClient(transport=transport, base_url="http://test")))
        yield apis


def comparable(response: Response) -> tuple[int, dict[str, str], str]:
    """A response without its random IDs."""
    headers = {name: value for name, value in response.headers.items() if name not in ("x-request-id", "date")}
    return (
        response.status_code,
        headers,
        re.sub(r'(?<="id":")[0-9a-f-]{36}(?="},"locations)', "ERROR-ID", response.text),
    )


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("more_settings", [{"rate_limits": False}], ids=[""])
async def test_the_response_is_the_same_with_plans_on_and_off(apis: APIS, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [await apis[True].login() for _ in range(3)]
    await apis[True].data(REVOKE, {"input": {"id": pairs[0].session_id}}, pairs[1].access)
    await apis[True].post(REFRESH, {"input": {"refreshToken": pairs[1].refresh}})
    for name, (query, variables) in DOCUMENTS.items():
        with monkeypatch.context() as patch:
            if variables.get("exception"):
                patch.setattr(Context, "caller", raise_runtime_error)
            for bearer in (None, "invalid", pairs[2].access):
                on, off = [comparable(await apis[is_on].post(query, variables, bearer)) for is_on in (True, False)]
                assert on == off, name


async def raise_runtime_error(_context: Context) -> None:
    raise RuntimeError


@pytest.mark.usefixtures("alice")
async def test_a_refresh_that_is_repeated_with_plans_off_gets_the_same_successor(apis: APIS) -> None:
    pair = await apis[True].login()
    variables = {"input": {"refreshToken": pair.refresh, "idempotencyKey": "the-same-attempt"}}
    on, off = [await apis[is_on].data(REFRESH, variables) for is_on in (True, False)]
    assert on["refreshToken"]["tokens"]["refreshToken"] == off["refreshToken"]["tokens"]["refreshToken"]


async def fallbacks(api: Api) -> dict[str, float]:
    """The counter of fallbacks, by reason."""
    text = (await api.http.get("/metrics")).text
    counts = re.findall(r'^kindred_graphql_plan_fallbacks_total\{reason="(\w+)"\} (\S+)$', text, re.M)
    return {reason: float(count) for reason, count in counts}


@needs_plans
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_metrics_count_fallbacks_by_reason(api: Api, alice: User) -> None:
    pair: Pair = await api.login()
    await api.data(SESSIONS, bearer=pair.access)
    assert await fallbacks(api) == {}
    await api.data("{ __typename }")
    await api.post(SESSIONS, {"first": "two"}, pair.access)
    for _ in range(2):
        await api.post(SESSIONS)  # without an access token
    assert await fallbacks(api) == {FallbackReason.NO_PLAN: 1, FallbackReason.VARIABLES: 1, FallbackReason.EXCEPTION: 2}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_with_plans_off_there_are_no_fallbacks(apis: APIS) -> None:
    await apis[False].data("{ __typename }")
    assert await fallbacks(apis[False]) == {}
