"""Accounts: changing a password, which sessions that revokes, and adding or importing users."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from passlib.hash import argon2, bcrypt

from auth.credentials.login_throttle import _name_digest
from auth.credentials.password_hashing import verify_password
from auth.outcomes import ClientInfo, PasswordSet, WeakPassword
from auth.services import Services
from auth.use_cases.accounts import InvalidEmail, InvalidPasswordHash, InvalidUsername, UsernameTaken
from auth.use_cases.sessions import Unauthenticated
from db.tables import familiar_networks, login_failures
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import NEW_PASSWORD, PASSWORD, REVOKED, ROTATED, SESSIONS, Api, Pair, RefreshEndpoint
from tests.support.watches import Watch, watching

pytestmark = pytest.mark.usefixtures("alice")

CHANGE = """
mutation Change($input: ChangePasswordInput!) {
  changePassword(input: $input) {
    __typename
    ... on ChangePasswordSuccess { revokedCount }
    ... on UserError { message }
  }
}
"""
TWO_THREADS = pytest.mark.parametrize("more_settings", [{"hashing_threads": 2, "rate_limits": False}])
Ending = Callable[[Services, UserRow, Pair, FakeClock], Awaitable[Any]]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Observe every verification of a password."""
    with watching() as watch:
        yield watch


CHECK = "mutation ($input: CheckPasswordInput!) { checkPassword(input: $input) { strength weakness } }"


def passwords(current: str, new: str) -> dict[str, Any]:
    return {"input": {"currentPassword": current, "newPassword": new}}


async def change(api: Api, bearer: str, current: str, new: str) -> Any:
    return (await api.data(CHANGE, passwords(current, new), bearer))["changePassword"]


async def works(api: Api, password: str) -> bool:
    return bool((await api.try_login("alice", password))["__typename"] == "LoginSuccess")


async def failures(services: Services, user: UserRow) -> int:
    """Return the failures under the name, from the network that the test and the user share."""
    async with services.db.read() as conn:
        (network,) = await familiar_networks.list_for_username(conn, user.username)
        row = await login_failures.get(conn, _name_digest(user.username, network))
    return row.failures if row else 0


async def kinds(services: Services, user: UserRow) -> list[str]:
    return [event.kind for event in await services.accounts.events(user.id, after=None, limit=100)]


async def test_sess_05_a_new_password_revokes_every_session_except_the_current_one(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow, bob: UserRow, clock: FakeClock
) -> None:
    bob_pair, other, another, current = await api.login("bob"), await api.login(), await api.login(), await api.login()
    clock.advance(timedelta(minutes=1))
    assert await change(api, current.access, PASSWORD, NEW_PASSWORD) == {
        "__typename": "ChangePasswordSuccess",
        "revokedCount": 2,
    }
    assert [await api.is_live(pair.access) for pair in (bob_pair, other, another, current)] == [
        True,
        False,
        False,
        True,
    ]
    assert [(await endpoint.refresh(pair.refresh)).outcome for pair in (other, current)] == [REVOKED, ROTATED]
    revoked = (await api.data(SESSIONS, {"state": "REVOKED"}, current.access))["sessions"]["edges"]
    assert {edge["node"]["revocationReason"] for edge in revoked} == {"PASSWORD_CHANGED"}
    assert (await works(api, PASSWORD), await works(api, NEW_PASSWORD)) == (False, True)
    user = await services.accounts.get(alice.id)
    assert user is not None
    assert user.password_changed_at == clock.now()
    assert (await kinds(services, alice)).count("PASSWORD_CHANGED") == 1


@pytest.mark.parametrize("wrong", ["", "x", "wrong", PASSWORD + " ", PASSWORD.upper(), "x" * 5000, "a\x00b"])
async def test_cred_12_a_change_needs_the_current_password_and_a_wrong_one_is_counted(
    api: Api, services: Services, alice: UserRow, wrong: str
) -> None:
    other, current = await api.login(), await api.login()
    refused = {"__typename": "InvalidCredentialsError", "message": "The current password is wrong."}
    assert await change(api, current.access, wrong, NEW_PASSWORD) == refused
    assert await api.is_live(other.access)
    # Text that cannot be a password is not a login attempt.
    is_counted = 0 < len(wrong) <= 1024
    assert await failures(services, alice) == is_counted
    assert (await kinds(services, alice)).count("LOGIN_FAILED") == is_counted
    assert await works(api, PASSWORD)


async def test_a_weak_new_password_is_refused_with_a_reason_and_revokes_nothing(api: Api) -> None:
    other, current = await api.login(), await api.login()
    for weak, reason in (
        ("", "empty"),
        ("short1!", "at least 8 characters"),
        ("password1", "too easy to guess"),
        ("x" * 1025, "1,024 bytes"),
        ("alicealice", "too easy to guess"),
    ):
        answer = await change(api, current.access, PASSWORD, weak)
        assert answer["__typename"] == "WeakPasswordError"
        assert reason in answer["message"]
        assert not weak or weak not in answer["message"]
    assert await api.is_live(other.access)
    assert await works(api, PASSWORD)


