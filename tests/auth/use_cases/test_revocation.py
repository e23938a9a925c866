"""Revoking sessions: it is immediate, irreversible and idempotent, and no user revokes another user's session."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient

from auth.outcomes import ClientInfo
from auth.services import Services
from db.tables.base import RevocationReason, metadata
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import (
    INVALID,
    REVOKE,
    REVOKED,
    ROTATED,
    SESSIONS,
    Api,
    GraphQLEndpoint,
    Pair,
    RefreshEndpoint,
)
from tests.support.sql import looking_at
from tests.support.statements import statements

pytestmark = pytest.mark.usefixtures("alice")

REVOKE_OTHERS = "mutation { revokeOtherSessions { revokedCount } }"
REVOKE_ALL = "mutation { revokeAllSessions { revokedCount } }"
# Every field that needs an access token.
NEEDS_CALLER = {
    "viewer": "{ viewer { id } }",
    "sessions": "{ sessions { edges { node { id } } } }",
    "session": '{ session(id: "x") { id } }',
    "securityEvents": "{ securityEvents { edges { node { id } } } }",
    "revokeSession": 'mutation { revokeSession(input: {id: "x"}) { __typename } }',
    "revokeOtherSessions": REVOKE_OTHERS,
    "revokeAllSessions": REVOKE_ALL,
    "changePassword": 'mutation { changePassword(input: {currentPassword: "x", newPassword: "y"}) { __typename } }',
    "renameSession": 'mutation { renameSession(input: {id: "x", deviceName: "y"}) { __typename } }',
}


async def revoke(api: Api, bearer: str | None = None, **given: str) -> Any:
    return (await api.data(REVOKE, {"input": given}, bearer))["revokeSession"]


@pytest.mark.parametrize("by", ["id", "the current token", "a rotated token"])
async def test_sess_03_sess_06_a_session_is_revoked_at_once_and_revoking_it_again_changes_nothing(
    api: Api,
    http: AsyncClient,
    endpoint: RefreshEndpoint,
    clock: FakeClock,
    services: Services,
    alice: UserRow,
    by: str,
) -> None:
    first, other = await api.login(), await api.login()
    second = (await GraphQLEndpoint(http).refresh(first.refresh)).tokens
    given = {
        "id": {"id": first.session_id},
        "the current token": {"refreshToken": second.refresh},
        "a rotated token": {"refreshToken": first.refresh},
    }[by]
    bearer = other.access if by == "id" else None
    ended_at = clock.now()
    for _ in range(2):
        assert await revoke(api, bearer, **given) == {
            "__typename": "RevokeSessionSuccess",
            "session": {
                "id": first.session_id,
                "state": "REVOKED",
                "revokedAt": ended_at.isoformat(),
                "revocationReason": "REVOKED_BY_USER",
            },
        }
        clock.advance(timedelta(minutes=1))
    assert not any([await api.is_live(pair.access) for pair in (first, second)])
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED
    assert (await endpoint.refresh(first.refresh)).outcome == REVOKED  # a revoked session has no replay
    assert await api.is_live(other.access)
    kinds = [event.kind for event in await services.accounts.events(alice.id, after=None, limit=100)]
    assert kinds.count("SESSION_REVOKED") == 1
    assert "REFRESH_TOKEN_REPLAYED" not in kinds


async def test_a_user_can_revoke_the_session_they_use(api: Api) -> None:
    pair = await api.login()
    assert (await revoke(api, pair.access, id=pair.session_id))["session"]["state"] == "REVOKED"
    assert not await api.is_live(pair.access)


async def test_rot_15_a_refresh_token_revokes_its_own_session_for_any_caller(api: Api, bob: UserRow) -> None:
    theirs, mine = await api.login("bob"), await api.login()
    ended = await revoke(api, theirs.access, refreshToken=mine.refresh)
    assert ended["session"]["id"] == mine.session_id
    assert await api.is_live(theirs.access)


async def test_text_that_is_not_a_refresh_token_revokes_nothing(api: Api, clock: FakeClock, services: Services) -> None:
    pair = await api.login()
    head, claims, signature = pair.refresh.split(".")
    for token in ("", " ", "x", "a.b.c", pair.access, pair.refresh[:-1], pair.refresh + "=", f"{head}.{claims}.",
                  f"{head}.{claims.swapcase()}.{signature}", "x" * 10_000, pair.session_id):  # fmt: skip
        assert (await revoke(api, refreshToken=token))["__typename"] == INVALID, token
    assert await api.is_live(pair.access)
    clock.advance(timedelta(days=61))
    assert (await services.pruning.prune(clock.now())).sessions == 1
    assert (await revoke(api, refreshToken=pair.refresh))["__typename"] == INVALID


async def test_revoking_an_expired_session_leaves_it_expired(api: Api, clock: FakeClock) -> None:
    expired = await api.login()
    clock.advance(timedelta(days=30))
    current = await api.login()
    for bearer, given in ((None, {"refreshToken": expired.refresh}), (current.access, {"id": expired.session_id})):
        session = (await revoke(api, bearer, **given))["session"]
        assert (session["state"], session["revokedAt"], session["revocationReason"]) == ("EXPIRED", None, None)


@pytest.mark.parametrize(
    "given",
    [{}, {"id": "x", "refreshToken": "y"}, {"id": None}, {"refreshToken": None}, {"id": None, "refreshToken": "x"}],
)
async def test_a_revocation_needs_either_an_id_or_a_refresh_token(api: Api, given: dict[str, Any]) -> None:
    pair = await api.login()
    given = {name: pair.refresh if value == "y" else value and pair.session_id for name, value in given.items()}
    assert await api.codes(REVOKE, {"input": given}, pair.access) == ["BAD_USER_INPUT"]
    quoted = {name: "null" if value is None else f'"{value}"' for name, value in given.items()}
    literal = ", ".join(f"{name}: {value}" for name, value in quoted.items())
    query = f"mutation {{ revokeSession(input: {{{literal}}}) {{ __typename }} }}"
    assert set(await api.codes(query, bearer=pair.access)) == {"BAD_USER_INPUT"}
    assert await api.is_live(pair.access)


async def test_sess_01_all_other_sessions_are_revoked_and_counted(api: Api, bob: UserRow, clock: FakeClock) -> None:
    theirs, expired = await api.login("bob"), await api.login()
    clock.advance(timedelta(days=30))
    theirs = await api.login("bob")
    one, two, ended, current = [await api.login() for _ in range(4)]
    await revoke(api, refreshToken=ended.refresh)
    counted = (await api.data(REVOKE_OTHERS, bearer=current.access))["revokeOtherSessions"]
    assert counted == {"revokedCount": 2}
    assert (await api.data(REVOKE_OTHERS, bearer=current.access))["revokeOtherSessions"] == {"revokedCount": 0}
    assert [await api.is_live(pair.access) for pair in (one, two, current, theirs)] == [False, False, True, True]
    states = {
        edge["node"]["id"]: edge["node"]["state"]
        for edge in (await api.data(SESSIONS, {"state": None}, current.access))["sessions"]["edges"]
    }
    assert states.pop(expired.session_id) == "EXPIRED"
    assert states.pop(current.session_id) == "ACTIVE"
    assert set(states.values()) == {"REVOKED"}


async def test_sess_01_all_sessions_are_revoked_the_current_one_too(
    api: Api, bob: UserRow, endpoint: RefreshEndpoint
) -> None:
    theirs, one, current = await api.login("bob"), await api.login(), await api.login()
    assert (await api.data(REVOKE_ALL, bearer=current.access))["revokeAllSessions"] == {"revokedCount": 2}
    assert not any([await api.is_live(pair.access) for pair in (one, current)])
    assert [(await endpoint.refresh(pair.refresh)).outcome for pair in (one, current)] == [REVOKED, REVOKED]
    assert await api.is_live(theirs.access)


async def revoke_by_owner(api: Api, _services: Services, pair: Pair, _user: UserRow, _clock: FakeClock) -> None:
    await revoke(api, refreshToken=pair.refresh)


async def revoke_by_replay(api: Api, _services: Services, pair: Pair, _user: UserRow, _clock: FakeClock) -> None:
    for _ in range(2):
        await GraphQLEndpoint(api.http).refresh(pair.refresh)


async def revoke_by_operator(_api: Api, services: Services, pair: Pair, user: UserRow, clock: FakeClock) -> None:
    reason = RevocationReason.REVOKED_BY_OPERATOR
    await services.sessions.revoke(user.id, UUID(pair.session_id), ClientInfo(), clock.now(), reason)


async def revoke_by_disabling(_api: Api, services: Services, _pair: Pair, user: UserRow, clock: FakeClock) -> None:
    await services.accounts.disable(user.id, clock.now())


async def revoke_by_new_password(_api: Api, services: Services, _pair: Pair, user: UserRow, clock: FakeClock) -> None:
    await services.accounts.set_password(user, "three grey owls read 7 maps", clock.now())


@pytest.mark.parametrize(
    "revoke_session",
    [revoke_by_owner, revoke_by_replay, revoke_by_operator, revoke_by_disabling, revoke_by_new_password],
)
async def test_sess_03_every_field_refuses_access_tokens_of_a_revoked_session_at_once(
    api: Api,
    services: Services,
    alice: UserRow,
    clock: FakeClock,
    revoke_session: Callable[[Api, Services, Pair, UserRow, FakeClock], Awaitable[None]],
) -> None:
    pair = await api.login()
    await revoke_session(api, services, pair, alice, clock)
    for query in NEEDS_CALLER.values():
        response = await api.post(query, bearer=pair.access)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert response.headers["content-type"] == "application/json"
        (error,) = response.json()["errors"]
        assert error["extensions"] == {"code": "UNAUTHENTICATED"}
        assert not any((response.json()["data"] or {}).values())


@pytest.mark.parametrize("field", NEEDS_CALLER)
async def test_net_09_a_request_without_a_token_gets_a_challenge(api: Api, field: str) -> None:
    response = await api.post(NEEDS_CALLER[field])
    if field == "viewer":
        assert response.json() == {"data": {"viewer": None}}
        return
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["UNAUTHENTICATED"]


async def test_authenticating_an_access_token_is_one_statement_and_a_forged_one_costs_none(
    api: Api, services: Services
) -> None:
    pair, ended = await api.login(), await api.login()
    await revoke(api, refreshToken=ended.refresh)
    with statements(services) as sent:
        assert not await api.is_live(ended.access)
    assert len(sent) == 1
    with statements(services) as sent:
        three = '{ a: session(id: "x") { id } b: session(id: "y") { id } c: session(id: "z") { id } }'
        await api.data(three, bearer=pair.access)
        assert len(sent) == 1  # once for a request, however many fields need the caller
        await api.post(three, bearer=ended.access)
    assert len(sent) == 2
    with statements(services) as sent:
        for forged in (pair.access.rpartition(".")[0] + "." + "A" * 86, pair.refresh, "x.y.z"):
            assert not await api.is_live(forged)
    assert sent == []


async def test_sess_04_disabling_a_user_revokes_everything_and_enabling_restores_nothing(
    api: Api, endpoint: RefreshEndpoint, services: Services, clock: FakeClock, alice: UserRow, bob: UserRow
) -> None:
    theirs, pairs = await api.login("bob"), [await api.login() for _ in range(3)]
    assert await services.accounts.disable(alice.id, clock.now()) == 3
    assert await services.accounts.disable(alice.id, clock.now()) == 0
    for _ in range(2):
        assert not any([await api.is_live(pair.access) for pair in pairs])
        assert {(await endpoint.refresh(pair.refresh)).outcome for pair in pairs} == {REVOKED}
        await services.accounts.enable(alice.id)
    assert await api.is_live(theirs.access)
    again = await api.login()
    states = (await api.data(SESSIONS, {"state": None}, again.access))["sessions"]["edges"]
    assert sorted(edge["node"]["revocationReason"] or "" for edge in states) == ["", *["USER_DISABLED"] * 3]
    kinds = [event.kind for event in await services.accounts.events(alice.id, after=None, limit=100)]
    assert (kinds.count("USER_DISABLED"), kinds.count("SESSION_REVOKED")) == (1, 3)


async def test_tok_07_a_user_of_the_same_name_is_not_the_same_user(
    api: Api,
    endpoint: RefreshEndpoint,
    services: Services,
    alice: UserRow,
    add_user: Callable[[str], Awaitable[UserRow]],
) -> None:
    pair = await api.login()
    async with looking_at(services.db) as conn:
        for table in reversed(metadata.sorted_tables):
            if table.name != "signing_keys":
                await conn.execute(table.delete())
    await add_user("alice")
    assert not await api.is_live(pair.access)
    assert (await endpoint.refresh(pair.refresh)).outcome == INVALID


async def test_sess_09_a_stolen_access_token_can_revoke_sessions_until_it_expires_and_take_over_nothing(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    """The decision: revoking sessions needs a live session and no password, because the owner must be fast."""
    stolen, other = await api.login(), await api.login()
    change = """mutation { changePassword(input: {currentPassword: "x", newPassword: "three grey owls read 7 maps"}) {
        __typename } }"""
    assert (await api.data(change, bearer=stolen.access))["changePassword"]["__typename"] == "InvalidCredentialsError"
    assert (await endpoint.refresh(stolen.access)).outcome == INVALID
    ended = await api.data(REVOKE, {"input": {"id": other.session_id}}, stolen.access)
    assert ended["revokeSession"]["__typename"] == "RevokeSessionSuccess"
    third = await api.login()
    clock.advance(timedelta(minutes=15))
    assert (await api.post(REVOKE, {"input": {"id": third.session_id}}, stolen.access)).status_code == 401
    assert (await endpoint.refresh(third.refresh)).outcome == ROTATED
