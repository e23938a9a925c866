"""The list of sessions: every field, complete pages without repetition, and no other user's sessions."""

import base64
import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient

from auth.services import Services
from db.tables.families import FamilyRow, families
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import LOGIN, PASSWORD, REVOKE, SESSIONS, Api, GraphQLEndpoint, Pair
from tests.support.sql import looking_at
from tests.support.statements import statements

pytestmark = pytest.mark.usefixtures("alice")

WHOLE = """
  id isCurrent state deviceName userAgent ipAddress createdAt lastUsedAt expiresAt absoluteExpiresAt revokedAt
  revocationReason lineage { generation issuedAt rotatedAt ipAddress userAgent }
"""
SESSION = f"query Session($id: ID!) {{ session(id: $id) {{ {WHOLE} }} }}"
RENAME = """
mutation Rename($input: RenameSessionInput!) {
  renameSession(input: $input) {
    __typename
    ... on RenameSessionSuccess { session { id deviceName } }
    ... on UserError { message }
  }
}
"""
NOT_FOUND = {"__typename": "SessionNotFoundError", "message": "You have no session with this ID."}


async def test_sess_07_a_session_shows_all_its_fields_except_its_token(
    api: Api, http: AsyncClient, clock: FakeClock, services: Services, alice: UserRow
) -> None:
    signed_in = clock.now()
    response = await api.post(LOGIN, {"input": {"username": "alice", "password": PASSWORD}}, **{"user-agent": "curl/8"})
    tokens = response.json()["data"]["login"]["tokens"]
    session_id = response.json()["data"]["login"]["session"]["id"]
    clock.advance(timedelta(minutes=5))
    http.headers["user-agent"] = "another agent"
    second = (await GraphQLEndpoint(http).refresh(tokens["refreshToken"])).tokens
    answer = await api.post(SESSION, {"id": session_id}, second.access)
    assert answer.json()["data"]["session"] == {
        "id": session_id,
        "isCurrent": True,
        "state": "ACTIVE",
        "deviceName": "curl",
        "userAgent": "curl/8",
        "ipAddress": "127.0.0.1",
        "createdAt": signed_in.isoformat(),
        "lastUsedAt": clock.now().isoformat(),
        "expiresAt": (signed_in + timedelta(days=30)).isoformat(),
        "absoluteExpiresAt": (signed_in + timedelta(days=30)).isoformat(),
        "revokedAt": None,
        "revocationReason": None,
        "lineage": [
            {
                "generation": 2,
                "issuedAt": clock.now().isoformat(),
                "rotatedAt": None,
                "ipAddress": "127.0.0.1",
                "userAgent": "another agent",
            },
            {
                "generation": 1,
                "issuedAt": signed_in.isoformat(),
                "rotatedAt": clock.now().isoformat(),
                "ipAddress": "127.0.0.1",
                "userAgent": "curl/8",
            },
        ],
    }
    async with looking_at(services.db) as conn:
        family: FamilyRow | None = (await conn.execute(families.select())).one()  # type: ignore[assignment]
    assert family is not None
    shown = answer.text
    digests = (family.token_digest.hex(), base64.b64encode(family.token_digest).decode(), alice.hashed_password)
    assert not any(secret in shown for secret in (*digests, second.refresh, tokens["refreshToken"]))


async def test_rot_22_the_lineage_has_the_last_sixteen_of_forty_generations(
    api: Api, http: AsyncClient, clock: FakeClock
) -> None:
    pair = await api.login()
    session_id = pair.session_id
    for _ in range(40):
        clock.advance(timedelta(minutes=1))
        pair = (await GraphQLEndpoint(http).refresh(pair.refresh)).tokens
    lineage = (await api.data(SESSION, {"id": session_id}, pair.access))["session"]["lineage"]
    assert [issued["generation"] for issued in lineage] == list(range(41, 25, -1))
    # Each generation ends when the next one begins.
    assert [issued["rotatedAt"] for issued in lineage] == [None, *(issued["issuedAt"] for issued in lineage[:-1])]


async def test_is_current_marks_the_session_of_the_access_token(api: Api) -> None:
    one, other = await api.login(), await api.login()
    for pair in (one, other):
        edges = (await api.data(SESSIONS, bearer=pair.access))["sessions"]["edges"]
        assert [edge["node"]["id"] for edge in edges if edge["node"]["isCurrent"]] == [pair.session_id]