async def test_a_wrong_current_password_hides_whether_the_new_one_is_weak(api: Api) -> None:
    current = await api.login()
    assert (await change(api, current.access, "wrong", "x"))["__typename"] == "InvalidCredentialsError"


@pytest.mark.parametrize(
    "password", ["", "short1!", "password1", "alicealice", "correcthorse", "x" * 1025, "7Q!xk2Vp", NEW_PASSWORD]
)
async def test_check_password_gives_the_same_reason_as_change_password(api: Api, password: str) -> None:
    current = await api.login()
    checked = (await api.data(CHECK, {"input": {"newPassword": password}}, current.access))["checkPassword"]
    assert await works(api, PASSWORD)
    answer = await change(api, current.access, PASSWORD, password)
    assert checked["weakness"] == answer.get("message")
    assert (checked["strength"] >= 2) == (answer["__typename"] == "ChangePasswordSuccess")


async def test_check_password_needs_a_session_and_runs_one_at_a_time(api: Api, services: Services) -> None:
    """Some passwords take a fifth of a second: no user may keep the service busy with many."""
    question = {"input": {"newPassword": "correcthorse"}}
    assert await api.codes(CHECK, question) == ["UNAUTHENTICATED"]
    current = await api.login()
    with services.accounts.hasher.strength_check_slot():
        assert await api.codes(CHECK, question, current.access) == ["UNAVAILABLE"]
    assert (await api.data(CHECK, question, current.access))["checkPassword"]["strength"] == 1


async def disable(services: Services, user: UserRow, _pair: Pair, clock: FakeClock) -> None:
    await services.accounts.disable(user.id, clock.now())


async def sign_out(services: Services, user: UserRow, pair: Pair, clock: FakeClock) -> None:
    await services.sessions.revoke(user.id, UUID(pair.session_id), ClientInfo(), clock.now())


@TWO_THREADS
@pytest.mark.parametrize("change_state", [disable, sign_out])
async def test_a_session_that_is_revoked_during_the_check_changes_no_password(
    api: Api, services: Services, alice: UserRow, clock: FakeClock, watch: Watch, change_state: Ending
) -> None:
    current = await api.login()
    watch.threads.clear()
    watch.going.clear()
    changing = asyncio.create_task(api.post(CHANGE, passwords(PASSWORD, NEW_PASSWORD), current.access))
    await watch.until(begun=1)
    await change_state(services, alice, current, clock)
    watch.going.set()
    response = await changing
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert response.json()["data"] == {"changePassword": None}
    stored = await services.accounts.get(alice.id)
    assert stored is not None
    assert verify_password(PASSWORD, stored.hashed_password)
    assert "PASSWORD_CHANGED" not in await kinds(services, alice)


@TWO_THREADS
@pytest.mark.parametrize("current", [PASSWORD, "wrong"])
async def test_a_password_change_is_unauthenticated_if_the_user_is_deleted_while_the_current_one_is_checked(
    api: Api, services: Services, alice: UserRow, clock: FakeClock, watch: Watch, current: str
) -> None:
    """Right or wrong: the session is deleted with the user, and no failure is recorded for a missing user."""
    pair = await api.login()
    family = await services.sessions.authenticate(pair.access, clock.now())
    watch.threads.clear()
    watch.going.clear()
    changing = asyncio.create_task(api.codes(CHANGE, passwords(current, NEW_PASSWORD), pair.access))
    await watch.until(begun=1)
    await services.accounts.delete(alice)
    watch.going.set()
    assert await changing == ["UNAUTHENTICATED"]
    with pytest.raises(Unauthenticated):
        await services.accounts.change_password(family, current, NEW_PASSWORD, ClientInfo(), clock.now())


@TWO_THREADS
async def test_a_password_that_an_operator_sets_during_the_check_is_not_overwritten(
    api: Api, services: Services, alice: UserRow, clock: FakeClock, watch: Watch
) -> None:
    current = await api.login()
    watch.threads.clear()
    watch.going.clear()
    changing = asyncio.create_task(api.post(CHANGE, passwords(PASSWORD, NEW_PASSWORD), current.access))
    await watch.until(begun=1)
    assert await services.accounts.set_password(alice, "an operator chose 1 thing", clock.now()) == PasswordSet(1)
    watch.going.set()
    assert (await changing).json()["data"]["changePassword"]["__typename"] == "InvalidCredentialsError"
    assert await works(api, "an operator chose 1 thing")


@pytest.mark.real_hash_cost
async def test_rot_05_of_two_concurrent_password_changes_one_succeeds_and_its_password_works(api: Api) -> None:
    sessions = [await api.login(), await api.login()]
    chosen = [NEW_PASSWORD, "five brown bears ate 9 pies"]
    answers = await asyncio.gather(
        *(api.post(CHANGE, passwords(PASSWORD, new), pair.access) for pair, new in zip(sessions, chosen, strict=True))
    )
    results: list[Any] = [(answer.json()["data"] or {}).get("changePassword") for answer in answers]
    won = [bool(result) and result["__typename"] == "ChangePasswordSuccess" for result in results]
    assert sorted(won) == [False, True]
    assert [await works(api, password) for password in chosen] == won
    assert [await api.is_live(pair.access) for pair in sessions] == won


