"""Password hashing at sign-in: equal work for each refusal, a bounded queue, and upgrades of old hashes."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from passlib.hash import argon2, bcrypt

from auth.credentials import password_hashing
from auth.credentials.password_hashing import hash_password, verify_password
from auth.services import Services
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import LOGIN, NEW_PASSWORD, PASSWORD, Api
from tests.support.watches import Watch, store_hash, watching

pytestmark = [pytest.mark.usefixtures("alice"), pytest.mark.real_hash_cost]

TWO_THREADS = pytest.mark.parametrize("more_settings", [{"hashing_threads": 2, "rate_limits": False}])


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Observe every verification of a password."""
    with watching() as watch:
        yield watch


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the calls to the hashing library."""
    done: list[str] = []

    def recording(name: str) -> Callable[..., Any]:
        real = getattr(password_hashing._CONTEXT, name)

        def call(*args: Any, **options: Any) -> Any:
            done.append(name)
            return real(*args, **options)

        return call

    for name in ("hash", "verify", "verify_and_update"):
        monkeypatch.setattr(password_hashing._CONTEXT, name, recording(name))
    return done


async def stored(services: Services, user: UserRow) -> UserRow:
    found = await services.accounts.get(user.id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "old",
    [
        argon2.using(type="ID", memory_cost=8192, time_cost=1, parallelism=1).hash(PASSWORD),  # type: ignore[no-untyped-call]
        argon2.using(type="I", memory_cost=19456, time_cost=2, parallelism=1).hash(PASSWORD),  # type: ignore[no-untyped-call]
        bcrypt.using(rounds=4).hash(PASSWORD),
        bcrypt.using(rounds=4, ident="2a").hash(PASSWORD),
    ],
    ids=["weaker argon2id", "argon2i", "bcrypt 2b", "bcrypt 2a"],
)
async def test_cred_03_a_sign_in_upgrades_an_old_hash_once(
    api: Api, services: Services, alice: UserRow, hashed: list[str], old: str
) -> None:
    await store_hash(services, alice, old)
    assert (await api.try_login("alice", "wrong"))["__typename"] == "InvalidCredentialsError"
    assert (await stored(services, alice)).hashed_password == old
    await api.login()
    newer = await stored(services, alice)
    assert newer.hashed_password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(PASSWORD, newer.hashed_password)
    assert newer.password_changed_at == alice.password_changed_at  # the hash is new, the password is the same
    hashed.clear()
    await api.login()
    assert (await stored(services, alice)).hashed_password == newer.hashed_password
    assert hashed == ["verify_and_update"]


async def test_a_bcrypt_hash_of_a_password_of_more_than_72_bytes_is_accepted_and_not_upgraded(
    api: Api, services: Services, alice: UserRow
) -> None:
    """bcrypt reads 72 bytes. An upgraded hash would contain the rest, which no hash has verified."""
    long = "m" * 72 + " and what bcrypt never saw"
    old = bcrypt.using(rounds=4, truncate_error=False).hash(long[:72])
    await store_hash(services, alice, old)
    await api.login(password=long)
    assert (await stored(services, alice)).hashed_password == old
    assert (await api.try_login("alice", "n" + long[1:]))["__typename"] == "InvalidCredentialsError"


@TWO_THREADS
@pytest.mark.parametrize("old_parameters", [False, True])
async def test_cred_03_a_sign_in_does_not_overwrite_a_password_that_is_set_during_its_check(
    api: Api, services: Services, alice: UserRow, clock: FakeClock, watch: Watch, old_parameters: bool
) -> None:
    if old_parameters:
        await store_hash(services, alice, bcrypt.using(rounds=4).hash(PASSWORD))
    watch.going.clear()
    signing_in = asyncio.create_task(api.try_login("alice", PASSWORD))
    await watch.until(begun=1)
    await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
    watch.going.set()
    assert (await signing_in)["__typename"] == "InvalidCredentialsError"
    assert verify_password(NEW_PASSWORD, (await stored(services, alice)).hashed_password)
    await api.login(password=NEW_PASSWORD)


@TWO_THREADS
async def test_a_sign_in_fails_if_the_user_is_disabled_during_the_password_check(
    api: Api, services: Services, alice: UserRow, clock: FakeClock, watch: Watch
) -> None:
    watch.going.clear()
    signing_in = asyncio.create_task(api.try_login("alice", PASSWORD))
    await watch.until(begun=1)
    await services.accounts.disable(alice.id, clock.now())
    watch.going.set()
    assert (await signing_in)["__typename"] == "InvalidCredentialsError"


@TWO_THREADS
async def test_dos_06_no_transaction_is_open_while_a_password_is_hashed(
    api: Api, services: Services, watch: Watch
) -> None:
    watch.going.clear()
    signing_in = [asyncio.create_task(api.try_login("alice", PASSWORD)) for _ in range(2)]
    await watch.until(begun=2)
    assert services.db.connections[0] == 0
    watch.going.set()
    assert {result["__typename"] for result in await asyncio.gather(*signing_in)} == {"LoginSuccess"}


async def test_cred_08_cred_09_every_refusal_runs_exactly_one_verification_in_a_hashing_thread(
    api: Api, services: Services, bob: UserRow, clock: FakeClock, watch: Watch, hashed: list[str]
) -> None:
    await services.accounts.disable(bob.id, clock.now())
    for name, password in (("unknown", PASSWORD), ("alice", "wrong"), ("bob", PASSWORD), ("bob", "wrong")):
        watch.threads.clear()
        hashed.clear()
        assert (await api.try_login(name, password))["__typename"] == "InvalidCredentialsError"
        assert len(watch.threads) == 1
        assert watch.threads[0].startswith("hashing")
        assert hashed == ["verify_and_update"]


async def test_cred_08_an_unknown_user_a_wrong_password_and_a_disabled_user_take_the_same_time(
    api: Api, services: Services, bob: UserRow, clock: FakeClock
) -> None:
    await services.accounts.disable(bob.id, clock.now())
    attempts = {"unknown": ("unknown", PASSWORD), "wrong": ("alice", "wrong"), "disabled": ("bob", PASSWORD)}

    async def spread() -> float:
        cpu_times: dict[str, list[float]] = {case: [] for case in attempts}
        for _ in range(40):
            for case, (name, password) in attempts.items():
                # The CPU time of this process, which other processes on the machine do not increase.
                before = time.process_time()
                await api.try_login(name, password)
                cpu_times[case].append(time.process_time() - before)
        medians = [statistics.median(times) for times in cpu_times.values()]
        return max(medians) / min(medians) - 1

    # A real difference is in every measurement; noise is not.
    spreads = []
    for _ in range(3):
        spreads.append(await spread())
        if spreads[-1] <= 0.15:
            return
    raise AssertionError(f"the medians differ by {spreads}")


@pytest.mark.parametrize(
    "absurd",
    [
        "$argon2id$v=19$m=4194304,t=9,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=19456,t=999,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=19456,t=2,p=255$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$t=2,m=4194304,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$2b$31$abcdefghijklmnopqrstuuJ5l0Z1v0rJZc1Zr0h0rJ5l0Z1v0rJZc",
        "$6$rounds=999999999$saltsalt$x",
        PASSWORD,
        "",
    ],
    ids=["memory", "passes", "lanes", "another order", "rounds", "another scheme", "plain text", "nothing"],
)
async def test_cred_14_an_invalid_or_too_expensive_stored_hash_is_refused_without_hashing(
    api: Api, services: Services, alice: UserRow, hashed: list[str], absurd: str
) -> None:
    await store_hash(services, alice, absurd)
    hashed.clear()
    assert (await api.try_login("alice", PASSWORD))["__typename"] == "InvalidCredentialsError"
    assert [call for call in hashed if absurd] == []


@TWO_THREADS
async def test_cred_15_dos_04_of_a_hundred_concurrent_sign_ins_ten_are_hashed_and_ninety_get_503(
    api: Api, http: AsyncClient, watch: Watch
) -> None:
    watch.going.clear()
    answered: list[Response] = []

    async def sign_in() -> Response:
        response = await api.post(LOGIN, {"input": {"username": "alice", "password": PASSWORD}})
        answered.append(response)
        return response

    tasks = [asyncio.create_task(sign_in()) for _ in range(100)]
    # No hash is finished. The sign-ins that found the queue full have their answer, and other requests are served.
    async with asyncio.timeout(60):
        while len(answered) < 90:
            await asyncio.sleep(0.005)
    assert (await http.get("/healthz")).status_code == 200
    assert (await api.post("{ viewer { id } }")).status_code == 200
    await watch.until(2)
    assert watch.most_at_once == 2
    for refused in answered:
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["data"] == {"login": None}
        assert [error["extensions"]["code"] for error in refused.json()["errors"]] == ["UNAVAILABLE"]
    watch.going.set()
    await asyncio.gather(*tasks)
    assert [response.status_code for response in answered[90:]] == [200] * 10
    assert watch.most_at_once == 2
    await api.login()


def test_cred_02_the_installed_library_creates_and_verifies_argon2id() -> None:
    made = hash_password(PASSWORD)
    assert made.startswith("$argon2id$")
    assert verify_password(PASSWORD, made)
    assert not verify_password(PASSWORD + " ", made)
