"""Refreshes while the database fails: 503 and no rotation, or a retry that succeeds, and never a replay."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from typing import Any

import asyncpg
import psutil
import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import Text, column, text
from sqlalchemy.engine import make_url

from auth.outcomes import ClientInfo
from auth.services import Services
from db.engine.compiled import Compiled
from db.engine.database import url_of
from db.migration import upgrade
from db.tables import families
from db.tables.families import FamilyRow
from db.tables.users import UserRow
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.endpoints import LOGIN, PASSWORD, REPLAYED, REVOKED, ROTATED, UNAVAILABLE, Api, RefreshEndpoint
from tests.support.proxy import Proxy
from tests.support.sql import looking_at

pytestmark = pytest.mark.usefixtures("alice")

KEY, OTHER_KEY = "the-first-attempt-of-the-phone", "the-second-attempt-of-the-phone"
RACERS = 20

Lock = Callable[[str], AbstractAsyncContextManager[Any]]


@pytest.fixture
def answers(http: AsyncClient) -> list[Response]:
    """Every response that the client received."""
    seen: list[Response] = []

    async def see(response: Response) -> None:
        seen.append(response)

    http.event_hooks["response"].append(see)
    return seen


@asynccontextmanager
async def write_lock(url: str) -> AsyncIterator[None]:
    """SQLite: another connection is writing."""
    with closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        yield
        file.execute("ROLLBACK")


@asynccontextmanager
async def postgresql_lock(url: str, statement: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await databases.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(statement)
            yield connection
    finally:
        await connection.close()


def row_lock(url: str) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """PostgreSQL: another connection holds the families' rows."""
    return postgresql_lock(url, "SELECT FROM token_families FOR UPDATE")


def table_lock(url: str) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """PostgreSQL: another connection holds the whole table."""
    return postgresql_lock(url, "LOCK TABLE token_families IN ACCESS EXCLUSIVE MODE")


impatient = pytest.mark.parametrize("more_settings", [{"database_timeout": 0.5}], ids=[""])
locked = pytest.mark.parametrize(
    ("database_url", "lock"),
    [("sqlite", write_lock), ("postgresql", row_lock), ("postgresql", table_lock)],
    indirect=["database_url"],
    ids=["sqlite", "postgresql row", "postgresql table"],
)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def family_of(services: Services, user: UserRow) -> FamilyRow:
    """The user's only family."""
    async with services.db.read() as conn:
        (family,) = await families.page(conn, user.id, state=None, now=user.created_at, after=None, limit=10)
    return family


async def sessions(services: Services, user: UserRow, clock: FakeClock, count: int) -> list[str]:
    """Create sessions of a user without hashing a password for each. Return their refresh tokens."""
    opened = [await services.sign_in.open_session(user, None, ClientInfo(), clock.now()) for _ in range(count)]
    return [signed_in.tokens.refresh_token for signed_in in opened if signed_in is not None]


async def replays(services: Services, user: UserRow) -> int:
    """How many replays the security events have."""
    events = await services.accounts.events(user.id, after=None, limit=1000)
    return sum(event.kind == "REFRESH_TOKEN_REPLAYED" for event in events)


@impatient
@locked
async def test_rot_07_a_refresh_that_times_out_is_503_and_its_token_still_works_once(
    api: Api,
    endpoint: RefreshEndpoint,
    answers: list[Response],
    lock: Lock,
    database_url: str,
    services: Services,
    alice: UserRow,
) -> None:
    first = await api.login()
    async with lock(database_url):
        assert (await endpoint.refresh(first.refresh)).outcome == UNAVAILABLE
    refused = answers[-1]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["cache-control"] == "no-store"
    assert (await family_of(services, alice)).generation == 1
    assert (await endpoint.refresh(first.refresh)).outcome == ROTATED
    assert await replays(services, alice) == 0
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED


