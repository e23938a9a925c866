"""Connections that break: during a commit, before it, for a while, and at random moments."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient, HTTPError, Response

from auth.clock import Clock
from auth.credentials.login_throttle import LoginAttempt
from auth.crypto.tokens import TokenKind, decode_token, digest
from auth.outcomes import ClientInfo
from auth.services import Services
from db.drivers.errors import OutcomeUnknown
from db.tables import families
from db.tables.base import SigningAlgorithm
from db.tables.families import FamilyRow
from db.tables.users import UserRow
from tests.support.endpoints import (
    ENDPOINTS,
    NEW_PASSWORD,
    REPLAYED,
    REVOKE,
    REVOKED,
    ROTATED,
    UNAVAILABLE,
    Api,
    RefreshEndpoint,
)
from tests.support.proxy import Proxy, proxy_to
from tests.support.servers import backstage, serving

KEY, OTHER_KEY = "the-first-attempt-of-the-phone", "the-second-attempt-of-the-phone"
COMMIT = b"COMMIT;"  # as the driver sends it
CUTS = 50


@pytest.fixture
def database_url(proxy: Proxy) -> str:
    """PostgreSQL, through the proxy."""
    return proxy.url


@pytest.fixture
def api(http: AsyncClient, alice: UserRow) -> Api:
    """GraphQL of a service that has a user."""
    return Api(http)


@pytest.fixture
def answers(http: AsyncClient) -> list[Response]:
    """Every response that the client received."""
    seen: list[Response] = []

    async def see(response: Response) -> None:
        seen.append(response)

    http.event_hooks["response"].append(see)
    return seen


short_timeout = pytest.mark.parametrize("more_settings", [{"database_timeout": 0.5}], ids=[""])
with_and_without_key = pytest.mark.parametrize("key", [None, KEY], ids=["no key", "key"])


async def families_of(services: Services, user: UserRow) -> list[FamilyRow]:
    """Return a user's families."""
    async with services.db.read() as conn:
        return list(await families.page(conn, user.id, state=None, now=user.created_at, after=None, limit=10))


async def generation(services: Services, user: UserRow) -> int:
    """Return the generation of a user's only family."""
    (family,) = await families_of(services, user)
    return family.generation


async def replays(services: Services, user: UserRow) -> int:
    """Return how many replays were recorded."""
    events = await services.accounts.events(user.id, after=None, limit=1000)
    return sum(event.kind == "REFRESH_TOKEN_REPLAYED" for event in events)


def claim_of(services: Services, clock: Clock, token: str) -> bytes:
    """Return bytes that only the statement that rotates this token contains."""
    return digest(decode_token(services.rotation.token_pairs.issuer, token, TokenKind.REFRESH, clock.now()).jti)


@with_and_without_key
@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
async def test_rot_07_rot_19_a_rotation_whose_connection_breaks_is_retried_and_answered(
    api: Api,
    endpoint: RefreshEndpoint,
    proxy: Proxy,
    services: Services,
    clock: Clock,
    alice: UserRow,
    key: str | None,
    committed: bool,
) -> None:
    first = await api.login()
    (proxy.cut_after if committed else proxy.cut_before)(claim_of(services, clock, first.refresh))
    second = await endpoint.refresh(first.refresh, key)
    assert proxy.cuts >= 1
    assert second.outcome == ROTATED
    assert await api.is_live(second.tokens.access)
    assert await generation(services, alice) == 2
    third = await endpoint.refresh(second.tokens.refresh)
    assert third.outcome == ROTATED
    assert await generation(services, alice) == 3
    assert await replays(services, alice) == 0
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(third.tokens.refresh)).outcome == REVOKED


@with_and_without_key
async def test_rot_19_a_replay_after_a_retried_rotation_is_still_detected(
    api: Api, endpoint: RefreshEndpoint, proxy: Proxy, services: Services, clock: Clock, key: str | None
) -> None:
    first = await api.login()
    proxy.cut_after(claim_of(services, clock, first.refresh))
    second = (await endpoint.refresh(first.refresh, key)).tokens
    if key is not None:
        assert (await endpoint.refresh(first.refresh, key)).tokens.refresh == second.refresh
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED
    assert not await api.is_live(second.access)


