"""The login throttle over HTTP: attempts for one name, from one address, at once, and through several workers."""

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
from tests.auth.use_cases.test_accounts import CHANGE, passwords
from tests.support.clocks import FakeClock
from tests.support.endpoints import NEW_PASSWORD, PASSWORD, Api
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


class Client:
    """Tries to log in, from the address that the trusted proxy reports."""

    def __init__(self, http: AsyncClient) -> None:
        self.api = Api(http)

    async def ask(self, name: str, password: str, address: str = ELSEWHERE) -> Any:
        given = {"input": {"username": name, "password": password}}
        response = await self.api.post(LOGIN, given, **{"x-forwarded-for": address})
        assert response.status_code == 200, response.text
        return response.json()["data"]["login"]

    async def log_in(self, name: str = "alice", password: str = "wrong", address: str = ELSEWHERE) -> str:
        return str((await self.ask(name, password, address))["__typename"])


@pytest.fixture
def more_settings() -> dict[str, Any]:
    """The service trusts a proxy, so requests come from many addresses. ASGI's test transport is 127.0.0.1."""
    return {"trusted_proxies": "127.0.0.1"}


@pytest.fixture
def client(http: AsyncClient) -> Client:
    return Client(http)


def somewhere(number: int) -> str:
    return f"100.64.{number // 256}.{number % 256}"


async def test_after_five_failures_each_delay_is_twice_the_one_before(client: Client, clock: FakeClock) -> None:
    assert [await client.log_in() for _ in range(5)] == [WRONG] * 5
    for number in range(14):
        wait = min(2**number, 15 * 60)
        refused = await client.ask("alice", "wrong", somewhere(number))
        assert (refused["__typename"], refused["retryAfter"]) == (THROTTLED, wait)
        clock.advance(timedelta(seconds=wait) - SECOND)
        assert await client.log_in(address=somewhere(number)) == THROTTLED
        clock.advance(SECOND)
        assert await client.log_in(address=somewhere(number)) == WRONG


async def test_a_throttled_client_learns_how_long_to_wait(client: Client, clock: FakeClock) -> None:
    for _ in range(5):
        await client.log_in()
    assert (await client.ask("alice", "wrong"))["message"] == "Too many attempts. Try again in 1 second."
    for _ in range(8):
        clock.advance(timedelta(hours=1))
        assert await client.log_in() == WRONG
    assert (await client.ask("alice", "wrong"))["message"] == "Too many attempts. Try again in 5 minutes."