@impatient
@locked
async def test_rot_07_a_replay_that_times_out_is_503_and_is_detected_when_it_is_sent_again(
    api: Api, endpoint: RefreshEndpoint, lock: Lock, database_url: str
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    async with lock(database_url):
        assert (await endpoint.refresh(first.refresh)).outcome == UNAVAILABLE
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED


@impatient
@locked
async def test_rot_07_dos_06_many_refreshes_that_time_out_are_503_and_all_tokens_still_work(
    api: Api,
    endpoint: RefreshEndpoint,
    lock: Lock,
    database_url: str,
    services: Services,
    alice: UserRow,
    clock: FakeClock,
) -> None:
    # More refreshes than connections: some wait for the lock, the others for a connection.
    tokens = await sessions(services, alice, clock, 30)
    async with lock(database_url):
        refused = await asyncio.gather(*map(endpoint.refresh, tokens))
    assert Counter(answer.outcome for answer in refused) == {UNAVAILABLE: len(tokens)}
    rotated = [await endpoint.refresh(token) for token in tokens]
    assert Counter(answer.outcome for answer in rotated) == {ROTATED: len(tokens)}
    assert await replays(services, alice) == 0


@locked
async def test_rot_07_a_refresh_that_waits_for_less_than_the_timeout_succeeds(
    api: Api, endpoint: RefreshEndpoint, lock: Lock, database_url: str, services: Services, alice: UserRow
) -> None:
    first = await api.login()
    async with lock(database_url):
        refreshing = asyncio.create_task(endpoint.refresh(first.refresh))
        await asyncio.sleep(0.3)
        assert not refreshing.done()
    assert (await refreshing).outcome == ROTATED
    assert (await family_of(services, alice)).generation == 2


@impatient
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_rot_07_a_disk_that_is_full_between_the_rotation_and_its_lineage_rotates_nothing(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow
) -> None:
    # A rotation updates its row in place. A row of its lineage needs new space: more with a long User-Agent.
    api.http.headers["user-agent"] = "kindred-test/" + "x" * 499

    async def limit_to(pages: str) -> None:
        await services.db.write(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages or 1_000_000}"))

    token = (await api.login()).refresh
    async with looking_at(services.db) as conn:
        await limit_to(str((await conn.execute(text("PRAGMA page_count"))).scalar()))
    generation = 1
    while (answer := await endpoint.refresh(token)).outcome == ROTATED:
        token, generation = answer.tokens.refresh, generation + 1
        assert generation < 20, "the disk was never full"
    assert answer.outcome == UNAVAILABLE
    assert (await family_of(services, alice)).generation == generation
    await limit_to("")
    assert (await endpoint.refresh(token)).outcome == ROTATED
    assert await replays(services, alice) == 0


@on_postgresql
async def test_rot_07_a_backend_that_is_terminated_during_a_refresh_is_replaced(
    api: Api, endpoint: RefreshEndpoint, database_url: str, services: Services, alice: UserRow
) -> None:
    first = await api.login()
    async with row_lock(database_url) as holder:
        refreshing = asyncio.create_task(endpoint.refresh(first.refresh))
        for _ in range(3):
            await terminate(holder, await waiting_for_a_lock(holder))
    second = await refreshing
    assert second.outcome == ROTATED
    assert (await family_of(services, alice)).generation == 2
    assert (await endpoint.refresh(second.tokens.refresh)).outcome == ROTATED
    assert await replays(services, alice) == 0


@on_postgresql
async def test_rot_07_a_backend_that_is_terminated_during_a_replay_does_not_prevent_the_revocation(
    api: Api, endpoint: RefreshEndpoint, database_url: str, services: Services, alice: UserRow
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    async with row_lock(database_url) as holder:
        replaying = asyncio.create_task(endpoint.refresh(first.refresh))
        await terminate(holder, await waiting_for_a_lock(holder))
    assert (await replaying).outcome == REPLAYED
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED
    assert await replays(services, alice) == 1


@on_postgresql
async def test_connections_that_broke_while_idle_are_replaced(
    api: Api, endpoint: RefreshEndpoint, database_url: str, services: Services, alice: UserRow
) -> None:
    token = (await api.login()).refresh
    for _ in range(3):
        # The pool is full of open connections, and then all of them break.
        await asyncio.gather(*(api.is_live("") for _ in range(20)), *(services.accounts.list_all() for _ in range(20)))
        async with row_lock(database_url) as holder:
            await holder.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " + OURS)
        answer = await endpoint.refresh(token)
        assert answer.outcome == ROTATED
        token = answer.tokens.refresh
        async with row_lock(database_url) as holder:
            await holder.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " + OURS)
        signed_in = await api.data(LOGIN, {"input": {"username": "alice", "password": PASSWORD}})
        assert signed_in["login"]["__typename"] == "LoginSuccess"
    assert await replays(services, alice) == 0


OURS = "datname = current_database() AND application_name = 'kindred'"


async def waiting_for_a_lock(connection: asyncpg.Connection) -> int:
    """Wait until a backend of the service waits for a lock, and return its process ID."""
    for _ in range(500):
        query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND " + OURS
        # Outside a transaction, which would keep its first snapshot of the activity.
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        if pid := await connection.fetchval(query):
            return int(pid)
        await asyncio.sleep(0.01)
    raise AssertionError("no backend waits for the lock")


async def terminate(connection: asyncpg.Connection, pid: int) -> None:
    """Terminate a backend, and wait until it has ended."""
    await connection.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)


@impatient
@pytest.mark.parametrize("database_url", ["proxied"], indirect=True)
async def test_rot_07_a_refresh_while_connections_are_refused_is_503_and_its_token_still_works_once(
    api: Api, endpoint: RefreshEndpoint, proxy: Proxy, answers: list[Response], services: Services, alice: UserRow
) -> None:
    first = await api.login()
    proxy.refuse()
    for key in (None, KEY):
        assert (await endpoint.refresh(first.refresh, key)).outcome == UNAVAILABLE
        assert answers[-1].headers["retry-after"] == "1"
    await proxy.listen()
    assert (await endpoint.refresh(first.refresh)).outcome == ROTATED
    assert await replays(services, alice) == 0
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED


@pytest.fixture(scope="module")
def server_to_crash() -> Iterator[databases.Server]:
    """A PostgreSQL server for this module alone."""
    server = databases.Server()
    yield server
    server.stop()


@pytest.fixture
async def crashing_url(server_to_crash: databases.Server) -> str:
    """A migrated database on a server that a test may crash."""
    if server_to_crash.process() is None:
        pytest.skip("a PostgreSQL server that is not ours to crash")
    url = await databases.create_database(server_to_crash.url)
    await asyncio.to_thread(upgrade, url_of(url))
    return url


def a_backend_of(server: databases.Server) -> psutil.Process:
    """A process of the server that serves a connection of the service."""
    postmaster = server.process()
    assert postmaster is not None
    for child in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            if " kindred_" in " ".join(child.cmdline()):
                return child
    raise AssertionError("the service has no connection")


@pytest.mark.parametrize("more_settings", [{"database_timeout": 30, "rate_limits": False}], ids=[""])
@pytest.mark.parametrize("database_url", ["crashing"], indirect=True)
async def test_rot_07_rot_19_a_database_that_crashes_and_recovers_revokes_no_session_even_without_keys(
    api: Api,
    endpoint: RefreshEndpoint,
    database_url: str,
    services: Services,
    alice: UserRow,
    server_to_crash: databases.Server,
    clock: FakeClock,
) -> None:
    over = asyncio.Event()

    async def rotate_until_it_is_over(token: str) -> None:
        while not over.is_set():
            answer = await endpoint.refresh(token)
            assert answer.outcome == ROTATED
            token = answer.tokens.refresh

    tokens = await sessions(services, alice, clock, 10)
    clients = asyncio.gather(*map(rotate_until_it_is_over, tokens))
    for _ in range(3):
        await asyncio.sleep(0.3)
        # After a kill of one backend, the server ends all others, as their shared memory may be damaged.
        a_backend_of(server_to_crash).kill()
        await asyncio.sleep(0.3)
        assert await services.accounts.find_by_username("alice")
    over.set()
    await clients
    assert await replays(services, alice) == 0


@asynccontextmanager
async def isolated(url: str, level: str) -> AsyncIterator[str]:
    """The database with another default isolation level."""
    name = make_url(url).database
    connection = await databases.connect(url)
    try:
        await connection.execute(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{level}'")
        yield url
        await connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')
    finally:
        await connection.close()


@pytest.fixture
async def repeatable_read_url(postgresql_url: str) -> AsyncIterator[str]:
    """PostgreSQL, at REPEATABLE READ."""
    async with isolated(postgresql_url, "repeatable read") as url:
        yield url


@pytest.fixture
async def serializable_url(postgresql_url: str) -> AsyncIterator[str]:
    """PostgreSQL, at SERIALIZABLE."""
    async with isolated(postgresql_url, "serializable") as url:
        yield url


at_every_isolation = pytest.mark.parametrize("database_url", ["repeatable_read", "serializable"], indirect=True)


ISOLATION = Compiled(text("SHOW transaction_isolation").columns(column("transaction_isolation", Text)))


async def assert_isolated(services: Services) -> None:
    """Check that the service's transactions have the database's default isolation level."""
    async with services.db.transaction() as conn:
        (level,) = await conn.all(ISOLATION, {})
    assert level.transaction_isolation in ("repeatable read", "serializable")


@at_every_isolation
async def test_rot_21_at_stricter_isolation_one_of_many_refreshes_wins(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow, clock: FakeClock
) -> None:
    await assert_isolated(services)
    for round in range(5):
        first = await api.login()
        answers = await asyncio.gather(*(endpoint.refresh(first.refresh) for _ in range(RACERS)))
        outcomes = Counter(answer.outcome for answer in answers)
        assert outcomes[ROTATED] == 1, (round, outcomes)
        assert outcomes[ROTATED] + outcomes[REPLAYED] + outcomes[REVOKED] == RACERS, (round, outcomes)
        (second,) = [answer.tokens for answer in answers if answer.outcome == ROTATED]
        assert (await endpoint.refresh(second.refresh)).outcome == REVOKED, round
        assert not await api.is_live(second.access), round
    assert await replays(services, alice) == 5


@at_every_isolation
async def test_rot_21_at_stricter_isolation_one_attempt_that_is_repeated_is_no_replay(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow
) -> None:
    await assert_isolated(services)
    for round in range(5):
        first = await api.login()
        answers = await asyncio.gather(*(endpoint.refresh(first.refresh, KEY) for _ in range(RACERS)))
        assert Counter(answer.outcome for answer in answers) == {ROTATED: RACERS}, round
        assert len({answer.tokens.refresh for answer in answers}) == 1, round
        assert (await endpoint.refresh(answers[0].tokens.refresh, OTHER_KEY)).outcome == ROTATED, round
    assert await replays(services, alice) == 0


@at_every_isolation
async def test_rot_21_at_stricter_isolation_refreshes_of_different_families_all_succeed(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow
) -> None:
    tokens = [(await api.login()).refresh for _ in range(5)]
    for round in range(10):
        answers = await asyncio.gather(*map(endpoint.refresh, tokens))
        assert Counter(answer.outcome for answer in answers) == {ROTATED: len(tokens)}, round
        tokens = [answer.tokens.refresh for answer in answers]
    assert await replays(services, alice) == 0
