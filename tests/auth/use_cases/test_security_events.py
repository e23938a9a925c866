"""Security events: newest first, in pages, each with its session, and only to the account's owner."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient

from auth.services import Services
from db.tables.users import UserRow
from graph.api.pagination import id_cursor
from tests.support.clocks import FakeClock
from tests.support.endpoints import REVOKE, Api, GraphQLEndpoint
from tests.support.statements import statements

pytestmark = pytest.mark.usefixtures("alice")

EVENTS = """
query Events($first: Int! = 20, $after: String) {
  securityEvents(first: $first, after: $after) {
    edges { cursor node { id kind occurredAt ipAddress userAgent generation session { id state isCurrent } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


async def events_page(api: Api, bearer: str, **page: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    connection = (await api.data(EVENTS, page, bearer))["securityEvents"]
    edges, info = connection["edges"], connection["pageInfo"]
    assert info["startCursor"] == (edges[0]["cursor"] if edges else None)
    assert info["endCursor"] == (edges[-1]["cursor"] if edges else None)
    return [edge["node"] for edge in edges], info


async def test_the_owner_of_an_account_sees_every_event_newest_first(
    api: Api, http: AsyncClient, clock: FakeClock, services: Services, alice: UserRow
) -> None:
    def later() -> None:
        clock.advance(timedelta(seconds=1))

    await api.try_login("alice", "wrong")
    later()
    stolen = await api.login()
    later()
    await GraphQLEndpoint(http).refresh(stolen.refresh)
    later()
    await GraphQLEndpoint(http).refresh(stolen.refresh)
    later()
    left = await api.login()
    later()
    await api.data(REVOKE, {"input": {"refreshToken": left.refresh}})
    later()
    current = await api.login()
    events, info = await events_page(api, current.access)
    assert [(event["kind"], event["session"] and event["session"]["id"]) for event in events] == [
        ("LOGIN_SUCCEEDED", current.session_id),
        ("SESSION_REVOKED", left.session_id),
        ("LOGIN_SUCCEEDED", left.session_id),
        ("REFRESH_TOKEN_REPLAYED", stolen.session_id),
        ("LOGIN_SUCCEEDED", stolen.session_id),
        ("LOGIN_FAILED", None),
    ]
    assert [event["session"]["state"] for event in events[:5]] == ["ACTIVE"] + ["REVOKED"] * 4
    assert events[0]["session"]["isCurrent"]
    assert [event["generation"] for event in events] == [None, None, None, 1, None, None]
    assert events[0]["occurredAt"] == clock.now().isoformat()
    assert {event["ipAddress"] for event in events} == {"127.0.0.1"}
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (False, False)


async def test_pages_of_events_neither_lose_nor_repeat_one(api: Api, clock: FakeClock) -> None:
    for _ in range(6):
        clock.advance(timedelta(milliseconds=1))
        current = await api.login()
    everything, _ = await events_page(api, current.access, first=100)
    seen, after = list[Any](), None
    for number in range(3):
        events, info = await events_page(api, current.access, first=2, after=after)
        seen, after = seen + events, info["endCursor"]
        assert (info["hasNextPage"], info["hasPreviousPage"]) == (number < 2, number > 0)
    assert seen == everything
    assert len({event["id"] for event in seen}) == 6


async def test_a_page_of_events_loads_all_sessions_in_one_statement(api: Api, services: Services) -> None:
    for _ in range(5):
        current = await api.login()
    with statements(services) as sent:
        events, _ = await events_page(api, current.access)
    assert len({event["session"]["id"] for event in events}) == 5
    assert [re.findall(r"FROM (\w+)", statement)[0] for statement in sent] == [
        "token_families",  # the caller
        "security_events",
        "token_families",  # the sessions
    ]


async def test_an_event_outlives_its_session(api: Api, clock: FakeClock, services: Services) -> None:
    await api.login()
    clock.advance(timedelta(days=61))
    assert (await services.pruning.prune(clock.now())).sessions == 1
    current = await api.login()
    events, _ = await events_page(api, current.access)
    assert [event["session"] and event["session"]["id"] for event in events] == [current.session_id, None]


async def test_sess_02_a_user_sees_only_their_own_events(api: Api, bob: UserRow) -> None:
    await api.try_login("bob", "wrong")
    theirs = await api.login("bob")
    mine = await api.login()
    events, _ = await events_page(api, mine.access)
    assert {event["session"]["id"] for event in events} == {mine.session_id}
    (last, *_), _ = await events_page(api, theirs.access)
    # Another user's event as the cursor shows only the caller's own older events.
    events, _ = await events_page(api, mine.access, after=id_cursor(UUID(last["id"])))
    assert {event["session"]["id"] for event in events} <= {mine.session_id}


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_gql_09_a_page_has_one_to_a_hundred_events(api: Api, first: int) -> None:
    current = await api.login()
    assert await api.codes(EVENTS, {"first": first}, current.access) == ["BAD_USER_INPUT"]


async def test_events_need_an_access_token(api: Api) -> None:
    assert await api.codes(EVENTS) == ["UNAUTHENTICATED"]
    assert await api.codes(EVENTS, bearer=str(uuid4())) == ["UNAUTHENTICATED"]
