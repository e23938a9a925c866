"""One lock order (decision 25): no operation on a user deadlocks with the deletion of that user. Runs in real time."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from auth.background.notifications import Delivered
from auth.background.pruning import Pruned
from auth.clock import SystemClock
from auth.config.secret import load_secret
from auth.config.settings import Settings
from auth.credentials.login_throttle import LoginAttempt
from auth.crypto.entropy import Entropy
from auth.outcomes import ClientInfo, Rotated
from auth.services import Services
from auth.use_cases.security_events import new_event
from auth.use_cases.sessions import Unauthenticated
from db.engine.database import url_of
from db.migration import upgrade
from db.tables import families, outbox, security_events, users
from db.tables.base import NotificationChannel, NotificationKind, RevocationReason, SecurityEventKind
from db.tables.users import UserRow
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.endpoints import Pair
from tests.support.receivers import WEBHOOK_SECRET
from tests.support.servers import SECRET, Backstage
from tests.support.sql import looking_at

ROUNDS, AT_ONCE = 60, 6
JITTER = 0.03  # seconds
# Sessions of each user, and also the limit: each sign-in revokes another session.
SESSIONS = 6
ORIGIN = ClientInfo("198.51.100.7", "a browser")
# Replaces an attempt that the throttle refuses.
UNCOUNTED = LoginAttempt(name_digest=bytes(32), addresses=(), attempt_number=0)
FAR_AHEAD = timedelta(days=3650)


def now() -> Any:
    return SystemClock().now()


@dataclass(frozen=True)
class Target:
    """A user to delete, with the current token pairs of their sessions and refresh tokens that are consumed."""

    user: UserRow
    pairs: list[Pair]
    consumed: list[str]

    @property
    def any_session(self) -> UUID:
        return UUID(random.choice(self.pairs).session_id)


Work = Callable[[Services, Target], Awaitable[object]]


async def admitted(services: Services, target: Target) -> LoginAttempt:
    attempt = await services.sign_in.throttle.register_attempt(target.user.username, ORIGIN.ip, now())
    return attempt if isinstance(attempt, LoginAttempt) else UNCOUNTED


async def sign_in(services: Services, target: Target) -> object:
    """Sign in, after the password was found right."""
    attempt = await admitted(services, target)
    return await services.sign_in.open_session(target.user, None, ORIGIN, now(), attempt=attempt)


async def fail_to_sign_in(services: Services, target: Target) -> None:
    """Record a failed attempt, after the password was found wrong."""
    attempt = await admitted(services, target)
    await services.sign_in.record_failure(target.user.username, attempt, ORIGIN, now())


async def refresh(services: Services, target: Target) -> object:
    return await services.rotation.refresh(random.choice(target.pairs).refresh, None, ORIGIN, now())


async def replay(services: Services, target: Target) -> object:
    return await services.rotation.refresh(random.choice(target.consumed), None, ORIGIN, now())


async def revoke(services: Services, target: Target) -> object:
    return await services.sessions.revoke(target.user.id, target.any_session, ORIGIN, now())


async def revoke_by_token(services: Services, target: Target) -> object:
    return await services.sessions.revoke_by_token(random.choice(target.consumed), ORIGIN, now())


async def revoke_all(services: Services, target: Target) -> object:
    return await services.sessions.revoke_all(target.user.id, ORIGIN, now(), except_=target.any_session)


async def rename(services: Services, target: Target) -> object:
    return await services.sessions.rename(target.user.id, target.any_session, "renamed")


async def change_password(services: Services, target: Target) -> None:
    """Store a new password, after the current one was found right."""
    await services.accounts._record_success(await admitted(services, target))
    with suppress(Unauthenticated):
        await services.accounts._store_password(
            target.user.id,
            target.user.hashed_password,
            ORIGIN,
            now(),
            current=target.any_session,
            verified=target.user.hashed_password,
        )


async def fail_to_change_password(services: Services, target: Target) -> None:
    """Record a failed attempt, after the current password was found wrong."""
    await admitted(services, target)
    with suppress(Unauthenticated):
        await services.accounts._record_failure(target.user, ORIGIN, now())


async def set_password(services: Services, target: Target) -> None:
    await services.accounts._store_password(
        target.user.id, target.user.hashed_password, ClientInfo(), now(), current=None, verified=None
    )


async def disable_and_enable(services: Services, target: Target) -> None:
    await services.accounts.disable(target.user.id, now())
    await services.accounts.enable(target.user.id)


async def unlock(services: Services, target: Target) -> None:
    await services.accounts.unlock(target.user)


async def deliver(services: Services, target: Target) -> None:
    """Claim notifications, finish their delivery attempts, and requeue all notifications."""
    far_ahead = now() + FAR_AHEAD
    async with services.db.read() as conn:
        due = await outbox.due(conn, NotificationChannel.WEBHOOK, far_ahead, implausible=far_ahead, limit=8)
    for row in due:
        if number := await services.notifications._claim(row, now() + FAR_AHEAD):
            await services.notifications._finish(row, number, Delivered("HTTP 204"), now())
    await services.notifications.requeue(NotificationChannel.WEBHOOK, now())


async def delete(services: Services, target: Target) -> None:
    await services.accounts.delete(target.user)


async def prune(services: Services, target: Target) -> object:
    """Prune the rows of every user, as if ten years had passed."""
    return await services.pruning.prune(now() + FAR_AHEAD)


async def sweep(services: Services, target: Target) -> object:
    """Revoke every session of every user."""
    return await services.sessions.revoke_issued_before(now() + timedelta(hours=1), ORIGIN, now())


async def shorten(services: Services, target: Target) -> object:
    """Shorten every session of every user. By this clock, all of them were opened in the future."""
    return await services.prune_schedule._shorten_batch(now() - timedelta(hours=1), is_first=False)


OF_ONE_USER: list[Work] = [
    *[sign_in] * 4,
    *[fail_to_sign_in] * 6,
    *[refresh, replay, revoke, revoke_by_token] * 3,
    *[revoke_all, rename, change_password, fail_to_change_password, set_password, disable_and_enable, unlock, deliver],
]
EVERYTHING: list[Work] = [*OF_ONE_USER, prune, sweep, sweep, shorten, shorten]


class Workers:
    """Several services on one database, each with its own connections."""

    def __init__(self, all_services: list[Services], password_hash: str) -> None:
        self.all_services = all_services
        self._first = Backstage(all_services[0], password_hash)

    async def target(self) -> Target:
        user = await self._first.user()
        opened = [await self._first.session(user) for _ in range(SESSIONS)]
        current = []
        for pair in opened:
            rotated = await self.all_services[0].rotation.refresh(pair.refresh, None, ORIGIN, now())
            assert isinstance(rotated, Rotated)
            current.append(Pair(rotated.tokens.access_token, rotated.tokens.refresh_token, pair.session_id))
        return Target(user, current, [pair.refresh for pair in opened])

    async def play(self, target: Target, works: list[Work]) -> None:
        """Run the operations and the deletion concurrently, each after a random delay."""

        async def late(work: Work) -> None:
            await asyncio.sleep(random.uniform(0, JITTER))
            await work(random.choice(self.all_services), target)

        async with asyncio.TaskGroup() as group:
            for work in [*works, delete]:
                group.create_task(late(work))
        assert await self.all_services[0].accounts.get(target.user.id) is None

    async def rounds(self, works: list[Work]) -> None:
        for _ in range(ROUNDS // AT_ONCE):
            targets = [await self.target() for _ in range(AT_ONCE)]
            await asyncio.gather(*(self.play(target, works) for target in targets))


async def build(database_url: str) -> Services:
    settings = Settings(
        database_url=database_url,
        secret=SECRET,
        webhook_url="http://127.0.0.1:9/not-listening",
        webhook_secret=WEBHOOK_SECRET,
        max_sessions_per_user=SESSIONS,
        # A slow machine must not fail the test. PostgreSQL detects a deadlock after one second in any case.
        database_timeout=30,
        database_pool_size=20,
    )
    services = Services.create(settings, load_secret(settings, Entropy()), Entropy())
    await services.start(now())
    return services


@pytest.fixture
async def own_url(request: pytest.FixtureRequest, postgres: str, sqlite_url: str) -> AsyncIterator[str]:
    """A database that no other test uses, because the server counts deadlocks by database."""
    if request.param == "sqlite":
        yield sqlite_url
        return
    url = await databases.create_database(postgres)
    await asyncio.to_thread(upgrade, url_of(url))
    yield url
    await databases.drop_database(url, postgres)


@pytest.mark.parametrize("works", [OF_ONE_USER, EVERYTHING], ids=["one user", "everything"])
@pytest.mark.parametrize("own_url", ["sqlite", "postgresql"], indirect=True)
async def test_operations_on_a_user_during_their_deletion_neither_deadlock_nor_fail(
    own_url: str, postgres: str, password_hash: str, works: list[Work]
) -> None:
    async with AsyncExitStack() as stack:
        all_services = []
        for _ in range(2):
            all_services.append(await build(own_url))
            stack.push_async_callback(all_services[-1].stop)
        await Workers(all_services, password_hash).rounds(works)
    if own_url.startswith("postgresql"):
        assert await deadlocks(own_url, postgres) == 0


async def deadlocks(url: str, postgres: str) -> int:
    """Return how many deadlocks the server has resolved in a database, once no connection to it is open.

    A connection reports its deadlocks when it closes. To miss none, this function makes one more deadlock on purpose
    and waits until the server has counted it.
    """
    name = make_url(url).database
    server = await databases.connect(postgres)
    try:
        async with asyncio.timeout(30):
            while await server.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name):
                await asyncio.sleep(0.02)
            await make_a_deadlock(url)
            while not (
                count := await server.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = $1", name)
            ):
                await asyncio.sleep(0.02)
    finally:
        await server.close()
    return int(count) - 1


async def make_a_deadlock(url: str) -> None:
    one, other = await databases.connect(url), await databases.connect(url)
    try:
        for connection, lock in ((one, 1), (other, 2)):
            await connection.execute("BEGIN")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", lock)
        crossed = (
            one.execute("SELECT pg_advisory_xact_lock(2)"),
            other.execute("SELECT pg_advisory_xact_lock(1)"),
        )
        results = await asyncio.gather(*crossed, return_exceptions=True)
        assert [type(result) for result in results].count(asyncpg.DeadlockDetectedError) == 1
    finally:
        await one.close()
        await other.close()


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WITHOUT_WAITING = 0.5  # seconds; PostgreSQL looks for deadlocks after one


async def wait_for_lock(work: Awaitable[Any]) -> "asyncio.Future[Any]":
    """Start the work, and return it once it waits for a lock."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.2)
    assert not task.done()
    return task