async def test_sess_10_a_password_that_an_operator_sets_revokes_every_session(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow, clock: FakeClock
) -> None:
    pairs = [await api.login() for _ in range(2)]
    weak = await services.accounts.set_password(alice, "password", clock.now())
    assert isinstance(weak, WeakPassword)
    assert await services.accounts.set_password(alice, NEW_PASSWORD, clock.now()) == PasswordSet(2)
    assert not any([await api.is_live(pair.access) for pair in pairs])
    assert {(await endpoint.refresh(pair.refresh)).outcome for pair in pairs} == {REVOKED}
    assert (await works(api, PASSWORD), await works(api, NEW_PASSWORD)) == (False, True)


async def test_an_operator_sets_no_password_of_a_user_who_is_already_deleted(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    await services.accounts.delete(alice)
    assert await services.accounts.set_password(alice, NEW_PASSWORD, clock.now()) is None


async def test_a_user_who_is_deleted_before_the_current_password_is_checked_is_unauthenticated(
    api: Api, services: Services, alice: UserRow, clock: FakeClock
) -> None:
    family = await services.sessions.authenticate((await api.login()).access, clock.now())
    await services.accounts.delete(alice)
    with pytest.raises(Unauthenticated):
        await services.accounts.change_password(family, PASSWORD, NEW_PASSWORD, ClientInfo(), clock.now())
    with pytest.raises(Unauthenticated):
        await services.accounts.check_password(family, NEW_PASSWORD)


async def test_an_empty_or_too_long_password_has_strength_zero(api: Api) -> None:
    current = await api.login()
    for unfit in ("", "x" * 1025):
        checked = (await api.data(CHECK, {"input": {"newPassword": unfit}}, current.access))["checkPassword"]
        assert checked == {"strength": 0, "weakness": "The password is empty, or longer than 1,024 bytes."}


@pytest.mark.real_hash_cost
async def test_a_username_in_another_spelling_is_taken(services: Services, http: AsyncClient) -> None:
    now = FakeClock().now()
    for taken in ("Alice", " alice ", "ＡＬＩＣＥ", "aLICE"):
        with pytest.raises(UsernameTaken):
            await services.accounts.add(taken, None, NEW_PASSWORD, now)
    for unfit in ("", "  ", "x" * 129, "a\nb", "a\x00", "\u202ea", "\ud800", "ﷺ" * 100):
        with pytest.raises(InvalidUsername):
            await services.accounts.add(unfit, None, NEW_PASSWORD, now)
    results = await asyncio.gather(
        *(services.accounts.add(name, None, NEW_PASSWORD, now) for name in ("Straße", "STRASSE", "strasse")),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["UserRow", "UsernameTaken", "UsernameTaken"]
    assert isinstance(await services.accounts.add("same", None, "same", now), WeakPassword)
    assert len(await services.accounts.list_all()) == 2


@pytest.mark.real_hash_cost
@pytest.mark.parametrize("scheme", [argon2, bcrypt])
async def test_an_imported_user_signs_in_with_their_old_password_and_gets_a_newer_hash(
    api: Api, services: Services, clock: FakeClock, scheme: Any
) -> None:
    old_hash = scheme.using(rounds=4).hash(PASSWORD)
    carol = await services.accounts.import_user(" Carol ", "carol@example.org", old_hash, clock.now())
    assert (carol.username, carol.email, carol.hashed_password) == ("Carol", "carol@example.org", old_hash)
    await api.login("carol")
    stored = await services.accounts.get(carol.id)
    assert stored is not None
    assert stored.hashed_password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_an_import_checks_the_name_the_address_and_that_the_name_is_free(
    services: Services, clock: FakeClock, password_hash: str
) -> None:
    with pytest.raises(InvalidUsername, match="Use 1 to 128 characters"):
        await services.accounts.import_user("a\nb", None, password_hash, clock.now())
    with pytest.raises(InvalidEmail, match=r"Use the form name@example\.org"):
        await services.accounts.import_user("carol", "carol", password_hash, clock.now())
    with pytest.raises(UsernameTaken):
        await services.accounts.import_user("ALICE", None, password_hash, clock.now())
    assert await services.accounts.find_by_username("carol") is None


@pytest.mark.parametrize("unusable", ["", "hunter2", "$argon2id$v=19$m=999999,t=2,p=1$c29tZXNhbHQxMjM$" + "A" * 43])
async def test_cred_14_an_import_refuses_a_hash_that_no_sign_in_could_verify(
    services: Services, clock: FakeClock, unusable: str
) -> None:
    with pytest.raises(InvalidPasswordHash) as refused:
        await services.accounts.import_user("carol", None, unusable, clock.now())
    assert not unusable or unusable not in str(refused.value)
    assert await services.accounts.find_by_username("carol") is None