async def test_viewer_is_null_without_a_token_and_refused_with_a_bad_one(api: Api, clock: FakeClock) -> None:
    pair = await api.login()
    viewer = "{ viewer { username } }"
    assert await api.data(viewer) == {"viewer": None}
    assert await api.data(viewer, bearer=pair.access) == {"viewer": {"username": "alice"}}
    assert not any([await api.is_live(bad) for bad in ("", "x", pair.refresh, pair.access[:-1], pair.access + "=")])
    for header in ("", "Bearer", "bearer ", f"Basic {pair.access}", f"Token {pair.access}", pair.access):
        assert (await api.post(viewer, authorization=header)).status_code == 401
    for header in (f"bearer {pair.access}", f"BEARER  {pair.access} "):
        assert (await api.post(viewer, authorization=header)).status_code == 200
    clock.advance(timedelta(minutes=15))
    assert not await api.is_live(pair.access)


@pytest.mark.parametrize("spelling", ["theirs", "unknown", "another kind", "upper case", "braces", "none", "long"])
async def test_sess_02_another_user_s_session_is_not_found(api: Api, bob: UserRow, spelling: str) -> None:
    mine, theirs = await api.login(), await api.login("bob")
    given = {
        "theirs": theirs.session_id,
        "unknown": str(uuid4()),
        "another kind": str(bob.id),
        "upper case": str(UUID(mine.session_id)).upper(),
        "braces": f"{{{mine.session_id}}}",
        "none": "",
        "long": "x" * 5000,
    }[spelling]
    assert await api.data(SESSION, {"id": given}, mine.access) == {"session": None}
    assert (await api.data(REVOKE, {"input": {"id": given}}, mine.access))["revokeSession"] == NOT_FOUND
    renamed = await api.data(RENAME, {"input": {"id": given, "deviceName": "Mine"}}, mine.access)
    assert renamed["renameSession"] == NOT_FOUND
    assert await api.is_live(theirs.access)
    shown = (await api.data(SESSION, {"id": theirs.session_id}, theirs.access))["session"]
    assert (shown["state"], shown["deviceName"]) == ("ACTIVE", "Unknown device")


async def test_a_user_can_rename_only_their_own_sessions(api: Api) -> None:
    mine, other = await api.login(), await api.login()
    renamed = await api.data(
        RENAME, {"input": {"id": other.session_id, "deviceName": "  Kitchen tablet "}}, mine.access
    )
    assert renamed["renameSession"]["session"] == {"id": other.session_id, "deviceName": "Kitchen tablet"}
    edges = (await api.data(SESSIONS, bearer=mine.access))["sessions"]["edges"]
    assert {edge["node"]["id"]: edge["node"]["deviceName"] for edge in edges} == {
        mine.session_id: "Unknown device",
        other.session_id: "Kitchen tablet",
    }
    for bad in ("", " ", "x" * 101, "two\nlines"):
        given = {"id": other.session_id, "deviceName": bad}
        assert await api.codes(RENAME, {"input": given}, mine.access) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("more_settings", [{"lineage_depth": 0}, {"lineage_depth": 3}])
async def test_a_lineage_is_as_deep_as_the_setting_says(
    api: Api, http: AsyncClient, more_settings: dict[str, int]
) -> None:
    pair = await api.login()
    session_id = pair.session_id
    for _ in range(5):
        pair = (await GraphQLEndpoint(http).refresh(pair.refresh)).tokens
    lineage = (await api.data(SESSION, {"id": session_id}, pair.access))["session"]["lineage"]
    assert [issued["generation"] for issued in lineage] == [6, 5, 4][: more_settings["lineage_depth"]]


async def test_sess_11_the_user_agent_is_cut_and_shown_as_text(api: Api, services: Services) -> None:
    agent = "<script>alert(1)</script> " + "x" * 10_000
    given = {"username": "alice", "password": PASSWORD}
    response = await api.post(LOGIN, {"input": given}, **{"user-agent": agent})
    pair = response.json()["data"]["login"]
    session = (await api.data(SESSION, {"id": pair["session"]["id"]}, pair["tokens"]["accessToken"]))["session"]
    assert session["userAgent"] == agent[:512] == session["lineage"][0]["userAgent"]
    assert session["deviceName"] == "Unknown device"


async def test_a_page_of_sessions_loads_all_lineages_in_one_statement(
    api: Api, http: AsyncClient, services: Services
) -> None:
    pairs: list[Pair] = [await api.login() for _ in range(8)]
    for pair in pairs[1:]:
        await GraphQLEndpoint(http).refresh(pair.refresh)
    with statements(services) as sent:
        edges = (await api.data(f"{{ sessions {{ edges {{ node {{ {WHOLE} }} }} }} }}", bearer=pairs[0].access))[
            "sessions"
        ]["edges"]
    assert sorted(len(edge["node"]["lineage"]) for edge in edges) == [1] + [2] * 7
    assert [re.findall(r"FROM (\w+)", statement)[0] for statement in sent] == [
        "token_families",  # the caller
        "token_families",  # the page
        "refresh_tokens",  # the lineages
    ]
