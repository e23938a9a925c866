"""The throttle, attacked from outside: guesses at one name, from one address, at once, through several workers."""

import asyncio
import math
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select

from auth.config.settings import Settings
from auth.credentials.ip_addresses import normalize_address
from auth.services import Services
from db.drivers.errors import DatabaseUnavailable
from db.hot_path import login_attempts, new_sessions
from db.tables import familiar_networks, users
from db.tables.login_failures import login_failures
from db.tables.users import UserRow
from graph.app import create_app
from tests.auth.use_cases.test_accounts import CHANGE, NEW_PASSWORD, passwords
from tests.support.clocks import FakeClock
from tests.support.endpoints import PASSWORD, Api
from tests.support.servers import backstage, serving
from tests.support.sql import looking_at
from tests.support.watches import watching

pytestmark = pytest.mark.usefixtures("alice")

WRONG = "InvalidCredentialsError"
THROTTLED = "TooManyAttemptsError"
RIGHT = "LoginSuccess"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
SECOND = timedelta(seconds=1)
LOGIN = """
mutation Login($input: LoginInput!) {
  login(input: $input) {
    __typename
    ... on LoginSuccess { tokens { accessToken } }
    ... on UserError { message }
    ... on TooManyAttemptsError { retryAfter }
  }
}
"""


class Stranger:
    """Somebody who tries passwords, from whatever address the proxy in front says."""

    def __init__(self, http: AsyncClient) -> None:
        self.api = Api(http)

    async def ask(self, name: str, password: str, address: str = ELSEWHERE) -> Any:
        given = {"input": {"username": name, "password": password}}
        response = await self.api.post(LOGIN, given, **{"x-forwarded-for": address})
        assert response.status_code == 200, response.text
        return response.json()["data"]["login"]

    async def guess(self, name: str = "alice", password: str = "wrong", address: str = ELSEWHERE) -> str:
        return str((await self.ask(name, password, address))["__typename"])


@pytest.fixture
def more_settings() -> dict[str, Any]:
    """A proxy in front, so that requests come from many addresses; ASGI's test transport calls itself 127.0.0.1."""
    return {"trusted_proxies": "127.0.0.1"}


@pytest.fixture
def stranger(http: AsyncClient) -> Stranger:
    return Stranger(http)


def somewhere(number: int) -> str:
    return f"100.64.{number // 256}.{number % 256}"


async def test_five_guesses_are_free_and_then_each_waits_twice_as_long(stranger: Stranger, clock: FakeClock) -> None:
    assert [await stranger.guess() for _ in range(5)] == [WRONG] * 5
    for number in range(14):
        wait = min(2**number, 15 * 60)
        refused = await stranger.ask("alice", "wrong", somewhere(number))
        assert (refused["__typename"], refused["retryAfter"]) == (THROTTLED, wait)
        clock.advance(timedelta(seconds=wait) - SECOND)
        assert await stranger.guess(address=somewhere(number)) == THROTTLED
        clock.advance(SECOND)
        assert await stranger.guess(address=somewhere(number)) == WRONG


async def test_who_is_throttled_is_told_how_long_to_wait(stranger: Stranger, clock: FakeClock) -> None:
    for _ in range(5):
        await stranger.guess()
    assert (await stranger.ask("alice", "wrong"))["message"] == "Too many attempts. Try again in 1 second."
    for _ in range(8):
        clock.advance(timedelta(hours=1))
        assert await stranger.guess() == WRONG
    assert (await stranger.ask("alice", "wrong"))["message"] == "Too many attempts. Try again in 5 minutes."