@on_postgresql
async def test_a_deletion_waits_for_a_revocation_that_then_adds_its_event(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    family = await open_session(services, alice)
    event = new_event(
        services.entropy, alice.id, SecurityEventKind.SESSION_REVOKED, clock.now(), ORIGIN, family_id=family
    )
    async with services.db.transaction() as conn:
        reason = RevocationReason.REVOKED_BY_USER
        assert await families.revoke(conn, alice.id, now=now(), reason=reason, only=family)
        deleting = await wait_for_lock(services.accounts.delete(alice))
        async with asyncio.timeout(WITHOUT_WAITING):
            await security_events.add(conn, [event])
    await deleting
    assert await services.accounts.get(alice.id) is None


@on_postgresql
async def test_a_deletion_waits_for_an_uncommitted_event(services: Services, alice: UserRow, clock: FakeClock) -> None:
    event = new_event(services.entropy, alice.id, SecurityEventKind.LOGIN_FAILED, clock.now(), ORIGIN)
    async with services.db.transaction() as conn:
        await security_events.add(conn, [event])
        deleting = await wait_for_lock(services.accounts.delete(alice))
        async with asyncio.timeout(WITHOUT_WAITING):
            await security_events.add(conn, [event | {"id": services.entropy.id(clock.now())}])
    await deleting
    assert await services.accounts.get(alice.id) is None


@on_postgresql
async def test_a_sweep_over_all_sessions_locks_users_before_their_sessions(services: Services, alice: UserRow) -> None:
    family = await open_session(services, alice)
    async with services.db.transaction() as conn:
        await users.lock(conn, alice.id)
        sweeping = await wait_for_lock(
            services.sessions.revoke_issued_before(now() + timedelta(hours=1), ORIGIN, now(), user_id=alice.id)
        )
        async with asyncio.timeout(WITHOUT_WAITING):
            assert await families.rename(conn, alice.id, family, "not held by the sweep")
    assert await sweeping == 1


@on_postgresql
async def test_pruning_and_requeuing_notifications_skip_locked_rows_and_process_them_later(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    """A transaction that never waits for a row lock cannot be part of a deadlock."""
    await open_session(services, alice)
    await services.sign_in.throttle.register_attempt("alice", ORIGIN.ip, clock.now())
    event = new_event(services.entropy, alice.id, SecurityEventKind.USER_DISABLED, clock.now(), ORIGIN)
    tables = ("token_families", "security_events", "login_failures", "familiar_networks", "outbox")
    async with services.db.transaction() as conn:
        await outbox.add(conn, NotificationKind.USER_DISABLED, [NotificationChannel.WEBHOOK], event)
    async with looking_at(services.db) as conn:
        for table in tables:
            assert (await conn.execute(text(f"SELECT 1 FROM {table} FOR UPDATE"))).all(), table
        async with asyncio.timeout(10):
            assert await services.pruning.prune(clock.now() + FAR_AHEAD) == Pruned(0, 0, 0, 0, 0)
            assert await services.notifications.requeue(NotificationChannel.WEBHOOK, clock.now()) == 0
    assert await services.notifications.requeue(NotificationChannel.WEBHOOK, clock.now()) == 1
    pruned = await services.pruning.prune(clock.now() + FAR_AHEAD)
    assert (pruned.sessions, pruned.familiar_networks, pruned.notifications) == (1, 1, 1)


async def open_session(services: Services, user: UserRow) -> UUID:
    """Open a session and return its id."""
    signed_in = await services.sign_in.open_session(user, None, ORIGIN, now())
    assert signed_in is not None
    return signed_in.family.id
