"""Pages of sessions: no session is lost or shown twice, even if sessions change between two pages."""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from auth.crypto.tokens import digest
from auth.services import Services
from db.tables.families import families
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import REVOKE, SESSIONS, Api, GraphQLEndpoint
from tests.support.sql import looking_at

pytestmark = pytest.mark.usefixtures("graphql_plans", "alice")


def family_row(user: UserRow, clock: FakeClock, **values: Any) -> dict[str, Any]:
    now = clock.now()
    row = {
        "user_id": user.id,
        "id": uuid4(),
        "token_digest": digest("token"),
        "generation": 1,
        "created_at": now,
        "last_used_at": now,
        "expires_at": now + timedelta(days=30),
        "absolute_expires_at": now + timedelta(days=30),
        "revoked_at": None,
        "revocation_reason": None,
    }
    return row | values


@pytest.fixture
def add_sessions(services: Services, clock: FakeClock) -> Callable[..., Any]:
    """Add sessions of a user, used a minute apart. The first one is the most recently used."""

    async def add(user: UserRow, count: int, **values: Any) -> list[str]:
        rows = [
            family_row(user, clock, last_used_at=clock.now() - timedelta(minutes=m), **values) for m in range(count)
        ]
        async with looking_at(services.db) as conn:
            await conn.execute(insert(families), rows)
        return [str(row["id"]) for row in rows]

    return add


async def page(api: Api, bearer: str, **variables: Any) -> tuple[list[str], dict[str, Any]]:
    connection = (await api.data(SESSIONS, variables, bearer))["sessions"]
    info, edges = connection["pageInfo"], connection["edges"]
    assert info["startCursor"] == (edges[0]["cursor"] if edges else None)
    assert info["endCursor"] == (edges[-1]["cursor"] if edges else None)
    return [edge["node"]["id"] for edge in edges], info


async def test_sess_01_a_page_has_twenty_sessions_most_recently_used_first(
    api: Api, clock: FakeClock, alice: UserRow, add_sessions: Callable[..., Any]
) -> None:
    clock.advance(timedelta(hours=1))
    older = await add_sessions(alice, 25)
    clock.advance(timedelta(minutes=1))
    current = await api.login()
    ids, info = await page(api, current.access)
    assert ids == [current.session_id, *older[:19]]
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (True, False)


async def test_five_pages_list_each_of_forty_five_sessions_once(
    api: Api, clock: FakeClock, alice: UserRow, bob: UserRow, add_sessions: Callable[..., Any]
) -> None:
    await add_sessions(bob, 5)
    expected = await add_sessions(alice, 44)
    clock.advance(timedelta(seconds=1))
    current = await api.login()
    seen, after, pages = list[str](), None, 0
    while True:
        ids, info = await page(api, current.access, first=10, after=after)
        seen, pages = seen + ids, pages + 1
        assert info["hasPreviousPage"] is (pages > 1)
        if not info["hasNextPage"]:
            break
        after = info["endCursor"]
    assert seen == [current.session_id, *expected]
    assert pages == 5
    assert await page(api, current.access, first=10, after=info["endCursor"]) == (
        [],
        {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None},
    )


async def test_a_cursor_keeps_its_position_when_sessions_are_added_revoked_and_refreshed(
    api: Api, http: AsyncClient, clock: FakeClock, alice: UserRow, add_sessions: Callable[..., Any]
) -> None:
    phone = await api.login()
    clock.advance(timedelta(hours=1))
    await add_sessions(alice, 10)
    current = await api.login()
    first, info = await page(api, current.access, first=4)
    rest, _ = await page(api, current.access, first=100, after=info["endCursor"])
    assert rest[-1] == phone.session_id
    clock.advance(timedelta(minutes=1))
    await api.login()
    await GraphQLEndpoint(http).refresh(phone.refresh)  # moves to the front
    await api.data(REVOKE, {"input": {"id": first[-1]}}, current.access)  # the session of the cursor
    again, _ = await page(api, current.access, first=100, after=info["endCursor"])
    assert again == rest[:-1]


@pytest.mark.parametrize("first", [0, -1, 101, 2147483647])
async def test_gql_09_a_page_has_one_to_a_hundred_sessions(api: Api, first: int) -> None:
    current = await api.login()
    assert await api.codes(SESSIONS, {"first": first}, current.access) == ["BAD_USER_INPUT"]
    assert len((await page(api, current.access, first=1))[0]) == 1
    assert len((await page(api, current.access, first=100))[0]) == 1