async def test_cred_10_a_hundred_failures_in_a_row_lock_a_name_until_it_is_unlocked(
    client: Client, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    """Each from another address."""
    answers = []
    for number in range(101):
        answers.append(await client.log_in(address=somewhere(number)))
        clock.advance(timedelta(minutes=15))
    assert answers == [WRONG] * 100 + [THROTTLED]
    clock.advance(timedelta(days=7))
    assert await client.log_in(password=PASSWORD) == THROTTLED
    await services.accounts.unlock(alice)
    assert await client.log_in(password=PASSWORD) == RIGHT


async def test_cred_10_an_attacker_s_failures_do_not_lock_the_owner_out_of_familiar_networks(
    client: Client, clock: FakeClock
) -> None:
    assert await client.log_in(password=PASSWORD, address=HOME) == RIGHT
    for number in range(100):
        assert await client.log_in(address=somewhere(number)) == WRONG
        clock.advance(timedelta(minutes=15))
    assert await client.log_in(password=PASSWORD, address=ELSEWHERE) == THROTTLED
    assert await client.log_in(password=PASSWORD, address=HOME) == RIGHT


async def test_attempts_from_a_familiar_network_are_throttled_too(client: Client) -> None:
    assert await client.log_in(password=PASSWORD, address=HOME) == RIGHT
    assert [await client.log_in(address=HOME) for _ in range(6)] == [WRONG] * 5 + [THROTTLED]
    assert await client.log_in(password=PASSWORD, address=HOME) == THROTTLED


async def test_a_familiar_ipv6_network_is_the_whole_64(client: Client) -> None:
    assert await client.log_in(password=PASSWORD, address="2001:db8:1:2::1") == RIGHT
    for number in range(6):
        await client.log_in(address=somewhere(number))
    assert await client.log_in(password=PASSWORD, address="2001:db8:1:3::1") == THROTTLED
    assert await client.log_in(password=PASSWORD, address="2001:DB8:1:2:ffff::9") == RIGHT


async def test_password_spraying_from_one_address_is_throttled(client: Client, clock: FakeClock) -> None:
    """Password spraying: 30 failures in five minutes, 300 in an hour."""
    answers = [await client.log_in(f"user-{number}") for number in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]
    assert (await client.ask("nobody", "wrong"))["retryAfter"] == 300
    assert await client.log_in("nobody", address=HOME) == WRONG
    for _ in range(9):
        clock.advance(timedelta(minutes=5))
        assert [await client.log_in(f"more-{number}") for number in range(31)] == [WRONG] * 30 + [THROTTLED]
    clock.advance(timedelta(minutes=5))
    assert (await client.ask("nobody", "wrong"))["retryAfter"] == 600
    clock.advance(timedelta(minutes=10))
    assert await client.log_in("nobody") == WRONG


async def test_attempts_from_a_throttled_address_store_nothing(client: Client, services: Services) -> None:
    """DOS-05: the table grows with attempts that are checked, and not with those that are refused."""
    for number in range(30):
        await client.log_in(f"user-{number}")
    before = await rows(services)
    for number in range(100):
        assert await client.log_in(f"another-{number}") == THROTTLED
    assert await rows(services) == before


@pytest.mark.parametrize("more_settings", [{}], ids=[""])
async def test_net_03_without_a_trusted_proxy_no_client_changes_its_address(client: Client) -> None:
    answers = [await client.log_in(f"user-{number}", address=somewhere(number)) for number in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]


async def test_net_03_the_address_is_the_one_that_the_trusted_proxy_added(client: Client) -> None:
    """What a client writes into the header stands before what the proxy adds."""
    answers = [await client.log_in(f"user-{n}", address=f"{somewhere(n)}, {ELSEWHERE}") for n in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]


async def test_a_success_resets_the_name_and_refunds_one_attempt_of_the_address(client: Client, bob: UserRow) -> None:
    """An attacker with an account of their own gets no more attempts by signing in to it."""
    for _ in range(4):
        assert await client.log_in() == WRONG
    assert await client.log_in(password=PASSWORD) == RIGHT
    assert [await client.log_in() for _ in range(5)] == [WRONG] * 5
    answers = []
    for number in range(22):
        answers.append(await client.log_in(f"user-{number}"))
        await client.log_in("bob", PASSWORD)
    assert answers == [WRONG] * 21 + [THROTTLED]
    assert await client.log_in("bob", PASSWORD) == THROTTLED


@pytest.mark.real_hash_cost
async def test_of_two_hundred_concurrent_attempts_for_one_name_at_most_five_are_checked(
    client: Client, services: Services
) -> None:
    """They are counted before the password is checked."""
    refusals = {THROTTLED, WRONG}
    answers = await asyncio.gather(*(anything(client, number) for number in range(200)))
    assert {answer for answer in answers if answer} <= refusals
    assert 1 <= answers.count(WRONG) <= 5
    assert await client.log_in(password=PASSWORD) == (THROTTLED if answers.count(WRONG) == 5 else RIGHT)


@pytest.mark.real_hash_cost
async def test_of_two_hundred_concurrent_attempts_from_one_address_at_most_thirty_are_checked(
    client: Client,
) -> None:
    answers = await asyncio.gather(*(anything(client, number, spray=True) for number in range(200)))
    assert 1 <= answers.count(WRONG) <= 30


async def anything(client: Client, number: int, *, spray: bool = False) -> str | None:
    """Return the answer's type; None if the hashing queue was full."""
    given = {"username": f"user-{number}" if spray else "alice", "password": "wrong"}
    address = ELSEWHERE if spray else somewhere(number)
    response = await client.api.post(LOGIN, {"input": given}, **{"x-forwarded-for": address})
    assert response.status_code in (200, 503)
    return response.json()["data"]["login"]["__typename"] if response.status_code == 200 else None


async def test_an_attempt_that_the_service_could_not_check_is_not_counted(
    client: Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise DatabaseUnavailable

    wrong, right = ({"input": {"username": "alice", "password": password}} for password in ("x", PASSWORD))

    async def ask_while_away(module: Any, name: str, given: dict[str, Any]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, away)
            for _ in range(10):
                assert (await client.api.post(LOGIN, given)).status_code == 503
        assert await rows(services) == []

    await ask_while_away(login_attempts, "record_attempt", wrong)
    await ask_while_away(users, "lock", right)  # no network is familiar yet
    assert (await client.api.post(LOGIN, right)).status_code == 200
    await ask_while_away(new_sessions, "insert_in_writer", right)
    with ExitStack() as places:
        for _ in range(5 * services.hasher.threads):
            places.enter_context(services.hasher.slot())
        assert (await client.api.post(LOGIN, wrong)).status_code == 503
    assert await rows(services) == []
    assert await client.log_in(password=PASSWORD) == RIGHT


async def test_ops_05_another_worker_continues_the_count(
    client: Client, settings_for: Callable[..., Settings], database_url: str, clock: FakeClock
) -> None:
    for _ in range(3):
        await client.log_in()
    other = create_app(settings_for(database_url, trusted_proxies="127.0.0.1"), clock=clock)
    async with other.router.lifespan_context(other), client_of(other) as http:
        assert [await Client(http).log_in() for _ in range(3)] == [WRONG, WRONG, THROTTLED]
    assert await client.log_in() == THROTTLED


async def test_cred_08_the_right_password_is_answered_like_a_wrong_one_while_the_name_is_throttled(
    client: Client,
) -> None:
    """An unknown name is answered like a known one, too."""
    for name in ("alice", "nobody"):
        for _ in range(5):
            assert await client.log_in(name) == WRONG
    wrong, right = await client.ask("alice", "wrong", HOME), await client.ask("alice", PASSWORD, HOME)
    assert wrong == right == await client.ask("nobody", "wrong", HOME)
    assert wrong["__typename"] == THROTTLED


async def test_all_spellings_of_a_name_share_one_count(client: Client) -> None:
    spellings = ["alice", "ALICE", " Alice ", "ａｌｉｃｅ", "aLiCe", "alice"]
    assert [await client.log_in(spelling) for spelling in spellings] == [WRONG] * 5 + [THROTTLED]


async def test_cred_12_wrong_current_passwords_share_the_count(client: Client, api: Api) -> None:
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
    client: Client, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    assert await client.log_in(password=PASSWORD, address=HOME) == RIGHT
    for address in (HOME, ELSEWHERE):
        assert [await client.log_in(address=address) for _ in range(6)] == [WRONG] * 5 + [THROTTLED]
    await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
    for address in (HOME, ELSEWHERE):
        assert await client.log_in(password=NEW_PASSWORD, address=address) == RIGHT


async def test_cred_10_a_new_password_removes_the_separate_count_of_every_network_but_the_owner_s(
    client: Client, api: Api, services: Services
) -> None:
    """An attacker who knew the old password has signed in from a network, which then had a count of its own."""
    for address in (ELSEWHERE, HOME):
        signed_in = await client.ask("alice", PASSWORD, address)
    await change_from(api, HOME, signed_in["tokens"]["accessToken"], NEW_PASSWORD)
    assert await networks(services) == 1
    assert [await client.log_in(address=somewhere(number)) for number in range(5)] == [WRONG] * 5
    assert await client.log_in(password=NEW_PASSWORD, address=ELSEWHERE) == THROTTLED
    assert await client.log_in(password=NEW_PASSWORD, address=HOME) == RIGHT


async def test_cred_10_a_password_set_by_an_operator_leaves_no_familiar_network(
    client: Client, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    for address in (ELSEWHERE, HOME):
        assert await client.log_in(password=PASSWORD, address=address) == RIGHT
    await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
    assert await networks(services) == 0
    assert [await client.log_in(address=somewhere(number)) for number in range(5)] == [WRONG] * 5
    for address in (ELSEWHERE, HOME):
        assert await client.log_in(password=NEW_PASSWORD, address=address) == THROTTLED


async def test_a_network_becomes_familiar_by_a_sign_in_or_a_new_password_and_not_by_a_correct_old_password(
    client: Client, api: Api, services: Services
) -> None:
    """Owners are notified of the first two. An attacker must not add a network in silence."""
    signed_in = await client.ask("alice", PASSWORD, HOME)
    bearer = signed_in["tokens"]["accessToken"]
    assert await change_from(api, ELSEWHERE, bearer, "short") == "WeakPasswordError"
    assert await networks(services) == 1
    assert await change_from(api, ELSEWHERE, bearer, NEW_PASSWORD) == "ChangePasswordSuccess"
    assert await networks(services) == 1
    assert [await client.log_in(address=HOME) for _ in range(6)] == [WRONG] * 5 + [THROTTLED]
    assert await client.log_in(password=NEW_PASSWORD, address=ELSEWHERE) == RIGHT


@pytest.mark.parametrize("more_settings", [{"hashing_threads": 2, "trusted_proxies": "127.0.0.1"}], ids=[""])
@pytest.mark.parametrize("attack", ["sign in", "change the password"])
async def test_cred_11_a_running_attempt_with_the_old_password_adds_no_network_after_a_new_one_is_set(
    client: Client, api: Api, services: Services, clock: FakeClock, alice: UserRow, attack: str
) -> None:
    signed_in = await client.ask("alice", PASSWORD, ELSEWHERE)
    with watching() as watch:
        watch.going.clear()
        attacking: asyncio.Task[Any] = asyncio.create_task(
            client.log_in(password=PASSWORD, address=ELSEWHERE)
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


async def test_a_right_current_password_with_a_weak_new_one_is_not_counted_as_a_failure(
    client: Client, api: Api, services: Services
) -> None:
    signed_in = (await api.data(LOGIN, {"input": {"username": "alice", "password": PASSWORD}}))["login"]
    for _ in range(10):
        answer = await api.data(CHANGE, passwords(PASSWORD, "short"), signed_in["tokens"]["accessToken"])
        assert answer["changePassword"]["__typename"] == "WeakPasswordError"
    assert await rows(services) == []


async def test_the_owner_is_notified_once_when_throttling_starts_and_once_when_the_name_is_locked(
    client: Client, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    for number in range(110):
        for _ in range(2):
            await client.log_in(address=somewhere(number))
        clock.advance(timedelta(minutes=15))
    events = await services.accounts.events(alice.id, after=None, limit=1000)
    kinds = [event.kind for event in events]
    assert (kinds.count("LOGIN_THROTTLED"), kinds.count("LOGIN_FAILED")) == (2, 100)


@pytest.mark.parametrize("more_settings", [{"rate_limits": False}], ids=[""])
async def test_the_throttle_can_be_turned_off_for_benchmarks(
    client: Client, services: Services, alice: UserRow
) -> None:
    assert [await client.log_in() for _ in range(40)] == [WRONG] * 40
    for address in (HOME, ELSEWHERE):
        assert await client.log_in(password=PASSWORD, address=address) == RIGHT
    assert await rows(services) == []
    events = await services.accounts.events(alice.id, after=None, limit=100)
    # No network is remembered, so none is new, and no owner is notified.
    assert {event.detail for event in events if event.kind == "LOGIN_SUCCEEDED"} == {None}


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
async def test_net_04_all_spellings_and_addresses_of_a_network_share_one_count(
    client: Client, spellings: list[str]
) -> None:
    answers = [await client.log_in(f"user-{n}", address=spellings[n % len(spellings)]) for n in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]


async def test_net_04_an_ipv6_48_has_ten_times_the_attempts_of_a_64(client: Client) -> None:
    answers = [await client.log_in(f"user-{n}", address=f"2001:db8:1:{n:x}::1") for n in range(301)]
    assert answers == [WRONG] * 300 + [THROTTLED]
    assert await client.log_in("another", address="2001:db8:2::1") == WRONG


async def test_ops_05_two_workers_allow_no_more_attempts_than_one(
    database_url: str, tmp_path: Path, password_hash: str
) -> None:
    """Over HTTP, through real processes."""
    async with (
        serving(database_url, tmp_path, workers=2) as server,
        backstage(database_url, password_hash) as operator,
        AsyncClient(base_url=server.url, timeout=30, headers={"connection": "close"}) as http,
    ):
        user = await operator.user()
        given = {"username": user.username, "password": "wrong"}

        async def log_in() -> str | None:
            response = await http.post("/graphql", json={"query": LOGIN, "variables": {"input": given}})
            assert response.status_code in (200, 503)
            return response.json()["data"]["login"]["__typename"] if response.status_code == 200 else None

        answers = [await log_in() for _ in range(5)] + await asyncio.gather(*(log_in() for _ in range(40)))
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


async def test_a_familiar_network_is_stored_once_and_pruned_long_after_its_last_sign_in(
    client: Client, services: Services, clock: FakeClock
) -> None:
    for address in (HOME, HOME, ELSEWHERE):
        assert await client.log_in(password=PASSWORD, address=address) == RIGHT
    assert await networks(services) == 2
    clock.advance(timedelta(days=100))
    assert await client.log_in(password=PASSWORD, address=HOME) == RIGHT
    clock.advance(timedelta(days=81))
    await services.pruning.prune(clock.now())
    assert await networks(services) == 1


async def test_dos_05_failures_are_pruned_after_their_retention(
    client: Client, services: Services, clock: FakeClock
) -> None:
    """A row for each name and address that was tried, of 32 bytes and three numbers, and none after the retention."""
    for number in range(60):
        await client.log_in(f"nobody-{number}", address=somewhere(number))
    assert len(await rows(services)) >= 120
    clock.advance(timedelta(days=31))
    await services.pruning.prune(clock.now())
    assert await rows(services) == []


TWO_DAYS = timedelta(days=2)


async def test_cred_10_failures_with_a_time_in_the_future_do_not_throttle_a_name(
    client: Client, services: Services, clock: FakeClock
) -> None:
    clock.step(TWO_DAYS)
    assert [await client.log_in(address=somewhere(number)) for number in range(5)] == [WRONG] * 5
    clock.step(-TWO_DAYS)
    # Counted and stored with the right time, so that the next one waits, and no longer than it should.
    assert await client.log_in(address=somewhere(5)) == WRONG
    refused = await client.ask("alice", "wrong", somewhere(6))
    assert (refused["__typename"], refused["retryAfter"]) == (THROTTLED, 2)
    (name,) = [row for row in await rows(services) if row.failures == 6]
    assert name.first_failed_at == name.last_failed_at == clock.now()
    clock.advance(2 * SECOND)
    assert await client.log_in(password=PASSWORD, address=somewhere(7)) == RIGHT


async def test_cred_10_a_clock_that_jumps_allows_no_more_than_a_hundred_failures(
    client: Client, services: Services, clock: FakeClock
) -> None:
    answers = []
    for number in range(101):
        # As where every second request goes to a machine that is two days ahead.
        clock.step(TWO_DAYS if number % 2 else -TWO_DAYS)
        answers.append(await client.log_in(address=somewhere(number)))
    assert answers == [WRONG] * 100 + [THROTTLED]


async def test_cred_10_failures_with_a_time_in_the_future_do_not_throttle_an_address(
    client: Client, services: Services, clock: FakeClock
) -> None:
    clock.step(TWO_DAYS)
    answers = [await client.log_in(f"user-{number}") for number in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]
    clock.step(-TWO_DAYS)
    # A new window, in which as many are let in as in any other.
    answers = [await client.log_in(f"other-{number}") for number in range(31)]
    assert answers == [WRONG] * 30 + [THROTTLED]
    assert {row.first_failed_at for row in await rows(services) if row.failures == 30} == {clock.now()}
    clock.advance(timedelta(minutes=5))
    assert await client.log_in("another") == WRONG


async def test_cred_10_a_window_that_begins_in_the_future_ends(client: Client, clock: FakeClock) -> None:
    """SQLite starts a new one at once, PostgreSQL when the old one would refuse the attempt."""
    clock.step(TWO_DAYS)
    assert [await client.log_in(f"user-{number}") for number in range(10)] == [WRONG] * 10
    clock.step(-TWO_DAYS)
    answers = [await client.log_in(f"other-{number}") for number in range(60)]
    admitted = answers.count(WRONG)
    assert admitted in (30, 20 + 30)
    assert answers == [WRONG] * admitted + [THROTTLED] * (60 - admitted)


@pytest.mark.parametrize("seconds", [30, 110])
async def test_cred_10_clocks_that_differ_by_less_than_two_minutes_allow_no_extra_attempt(
    client: Client, clock: FakeClock, seconds: int
) -> None:
    clock.step(seconds * SECOND)
    assert [await client.log_in(address=somewhere(number)) for number in range(5)] == [WRONG] * 5
    assert [await client.log_in(f"user-{number}") for number in range(30)] == [WRONG] * 30
    clock.step(-seconds * SECOND)
    assert await client.log_in(address=somewhere(6)) == THROTTLED
    assert await client.log_in("another") == THROTTLED


@pytest.mark.parametrize(
    ("address", "typed", "networks"),
    [
        (ELSEWHERE, ELSEWHERE, ["203.0.113.9/32"]),
        ("::ffff:203.0.113.9", ELSEWHERE, ["203.0.113.9/32"]),
        ("2001:db8:1:2::1", "2001:DB8:1:2::9%eth0", ["2001:db8:1::/48", "2001:db8:1:2::/64"]),
    ],
)
async def test_an_operator_unlocks_an_address_and_nothing_else(
    client: Client, services: Services, clock: FakeClock, address: str, typed: str, networks: list[str]
) -> None:
    for _ in range(10):  # an hour's worth, in steps that the five minutes allow
        for number in range(30):
            await client.log_in(f"user-{number}", address=address)
        clock.advance(timedelta(minutes=5))
    assert await client.log_in("another", address=address) == THROTTLED
    elsewhere = [await client.log_in("name", address=HOME) for _ in range(5)]
    assert elsewhere == [WRONG] * 5
    normal = normalize_address(typed)
    assert normal is not None
    assert await services.accounts.throttle.reset_address(normal) == networks
    assert await client.log_in("another", address=address) == WRONG
    assert await client.log_in("name", address=address) == THROTTLED
    assert len([row for row in await rows(services) if row.failures == 5]) == 3
