"""What the throttle writes: concurrent attempts all count and do not deadlock; refused attempts write nothing."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select

from auth.credentials.login_throttle import LoginAttempt
from auth.outcomes import ClientInfo, SignedIn, TooManyAttempts
from auth.services import Services
from db.hot_path.login_attempts import FailureCount, _store
from db.tables.login_failures import login_failures
from db.tables.users import UserRow
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.sql import looking_at

NAMES = ["alice", "bob", "unknown"]
ADDRESSES = ["198.51.100.7", "203.0.113.9", "2001:db8:1:2::1", "2001:db8:1:3::1"]


async def rows(services: Services) -> list[Any]:
    async with looking_at(services.db) as conn:
        return list((await conn.execute(select(login_failures).order_by(login_failures.c.subject))).all())


async def register_attempt(
    services: Services, clock: FakeClock, name: str = "alice", address: str = ADDRESSES[0]
) -> LoginAttempt:
    admitted = await services.sign_in.throttle.register_attempt(name, address, clock.now())
    assert isinstance(admitted, LoginAttempt)
    return admitted


@pytest.fixture(params=["name", "address"])
async def exhausted(request: pytest.FixtureRequest, services: Services, clock: FakeClock) -> str:
    """Which limit is reached: of the name or of the address."""
    for number in range(5 if request.param == "name" else 30):
        await register_attempt(services, clock, "alice" if request.param == "name" else f"user-{number}")
    return str(request.param)


async def test_a_refused_attempt_changes_no_row(
    services: Services, alice: UserRow, clock: FakeClock, exhausted: str
) -> None:
    before = await rows(services)
    clock.advance(timedelta(milliseconds=500))
    for address in ADDRESSES if exhausted == "name" else ADDRESSES[:1]:
        refused = await services.sign_in.throttle.register_attempt("alice", address, clock.now())
        assert isinstance(refused, TooManyAttempts)
    assert await rows(services) == before


async def test_concurrent_attempts_are_all_counted_and_all_refunded(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    """Names and addresses are random. Some attempts for alice succeed; the other admitted ones are refunded."""
    rng = random.Random(1)
    deadlocks = await deadlocks_of(services)

    async def attempt(number: int) -> None:
        name, address = rng.choice(NAMES), rng.choice(ADDRESSES)
        admitted = await services.sign_in.throttle.register_attempt(name, address, clock.now())
        if isinstance(admitted, TooManyAttempts):
            return
        await asyncio.sleep(rng.uniform(0, 0.01))
        if name == "alice" and number % 2:
            opened = await services.sign_in.open_session(
                alice, None, ClientInfo(address), clock.now(), attempt=admitted
            )
            assert isinstance(opened, SignedIn)
        else:
            await services.sign_in.throttle._refund(admitted)

    for _ in range(5):
        await asyncio.gather(*(attempt(number) for number in range(40)))
    assert await rows(services) == []
    assert await deadlocks_of(services) == deadlocks


async def deadlocks_of(services: Services) -> int:
    """Return how many deadlocks PostgreSQL has resolved; 0 on SQLite, which has one writer."""
    if services.db.writer is not None:
        return 0
    url = services.db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection: asyncpg.Connection = await databases.connect(url)
    try:
        return int(
            await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )
    finally:
        await connection.close()


async def test_a_delay_starts_at_the_last_failure(services: Services, alice: UserRow, clock: FakeClock) -> None:
    for _ in range(5):
        await register_attempt(services, clock)
        clock.advance(timedelta(seconds=10))
    await register_attempt(services, clock)
    clock.advance(timedelta(seconds=1))
    refused = await services.sign_in.throttle.register_attempt("alice", ADDRESSES[0], clock.now())
    assert refused == TooManyAttempts(1)


async def test_a_success_refunds_its_own_attempt_while_others_fail(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    mine = await register_attempt(services, clock)
    others = [await register_attempt(services, clock, "bob"), await register_attempt(services, clock, "unknown")]
    await services.sign_in.open_session(alice, None, ClientInfo(ADDRESSES[0]), clock.now(), attempt=mine)
    assert sorted(row.failures for row in await rows(services)) == [1, 1, 2, 2]
    for other in others:
        await services.sign_in.throttle._refund(other)
    assert await rows(services) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_attempt_that_read_an_older_window_is_counted_in_the_new_one(
    services: Services, clock: FakeClock
) -> None:
    """Both windows have one failure, so only the instant of the first one tells them apart."""
    key, before = b"k" * 32, FailureCount(1, clock.now(), clock.now())
    clock.advance(timedelta(hours=1))
    started = FailureCount(1, clock.now(), clock.now())
    await _store(services.db, {}, {key: started}, clock.now())
    assert await _store(services.db, {key: before}, {key: started}, clock.now()) == {key: started._replace(failures=2)}