async def test_an_invalid_cursor_is_bad_user_input(api: Api) -> None:
    current = await api.login()
    too_late = base64.urlsafe_b64encode(b"\xff" * 24).decode()
    sizes = ["A" * length for length in (1, 21, 23, 31, 33, 5000)]
    events = "query Q($after: String) { securityEvents(after: $after) { pageInfo { endCursor } } }"
    for after in ("", " ", "x", "é", "\x00", "=" * 32, "/" * 32, "A" * 31 + "=", "-1", str(uuid4()), too_late, *sizes):
        for query in (SESSIONS, events):
            assert await api.codes(query, {"after": after}, current.access) == ["BAD_USER_INPUT"], after


async def test_a_cursor_may_have_any_time(api: Api) -> None:
    current = await api.login()
    beginning, end = "A" * 32, base64.urlsafe_b64encode((2**57).to_bytes(8, "big") + b"\xff" * 16).decode().rstrip("=")
    assert (await page(api, current.access, after=beginning))[0] == []
    assert (await page(api, current.access, after=end))[0] == [current.session_id]


async def test_sessions_are_listed_by_state_and_null_lists_all(
    api: Api, clock: FakeClock, alice: UserRow, services: Services
) -> None:
    now = clock.now()
    before = now - timedelta(seconds=1)
    by_user = {"revoked_at": before, "revocation_reason": "REVOKED_BY_USER"}
    rows = {
        "EXPIRED": family_row(alice, clock, expires_at=now, last_used_at=now - timedelta(days=30)),
        "REVOKED": family_row(alice, clock, **by_user),
        "REVOKED, then expired": family_row(alice, clock, expires_at=now, **by_user),
    }
    async with looking_at(services.db) as conn:
        await conn.execute(insert(families), list(rows.values()))
    current = await api.login()
    ids = {state: str(row["id"]) for state, row in rows.items()}
    revoked = {ids["REVOKED"], ids["REVOKED, then expired"]}
    listed = {
        state: set((await page(api, current.access, state=state))[0]) for state in ("ACTIVE", "EXPIRED", "REVOKED")
    }
    assert listed == {"ACTIVE": {current.session_id}, "EXPIRED": {ids["EXPIRED"]}, "REVOKED": revoked}
    everything = {current.session_id, ids["EXPIRED"], *revoked}
    assert set((await page(api, current.access, state=None))[0]) == everything
    nodes = (await api.data("{ sessions(state: null) { edges { node { id state revokedAt revocationReason } } } }",
                            bearer=current.access))["sessions"]["edges"]  # fmt: skip
    for node in (edge["node"] for edge in nodes):
        was_revoked = node["id"] in revoked
        assert node["state"] == next(state for state, of_state in listed.items() if node["id"] in of_state)
        assert node["revokedAt"] == (before.isoformat() if was_revoked else None)
        assert node["revocationReason"] == ("REVOKED_BY_USER" if was_revoked else None)


ROWS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["ACTIVE", "EXPIRED", "REVOKED"])), max_size=24)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, first=st.integers(1, 9), state=st.sampled_from(["ACTIVE", "EXPIRED", "REVOKED", None]))
async def test_all_pages_together_are_the_sorted_list(
    api: Api,
    services: Services,
    clock: FakeClock,
    alice: UserRow,
    rows: list[tuple[int, str]],
    first: int,
    state: str | None,
) -> None:
    async with looking_at(services.db) as conn:
        await conn.execute(delete(families))
    current = await api.login()
    now = clock.now()
    expected: list[tuple[datetime, UUID, str]] = [(now, UUID(current.session_id), "ACTIVE")]
    stored = []
    for ago, of_state in rows:  # few times, so that many sessions share one
        values: dict[str, Any] = {
            "EXPIRED": {"expires_at": now},
            "REVOKED": {"revoked_at": now, "revocation_reason": "SESSION_LIMIT"},
        }
        row = family_row(alice, clock, last_used_at=now - timedelta(microseconds=ago), **values.get(of_state, {}))
        stored.append(row)
        expected.append((row["last_used_at"], row["id"], of_state))
    if stored:
        async with looking_at(services.db) as conn:
            await conn.execute(insert(families), stored)
    seen, after, more = list[str](), None, True
    while more:
        ids, info = await page(api, current.access, first=first, after=after, state=state)
        assert len(ids) <= first
        seen, after, more = seen + ids, info["endCursor"], info["hasNextPage"]
    listed = sorted((entry for entry in expected if state in (None, entry[2])), reverse=True)
    assert seen == [str(family_id) for _, family_id, _ in listed]