@short_timeout
@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
async def test_rot_07_rot_19_during_an_outage_a_refresh_is_503_and_its_key_gets_the_successor_later(
    api: Api,
    endpoint: RefreshEndpoint,
    proxy: Proxy,
    answers: list[Response],
    services: Services,
    clock: Clock,
    alice: UserRow,
    committed: bool,
) -> None:
    first = await api.login()
    (proxy.cut_after if committed else proxy.cut_before)(claim_of(services, clock, first.refresh))
    proxy.refuse_after_the_next_cut()
    assert (await endpoint.refresh(first.refresh, KEY)).outcome == UNAVAILABLE
    assert answers[-1].headers["retry-after"] == "1"
    await proxy.listen()
    assert await generation(services, alice) == (2 if committed else 1)
    second = await endpoint.refresh(first.refresh, KEY)
    assert second.outcome == ROTATED
    assert (await endpoint.refresh(first.refresh, KEY)).tokens.refresh == second.tokens.refresh
    assert await generation(services, alice) == 2
    assert await api.is_live(second.tokens.access)
    assert await replays(services, alice) == 0
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED


@short_timeout
async def test_rot_07_a_token_is_not_consumed_if_the_connection_breaks_before_the_statement(
    api: Api, endpoint: RefreshEndpoint, proxy: Proxy, services: Services, clock: Clock, alice: UserRow
) -> None:
    first = await api.login()
    proxy.cut_before(claim_of(services, clock, first.refresh))
    proxy.refuse_after_the_next_cut()
    assert (await endpoint.refresh(first.refresh)).outcome == UNAVAILABLE
    await proxy.listen()
    assert (await endpoint.refresh(first.refresh)).outcome == ROTATED
    assert await replays(services, alice) == 0


