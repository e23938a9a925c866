"""Hashing at sign-in: as much work for everybody, never too much, and old hashes made new."""

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
    """Looks on at every verification."""
    with watching() as watch:
        yield watch


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done with the library that hashes."""
    done: list[str] = []

    def looked_on(name: str) -> Callable[..., Any]:
        real = getattr(password_hashing._CONTEXT, name)

        def call(*args: Any, **options: Any) -> Any:
            done.append(name)
            return real(*args, **options)

        return call

    for name in ("hash", "verify", "verify_and_update"):
        monkeypatch.setattr(password_hashing._CONTEXT, name, looked_on(name))
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
async def test_cred_03_an_old_hash_is_made_new_once_at_sign_in(
    api: Api, services: Services, alice: UserRow, hashed: list[str], old: str
) -> None:
    await store_hash(services, alice, old)
    assert (await api.try_login("alice", "wrong"))["__typename"] == "InvalidCredentialsError"
    assert (await stored(services, alice)).hashed_password == old
    await api.login()
    newer = await stored(services, alice)
    assert newer.hashed_password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(PASSWORD, newer.hashed_password)
    assert newer.password_changed_at == alice.password_changed_at  # the password is the same, only its hash is not
    hashed.clear()
    await api.login()
    assert (await stored(services, alice)).hashed_password == newer.hashed_password
    assert hashed == ["verify_and_update"]


async def test_a_bcrypt_hash_of_72_bytes_is_read_and_never_made_new_from_what_it_did_not_cover(
    api: Api, services: Services, alice: UserRow
) -> None:
    long = "m" * 72 + " and what bcrypt never saw"
    old = bcrypt.using(rounds=4, truncate_error=False).hash(long[:72])
    await store_hash(services, alice, old)
    await api.login(password=long)
    assert (await stored(services, alice)).hashed_password == old
    assert (await api.try_login("alice", "n" + long[1:]))["__typename"] == "InvalidCredentialsError"


@TWO_THREADS
@pytest.mark.parametrize("old_parameters", [False, True])
async def test_cred_03_a_password_that_changes_while_a_sign_in_hashes_is_not_lost(
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
async def test_a_user_who_is_disabled_while_their_sign_in_hashes_does_not_get_in(
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


async def test_cred_08_cred_09_every_refusal_costs_exactly_one_verification_off_the_event_loop(
    api: Api, services: Services, bob: UserRow, clock: FakeClock, watch: Watch, hashed: list[str]
) -> None:
    await services.accounts.disable(bob.id, clock.now())
    for name, password in (("nobody", PASSWORD), ("alice", "wrong"), ("bob", PASSWORD), ("bob", "wrong")):
        watch.threads.clear()
        hashed.clear()
        assert (await api.try_login(name, password))["__typename"] == "InvalidCredentialsError"
        assert len(watch.threads) == 1
        assert watch.threads[0].startswith("hashing")
        assert hashed == ["verify_and_update"]


async def test_cred_08_unknown_wrong_and_disabled_take_the_same_time(
    api: Api, services: Services, bob: UserRow, clock: FakeClock
) -> None:
    await services.accounts.disable(bob.id, clock.now())
    attempts = {"unknown": ("nobody", PASSWORD), "wrong": ("alice", "wrong"), "disabled": ("bob", PASSWORD)}

    async def spread() -> float:
        spent: dict[str, list[float]] = {case: [] for case in attempts}
        for _ in range(40):
            for case, (name, password) in attempts.items():
                # The CPU time of all our threads: what others do on this machine is not in it.
                before = time.process_time()
                await api.try_login(name, password)
                spent[case].append(time.process_time() - before)
        medians = [statistics.median(times) for times in spent.values()]
        return max(medians) / min(medians) - 1

    # A difference that is there is there every time; one that noise made is not.
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
async def test_cred_14_a_stored_hash_that_asks_for_too_much_is_refused_unhashed(
    api: Api, services: Services, alice: UserRow, hashed: list[str], absurd: str
) -> None:
    await store_hash(services, alice, absurd)
    hashed.clear()
    assert (await api.try_login("alice", PASSWORD))["__typename"] == "InvalidCredentialsError"
    assert [call for call in hashed if absurd] == []


@TWO_THREADS
async def test_cred_15_dos_04_of_a_hundred_sign_ins_at_once_few_hash_and_the_rest_is_told_to_come_back(
    api: Api, http: AsyncClient, watch: Watch
) -> None:
    watch.going.clear()
    answered: list[Response] = []

    async def sign_in() -> Response:
        response = await api.post(LOGIN, {"input": {"username": "alice", "password": PASSWORD}})
        answered.append(response)
        return response

    asked = [asyncio.create_task(sign_in()) for _ in range(100)]
    # Nothing has been hashed, and yet whoever finds the queue full has an answer, and others are served.
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
    await asyncio.gather(*asked)
    assert [response.status_code for response in answered[90:]] == [200] * 10
    assert watch.most_at_once == 2
    await api.login()


def test_cred_02_what_hashes_here_is_argon2id_and_verifies() -> None:
    made = hash_password(PASSWORD)
    assert made.startswith("$argon2id$")
    assert verify_password(PASSWORD, made)
    assert not verify_password(PASSWORD + " ", made)