async def test_cred_10_a_hundred_failures_in_a_row_stop_a_name_until_it_is_unlocked(
    stranger: Stranger, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    """(a) Each from another address."""
    answers = []
    for number in range(101):
        answers.append(await stranger.guess(address=somewhere(number)))
        clock.advance(timedelta(minutes=15))
    assert answers == [WRONG] * 100 + [THROTTLED]
    clock.advance(timedelta(days=7))
    assert await stranger.guess(password=PASSWORD) == THROTTLED
    await services.accounts.unlock(alice)
    assert await stranger.guess(password=PASSWORD) == RIGHT


async def test_cred_10_a_stranger_s_failures_do_not_keep_the_owner_out_where_they_have_been_before(
    stranger: Stranger, clock: FakeClock
) -> None:
    """(b)"""
    assert await stranger.guess(password=PASSWORD, address=HOME) == RIGHT
    for number in range(100):
        assert await stranger.guess(address=somewhere(number)) == WRONG
        clock.advance(timedelta(minutes=15))
    assert await stranger.guess(password=PASSWORD, address=ELSEWHERE) == THROTTLED
    assert await stranger.guess(password=PASSWORD, address=HOME) == RIGHT


async def test_guesses_from_where_the_owner_is_are_throttled_too(stranger: Stranger) -> None:
    assert await stranger.guess(password=PASSWORD, address=HOME) == RIGHT
    assert [await stranger.guess(address=HOME) for _ in range(6)] == [WRONG] * 5 + [THROTTLED]
    assert await stranger.guess(password=PASSWORD, address=HOME) == THROTTLED


async def test_a_network_is_as_familiar_as_its_owner_s_other_devices_in_it(stranger: Stranger) -> None:
    assert await stranger.guess(password=PASSWORD, address="2001:db8:1:2::1") == RIGHT
    for number in range(6):
        await stranger.guess(address=somewhere(number))
    assert await stranger.guess(password=PASSWORD, address="2001:db8:1:3::1") == THROTTLED
    assert await stranger.guess(password=PASSWORD, address="2001:DB8:1:2:ffff::9") == RIGHT


async def test_one_password_for_many_names_from_one_address_is_stopped(stranger: Stranger, clock: FakeClock) -> None:
    """(c) Spraying: 30 in five minutes, 300 in an hour."""
    answers = [await stranger.guess(f"user-{number}") for number in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]
    assert (await stranger.ask("nobody", "wrong"))["retryAfter"] == 300
    assert await stranger.guess("nobody", address=HOME) == WRONG
    for _ in range(9):
        clock.advance(timedelta(minutes=5))
        assert [await stranger.guess(f"more-{number}") for number in range(31)] == [WRONG] * 30 + [THROTTLED]
    clock.advance(timedelta(minutes=5))
    assert (await stranger.ask("nobody", "wrong"))["retryAfter"] == 600
    clock.advance(timedelta(minutes=10))
    assert await stranger.guess("nobody") == WRONG


async def test_what_an_exhausted_address_asks_for_leaves_nothing_behind(stranger: Stranger, services: Services) -> None:
    """DOS-05: the store grows with guesses that are made, and not with those that are refused."""
    for number in range(30):
        await stranger.guess(f"user-{number}")
    before = await rows(services)
    for number in range(100):
        assert await stranger.guess(f"another-{number}") == THROTTLED
    assert await rows(services) == before


@pytest.mark.parametrize("more_settings", [{}], ids=[""])
async def test_net_03_without_a_proxy_that_is_trusted_nobody_changes_their_address(stranger: Stranger) -> None:
    """(d)"""
    answers = [await stranger.guess(f"user-{number}", address=somewhere(number)) for number in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]


async def test_net_03_the_address_is_the_last_that_a_trusted_proxy_has_seen(stranger: Stranger) -> None:
    """(d) What a client writes into the header itself stands before what the proxy adds."""
    answers = [await stranger.guess(f"user-{n}", address=f"{somewhere(n)}, {ELSEWHERE}") for n in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]


async def test_a_success_resets_the_name_and_takes_back_no_more_than_itself_from_the_address(
    stranger: Stranger, bob: UserRow
) -> None:
    """(e) An attacker with an account of their own does not get more guesses by signing in to it."""
    for _ in range(4):
        assert await stranger.guess() == WRONG
    assert await stranger.guess(password=PASSWORD) == RIGHT
    assert [await stranger.guess() for _ in range(5)] == [WRONG] * 5
    answers = []
    for number in range(22):
        answers.append(await stranger.guess(f"user-{number}"))
        await stranger.guess("bob", PASSWORD)
    assert answers == [WRONG] * 21 + [THROTTLED]
    assert await stranger.guess("bob", PASSWORD) == THROTTLED


@pytest.mark.real_hash_cost
async def test_of_two_hundred_guesses_at_once_no_more_are_looked_at_than_one_after_the_other(
    stranger: Stranger, services: Services
) -> None:
    """(f) Counted before they are looked at."""
    refusals = {THROTTLED, WRONG}
    answers = await asyncio.gather(*(anything(stranger, number) for number in range(200)))
    assert {answer for answer in answers if answer} <= refusals
    assert 1 <= answers.count(WRONG) <= 5
    assert await stranger.guess(password=PASSWORD) == (THROTTLED if answers.count(WRONG) == 5 else RIGHT)


@pytest.mark.real_hash_cost
async def test_of_two_hundred_guesses_from_one_address_at_once_at_most_thirty_are_looked_at(
    stranger: Stranger,
) -> None:
    """(f)"""
    answers = await asyncio.gather(*(anything(stranger, number, spray=True) for number in range(200)))
    assert 1 <= answers.count(WRONG) <= 30


async def anything(stranger: Stranger, number: int, *, spray: bool = False) -> str | None:
    """The answer's type; None where the machine was too busy to look."""
    given = {"username": f"user-{number}" if spray else "alice", "password": "wrong"}
    address = ELSEWHERE if spray else somewhere(number)
    response = await stranger.api.post(LOGIN, {"input": given}, **{"x-forwarded-for": address})
    assert response.status_code in (200, 503)
    return response.json()["data"]["login"]["__typename"] if response.status_code == 200 else None


async def test_a_guess_that_nobody_could_look_at_is_not_counted(
    stranger: Stranger, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise DatabaseUnavailable

    wrong, right = ({"input": {"username": "alice", "password": password}} for password in ("x", PASSWORD))

    async def ask_while_away(module: Any, name: str, given: dict[str, Any]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, away)
            for _ in range(10):
                assert (await stranger.api.post(LOGIN, given)).status_code == 503
        assert await rows(services) == []

    await ask_while_away(login_attempts, "record_attempt", wrong)
    await ask_while_away(users, "lock", right)  # no network is familiar yet
    assert (await stranger.api.post(LOGIN, right)).status_code == 200
    await ask_while_away(new_sessions, "insert_in_writer", right)
    with ExitStack() as places:
        for _ in range(5 * services.hasher.threads):
            places.enter_context(services.hasher.slot())
        assert (await stranger.api.post(LOGIN, wrong)).status_code == 503
    assert await rows(services) == []
    assert await stranger.guess(password=PASSWORD) == RIGHT


async def test_ops_05_a_restart_and_another_worker_know_the_counts(
    stranger: Stranger, settings_for: Callable[..., Settings], database_url: str, clock: FakeClock
) -> None:
    """(g)"""
    for _ in range(3):
        await stranger.guess()
    other = create_app(settings_for(database_url, trusted_proxies="127.0.0.1"), clock=clock)
    async with other.router.lifespan_context(other), client_of(other) as http:
        assert [await Stranger(http).guess() for _ in range(3)] == [WRONG, WRONG, THROTTLED]
    assert await stranger.guess() == THROTTLED


async def test_cred_08_the_right_password_is_answered_like_a_wrong_one_while_the_name_is_throttled(
    stranger: Stranger,
) -> None:
    """(h) And a name that nobody has like one that somebody has."""
    for name in ("alice", "nobody"):
        for _ in range(5):
            assert await stranger.guess(name) == WRONG
    wrong, right = await stranger.ask("alice", "wrong", HOME), await stranger.ask("alice", PASSWORD, HOME)
    assert wrong == right == await stranger.ask("nobody", "wrong", HOME)
    assert wrong["__typename"] == THROTTLED


async def test_all_spellings_of_a_name_share_one_count(stranger: Stranger) -> None:
    """(i)"""
    spellings = ["alice", "ALICE", " Alice ", "ａｌｉｃｅ", "aLiCe", "alice"]
    assert [await stranger.guess(spelling) for spelling in spellings] == [WRONG] * 5 + [THROTTLED]


async def test_cred_12_guesses_at_the_current_password_share_the_count(stranger: Stranger, api: Api) -> None:
    """(j)"""
    given = {"input": {"username": "alice", "password": PASSWORD}}
    signed_in = (await api.data(LOGIN, given))["login"]
    bearer = signed_in["tokens"]["accessToken"]
    for _ in range(5):
        answer = await api.data(CHANGE, passwords("wrong", NEW_PASSWORD), bearer)
        assert answer["changePassword"]["__typename"] == WRONG
    for current in ("wrong", PASSWORD):
        answer = await api.data(CHANGE, passwords(current, NEW_PASSWORD), bearer)
        assert answer["changePassword"]["__typename"] == THROTTLED
    assert (await api.data(LOGIN, given))["login"]["__typename"] == THROTTLED


async def test_a_new_password_unlocks_the_name(
    stranger: Stranger, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    assert await stranger.guess(password=PASSWORD, address=HOME) == RIGHT
    for address in (HOME, ELSEWHERE):
        assert [await stranger.guess(address=address) for _ in range(6)] == [WRONG] * 5 + [THROTTLED]
    await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
    for address in (HOME, ELSEWHERE):
        assert await stranger.guess(password=NEW_PASSWORD, address=address) == RIGHT


async def test_cred_10_a_new_password_removes_the_separate_count_of_every_network_but_the_owner_s(
    stranger: Stranger, api: Api, services: Services
) -> None:
    """An attacker who knew the old password has signed in from a network, which then had a count of its own."""
    for address in (ELSEWHERE, HOME):
        signed_in = await stranger.ask("alice", PASSWORD, address)
    await change_from(api, HOME, signed_in["tokens"]["accessToken"], NEW_PASSWORD)
    assert await networks(services) == 1
    assert [await stranger.guess(address=somewhere(number)) for number in range(5)] == [WRONG] * 5
    assert await stranger.guess(password=NEW_PASSWORD, address=ELSEWHERE) == THROTTLED
    assert await stranger.guess(password=NEW_PASSWORD, address=HOME) == RIGHT


async def test_cred_10_a_password_set_by_an_operator_leaves_no_familiar_network(
    stranger: Stranger, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    for address in (ELSEWHERE, HOME):
        assert await stranger.guess(password=PASSWORD, address=address) == RIGHT
    await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
    assert await networks(services) == 0
    assert [await stranger.guess(address=somewhere(number)) for number in range(5)] == [WRONG] * 5
    for address in (ELSEWHERE, HOME):
        assert await stranger.guess(password=NEW_PASSWORD, address=address) == THROTTLED


async def test_a_network_becomes_familiar_by_a_sign_in_or_a_new_password_and_not_by_a_correct_old_password(
    stranger: Stranger, api: Api, services: Services
) -> None:
    """Owners are notified of the first two. An attacker must not add a network in silence."""
    signed_in = await stranger.ask("alice", PASSWORD, HOME)
    bearer = signed_in["tokens"]["accessToken"]
    assert await change_from(api, ELSEWHERE, bearer, "short") == "WeakPasswordError"
    assert await networks(services) == 1
    assert await change_from(api, ELSEWHERE, bearer, NEW_PASSWORD) == "ChangePasswordSuccess"
    assert await networks(services) == 1
    assert [await stranger.guess(address=HOME) for _ in range(6)] == [WRONG] * 5 + [THROTTLED]
    assert await stranger.guess(password=NEW_PASSWORD, address=ELSEWHERE) == RIGHT


@pytest.mark.parametrize("more_settings", [{"hashing_threads": 2, "trusted_proxies": "127.0.0.1"}], ids=[""])
@pytest.mark.parametrize("attack", ["sign in", "change the password"])
async def test_cred_11_an_old_password_that_is_being_checked_adds_no_network_after_the_new_one(
    stranger: Stranger, api: Api, services: Services, clock: FakeClock, alice: UserRow, attack: str
) -> None:
    signed_in = await stranger.ask("alice", PASSWORD, ELSEWHERE)
    with watching() as watch:
        watch.going.clear()
        attacking: asyncio.Task[Any] = asyncio.create_task(
            stranger.guess(password=PASSWORD, address=ELSEWHERE)
            if attack == "sign in"
            else change_from(api, ELSEWHERE, signed_in["tokens"]["accessToken"], "short")
        )
        await watch.until(begun=1)
        await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
        watch.going.set()
        assert await attacking in (WRONG, "WeakPasswordError")
    assert await networks(services) == 0


async def change_from(api: Api, address: str, bearer: str, new: str) -> str:
    response = await api.post(CHANGE, passwords(PASSWORD, new), bearer, **{"x-forwarded-for": address})
    return str(response.json()["data"]["changePassword"]["__typename"])


async def test_a_current_password_that_was_right_is_no_failure_though_the_new_one_is_weak(
    stranger: Stranger, api: Api, services: Services
) -> None:
    signed_in = (await api.data(LOGIN, {"input": {"username": "alice", "password": PASSWORD}}))["login"]
    for _ in range(10):
        answer = await api.data(CHANGE, passwords(PASSWORD, "short"), signed_in["tokens"]["accessToken"])
        assert answer["changePassword"]["__typename"] == "WeakPasswordError"
    assert await rows(services) == []


async def test_the_owner_is_told_once_when_the_throttling_begins_and_once_when_it_stops_all(
    stranger: Stranger, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    for number in range(110):
        for _ in range(2):
            await stranger.guess(address=somewhere(number))
        clock.advance(timedelta(minutes=15))
    events = await services.accounts.events(alice.id, after=None, limit=1000)
    kinds = [event.kind for event in events]
    assert (kinds.count("LOGIN_THROTTLED"), kinds.count("LOGIN_FAILED")) == (2, 100)


@pytest.mark.parametrize("more_settings", [{"rate_limits": False}], ids=[""])
async def test_it_can_be_turned_off_for_benchmarks(stranger: Stranger, services: Services) -> None:
    assert [await stranger.guess() for _ in range(40)] == [WRONG] * 40
    assert await stranger.guess(password=PASSWORD) == RIGHT
    assert await rows(services) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("evil<script>", None),
        ("203.0.113", None),
        ("", None),
        (None, None),
    ],
)
def test_net_04_addresses_have_one_form(text: str | None, address: str | None) -> None:
    assert normalize_address(text) == address


@pytest.mark.parametrize(
    "spellings",
    [
        ["::ffff:1.2.3.4", "1.2.3.4", "::FFFF:102:304"],
        ["2001:db8:1:2::1", "2001:DB8:1:2:ffff::", "2001:db8:1:2:0:0:0:9"],
        ["evil<script>", "not an address", "999.1.1.1"],
    ],
)
async def test_net_04_all_addresses_of_one_place_share_one_count(stranger: Stranger, spellings: list[str]) -> None:
    answers = [await stranger.guess(f"user-{n}", address=spellings[n % len(spellings)]) for n in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]


async def test_net_04_the_networks_of_one_customer_of_ipv6_have_ten_times_as_many(stranger: Stranger) -> None:
    answers = [await stranger.guess(f"user-{n}", address=f"2001:db8:1:{n:x}::1") for n in range(301)]
    assert answers == [WRONG] * 300 + [THROTTLED]
    assert await stranger.guess("another", address="2001:db8:2::1") == WRONG


async def test_ops_05_two_workers_allow_not_one_guess_more(
    database_url: str, tmp_path: Path, password_hash: str
) -> None:
    """From outside, through real processes."""
    async with (
        serving(database_url, tmp_path, workers=2) as server,
        backstage(database_url, password_hash) as operator,
        AsyncClient(base_url=server.url, timeout=30, headers={"connection": "close"}) as http,
    ):
        user = await operator.user()
        given = {"username": user.username, "password": "wrong"}

        async def guess() -> str | None:
            response = await http.post("/graphql", json={"query": LOGIN, "variables": {"input": given}})
            assert response.status_code in (200, 503)
            return response.json()["data"]["login"]["__typename"] if response.status_code == 200 else None

        answers = [await guess() for _ in range(5)] + await asyncio.gather(*(guess() for _ in range(40)))
    # A wait is a second at first, then two, so a slow machine may fit one or two more in.
    assert 5 <= answers.count(WRONG) <= 5 + math.ceil(math.log2(60))


async def rows(services: Services) -> list[Any]:
    async with looking_at(services.db) as conn:
        return list((await conn.execute(select(login_failures).order_by(login_failures.c.subject))).all())


async def networks(services: Services) -> int:
    async with looking_at(services.db) as conn:
        return len((await conn.execute(select(familiar_networks.familiar_networks))).all())


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test")


async def test_a_network_is_remembered_once_and_forgotten_when_nobody_has_signed_in_from_it_for_long(
    stranger: Stranger, services: Services, clock: FakeClock
) -> None:
    for address in (HOME, HOME, ELSEWHERE):
        assert await stranger.guess(password=PASSWORD, address=address) == RIGHT
    assert await networks(services) == 2
    clock.advance(timedelta(days=100))
    assert await stranger.guess(password=PASSWORD, address=HOME) == RIGHT
    clock.advance(timedelta(days=81))
    await services.pruning.prune(clock.now())
    assert await networks(services) == 1


async def test_dos_05_what_is_counted_ends_with_the_time_it_is_kept_for(
    stranger: Stranger, services: Services, clock: FakeClock
) -> None:
    """A row for each name and address that was tried, of 32 bytes and three numbers, and none after the retention."""
    for number in range(60):
        await stranger.guess(f"nobody-{number}", address=somewhere(number))
    assert len(await rows(services)) >= 120
    clock.advance(timedelta(days=31))
    await services.pruning.prune(clock.now())
    assert await rows(services) == []


TWO_DAYS = timedelta(days=2)


async def test_cred_10_a_name_does_not_wait_for_a_clock_that_was_ahead(
    stranger: Stranger, services: Services, clock: FakeClock
) -> None:
    clock.step(TWO_DAYS)
    assert [await stranger.guess(address=somewhere(number)) for number in range(5)] == [WRONG] * 5
    clock.step(-TWO_DAYS)
    # Counted and stored with the right time, so that the next one waits, and no longer than it should.
    assert await stranger.guess(address=somewhere(5)) == WRONG
    refused = await stranger.ask("alice", "wrong", somewhere(6))
    assert (refused["__typename"], refused["retryAfter"]) == (THROTTLED, 2)
    (name,) = [row for row in await rows(services) if row.failures == 6]
    assert name.first_failed_at == name.last_failed_at == clock.now()
    clock.advance(2 * SECOND)
    assert await stranger.guess(password=PASSWORD, address=somewhere(7)) == RIGHT


async def test_cred_10_a_clock_that_was_ahead_gives_nobody_more_than_a_hundred_failures(
    stranger: Stranger, services: Services, clock: FakeClock
) -> None:
    answers = []
    for number in range(101):
        # As where every second request goes to a machine that is two days ahead.
        clock.step(TWO_DAYS if number % 2 else -TWO_DAYS)
        answers.append(await stranger.guess(address=somewhere(number)))
    assert answers == [WRONG] * 100 + [THROTTLED]


async def test_cred_10_an_address_does_not_wait_for_a_clock_that_was_ahead(
    stranger: Stranger, services: Services, clock: FakeClock
) -> None:
    clock.step(TWO_DAYS)
    answers = [await stranger.guess(f"user-{number}") for number in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]
    clock.step(-TWO_DAYS)
    # A new window, in which as many are let in as in any other.
    answers = [await stranger.guess(f"other-{number}") for number in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]
    assert {row.first_failed_at for row in await rows(services) if row.failures == 30} == {clock.now()}
    clock.advance(timedelta(minutes=5))
    assert await stranger.guess("another") == WRONG


async def test_cred_10_a_window_that_began_by_a_clock_that_was_ahead_ends(stranger: Stranger, clock: FakeClock) -> None:
    """SQLite begins a new one at once, PostgreSQL where the old one would be in the way."""
    clock.step(TWO_DAYS)
    assert [await stranger.guess(f"user-{number}") for number in range(10)] == [WRONG] * 10
    clock.step(-TWO_DAYS)
    answers = [await stranger.guess(f"other-{number}") for number in range(60)]
    admitted = answers.count(WRONG)
    assert admitted in (30, 20 + 30)
    assert answers == [WRONG] * admitted + [THROTTLED] * (60 - admitted)


@pytest.mark.parametrize("seconds", [30, 110])
async def test_cred_10_clocks_that_differ_a_little_give_no_guess_more(
    stranger: Stranger, clock: FakeClock, seconds: int
) -> None:
    clock.step(seconds * SECOND)
    assert [await stranger.guess(address=somewhere(number)) for number in range(5)] == [WRONG] * 5
    assert [await stranger.guess(f"user-{number}") for number in range(30)] == [WRONG] * 30
    clock.step(-seconds * SECOND)
    assert await stranger.guess(address=somewhere(6)) == THROTTLED
    assert await stranger.guess("another") == THROTTLED


@pytest.mark.parametrize(
    ("address", "typed", "networks"),
    [
        (ELSEWHERE, ELSEWHERE, ["203.0.113.9/32"]),
        ("::ffff:203.0.113.9", ELSEWHERE, ["203.0.113.9/32"]),
        ("2001:db8:1:2::1", "2001:DB8:1:2::9%eth0", ["2001:db8:1::/48", "2001:db8:1:2::/64"]),
    ],
)
async def test_an_operator_lets_go_an_address_and_nothing_else(
    stranger: Stranger, services: Services, clock: FakeClock, address: str, typed: str, networks: list[str]
) -> None:
    for _ in range(10):  # an hour's worth, in steps that the five minutes allow
        for number in range(30):
            await stranger.guess(f"user-{number}", address=address)
        clock.advance(timedelta(minutes=5))
    assert await stranger.guess("another", address=address) == THROTTLED
    elsewhere = [await stranger.guess("name", address=HOME) for _ in range(5)]
    assert elsewhere == [WRONG] * 5
    normal = normalize_address(typed)
    assert normal is not None
    assert await services.accounts.throttle.reset_address(normal) == networks
    assert await stranger.guess("another", address=address) == WRONG
    assert await stranger.guess("name", address=address) == THROTTLED
    assert len([row for row in await rows(services) if row.failures == 5]) == 3