@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
async def test_rot_06_a_replay_whose_commit_breaks_revokes_the_family_once(
    api: Api, endpoint: RefreshEndpoint, proxy: Proxy, services: Services, alice: UserRow, committed: bool
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    (proxy.cut_after if committed else proxy.cut_before)(COMMIT)
    # The retry finds the family revoked by the first attempt, and answers that.
    assert (await endpoint.refresh(first.refresh)).outcome == (REVOKED if committed else REPLAYED)
    assert proxy.cuts >= 1
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED
    assert not await api.is_live(second.access)
    assert await replays(services, alice) == 1


@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
async def test_a_revocation_whose_commit_breaks_is_confirmed_before_it_is_answered(
    api: Api, endpoint: RefreshEndpoint, proxy: Proxy, committed: bool
) -> None:
    pair = await api.login()
    (proxy.cut_after if committed else proxy.cut_before)(COMMIT)
    result = (await api.data(REVOKE, {"input": {"refreshToken": pair.refresh}}))["revokeSession"]
    assert proxy.cuts >= 1
    assert result["session"]["state"] == "REVOKED"
    assert (await endpoint.refresh(pair.refresh)).outcome == REVOKED
    assert not await api.is_live(pair.access)


@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
async def test_a_sign_in_whose_commit_breaks_opens_one_session(
    api: Api, proxy: Proxy, services: Services, alice: UserRow, committed: bool
) -> None:
    (proxy.cut_after if committed else proxy.cut_before)(COMMIT)  # the first sign-in, which adds a new network
    pair = await api.login()
    assert proxy.cuts >= 1
    assert await api.is_live(pair.access)
    assert [str(family.id) for family in await families_of(services, alice)] == [pair.session_id]


# For each use case: whether a retry after its commit has the same effect and answer, and the call.
WRITES: dict[str, tuple[bool, Callable[[Services, UserRow, datetime], Awaitable[Any]]]] = {
    "enable": (True, lambda services, alice, now: services.accounts.enable(alice.id)),
    "delete": (True, lambda services, alice, now: services.accounts.delete(alice)),
    "unlock": (True, lambda services, alice, now: services.accounts.unlock(alice)),
    "unlock an address": (True, lambda services, alice, now: services.accounts.throttle.reset_address("192.0.2.1")),
    "rename": (True, lambda services, alice, now: services.sessions.rename(alice.id, uuid4(), "x")),
    "first key": (
        True,
        lambda services, alice, now: services.keys.ensure_first_key(SigningAlgorithm.ES256, now),
    ),
    "disable": (False, lambda services, alice, now: services.accounts.disable(alice.id, now)),
    "import a user": (
        False,
        lambda services, alice, now: services.accounts.import_user("carol", None, alice.hashed_password, now),
    ),
    "set a password": (False, lambda services, alice, now: services.accounts.set_password(alice, NEW_PASSWORD, now)),
    "revoke before": (
        True,
        lambda services, alice, now: services.sessions.revoke_issued_before(now, ClientInfo(), now),
    ),
    "record a failed password": (
        False,
        lambda services, alice, now: services.accounts._record_failure(alice, ClientInfo(), now),
    ),
    "record a right password": (
        False,
        lambda services, alice, now: services.accounts._record_success(LoginAttempt(b"n" * 32, (), 1, alice)),
    ),
    "revoke all": (False, lambda services, alice, now: services.sessions.revoke_all(alice.id, ClientInfo(), now)),
    "rotate the key": (
        False,
        lambda services, alice, now: services.keys.rotate(
            SigningAlgorithm.ES256, now, access_token_ttl=timedelta(minutes=5)
        ),
    ),
}


@pytest.mark.parametrize("name", WRITES)
async def test_after_an_unacknowledged_commit_only_idempotent_writes_are_retried(
    proxy: Proxy, services: Services, alice: UserRow, clock: Clock, name: str
) -> None:
    is_idempotent, write = WRITES[name]
    proxy.cut_after(COMMIT)
    with nullcontext() if is_idempotent else pytest.raises(OutcomeUnknown):
        await write(services, alice, clock.now())
    assert proxy.cuts >= 1


@short_timeout
async def test_the_service_stops_although_the_network_is_silent(
    api: Api, endpoint: RefreshEndpoint, proxy: Proxy, services: Services
) -> None:
    await endpoint.refresh((await api.login()).refresh)
    proxy.freeze()
    async with asyncio.timeout(5):
        await services.stop()


class Phone:
    """A client that sends each refresh, with its idempotency key, until it is answered."""

    def __init__(self, endpoint: RefreshEndpoint, token: str) -> None:
        self.endpoint = endpoint
        self.token = token
        self.rotations = 0
        self.failures = 0

    async def refresh(self) -> None:
        key = f"attempt-{uuid4()}"
        while True:
            try:
                answer = await self.endpoint.refresh(self.token, key)
            except HTTPError:
                answer = None
            if answer is not None and answer.outcome != UNAVAILABLE:
                break
            self.failures += 1
            assert self.failures < 100 * CUTS, "no answer comes"
        assert answer.outcome == ROTATED, (self.rotations, answer)
        self.token = answer.tokens.refresh
        self.rotations += 1


async def cut_often(proxy: Proxy, rng: random.Random, *, with_outages: bool) -> None:
    """Cut connections at random moments within a refresh; sometimes refuse new ones for a while."""
    while proxy.cuts < CUTS:
        await asyncio.sleep(rng.uniform(0, 0.02))
        proxy.cut()
        if with_outages and rng.random() < 0.1:
            proxy.refuse()
            await asyncio.sleep(rng.uniform(0, 0.5))
            await proxy.listen()


async def refresh_while_cut(phone: Phone, cutting: Coroutine[Any, Any, None]) -> None:
    """Refresh while connections are cut, and once more afterwards."""
    task = asyncio.create_task(cutting)
    try:
        while not task.done():
            await phone.refresh()
    finally:
        task.cancel()
    await phone.refresh()


# The seed is in the test's name, and so in what a failure prints.
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("more_settings", [{"database_timeout": 0.25, "rate_limits": False}], ids=[""])
async def test_rot_19_a_client_with_keys_keeps_its_session_although_database_connections_are_cut(
    api: Api, endpoint: RefreshEndpoint, proxy: Proxy, services: Services, alice: UserRow, seed: int
) -> None:
    phone = Phone(endpoint, (await api.login()).refresh)
    await refresh_while_cut(phone, cut_often(proxy, random.Random(seed), with_outages=True))
    assert proxy.cuts >= CUTS
    assert phone.failures > 0, "the database was never unavailable for long"
    assert await generation(services, alice) == phone.rotations + 1
    assert await replays(services, alice) == 0


@pytest.mark.parametrize("seed", range(2))
async def test_rot_19_a_client_with_keys_keeps_its_session_although_answers_are_lost(
    sqlite_url: str, password_hash: str, tmp_path: Path, seed: int
) -> None:
    async with backstage(sqlite_url, password_hash) as behind:
        user = await behind.user()
        first = await behind.session(user)
        async with (
            serving(
                sqlite_url,
                tmp_path,
                KINDRED_LOG_LEVEL="warning",
                KINDRED_ENVIRONMENT="development",
                KINDRED_RATE_LIMITS="off",
            ) as server,
            proxy_to("127.0.0.1", int(server.url.rpartition(":")[2])) as proxy,
            AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=30) as http,
        ):
            phone = Phone(list(ENDPOINTS.values())[seed % 2](http), first.refresh)
            await refresh_while_cut(phone, cut_often(proxy, random.Random(seed), with_outages=False))
        assert proxy.cuts >= CUTS
        assert phone.failures > 0, "no answer was lost"
        assert await generation(behind.services, user) == phone.rotations + 1
        assert await replays(behind.services, user) == 0
