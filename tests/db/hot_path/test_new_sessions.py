"""What login attempts and sign-ins write: one session although connections break, and no attempt beyond the limits."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from passlib.hash import argon2
from sqlalchemy import delete, insert, select, text

from auth.credentials.login_throttle import LoginAttempt, _name_digest
from auth.outcomes import ClientInfo, SignedIn, TooManyAttempts
from auth.services import Services
from auth.use_cases.security_events import NEW_NETWORK
from auth.use_cases.sessions import Unauthenticated
from auth.use_cases.sign_in import SignIn
from db.drivers.errors import RolledBack
from db.engine.compiled import Compiled
from db.hot_path import new_sessions
from db.tables import users
from db.tables.base import metadata
from db.tables.familiar_networks import familiar_networks
from db.tables.families import families
from db.tables.login_failures import login_failures
from db.tables.outbox import outbox
from db.tables.security_events import security_events
from db.tables.usernames import usernames
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import PASSWORD
from tests.support.proxy import Proxy
from tests.support.receivers import WEBHOOK_SECRET
from tests.support.sql import NO_LOCK_WAITS, looking_at

ADDRESS = "198.51.100.7"
ORIGIN = ClientInfo(ADDRESS, "a browser")
DEVICE = "cut the connection here"

at_most_three = pytest.mark.parametrize("more_settings", [{"max_sessions_per_user": 3}], ids=["3"])
through_a_proxy = pytest.mark.parametrize("database_url", ["proxied"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def rows(services: Services, table: Any) -> list[Any]:
    async with looking_at(services.db) as conn:
        return list((await conn.execute(select(table).order_by(*table.primary_key))).all())


async def sign_in(services: Services, clock: FakeClock, device_name: str | None = None) -> SignedIn:
    signed_in = await services.sign_in.login("alice", PASSWORD, device_name, ORIGIN, clock.now())
    assert isinstance(signed_in, SignedIn)
    return signed_in


async def register_attempt(services: Services, clock: FakeClock) -> LoginAttempt:
    admitted = await services.sign_in.throttle.register_attempt("alice", ADDRESS, clock.now())
    assert isinstance(admitted, LoginAttempt)
    return admitted


@pytest.fixture
def in_writer(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each sign-in, whether SQLite's writer thread wrote it. Empty on PostgreSQL, which has none."""
    results, insert_in_writer = [], new_sessions.insert_in_writer

    async def watched(*arguments: Any) -> Any:
        stored = await insert_in_writer(*arguments)
        results.append(stored is not None)
        return stored

    monkeypatch.setattr(new_sessions, "insert_in_writer", watched)
    return results


async def test_the_writer_on_sqlite_and_a_transaction_write_the_same(
    services: Services, alice: UserRow, clock: FakeClock, in_writer: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in(services, clock)
    assert in_writer == [False]  # no network is familiar yet

    async def written(device_name: str) -> dict[str, list[dict[str, Any]]]:
        """Return what one sign-in adds to each table, without random values."""
        before = {table.name: await rows(services, table) for table in metadata.sorted_tables}
        await sign_in(services, clock, device_name)
        added = {
            table.name: [row._asdict() for row in await rows(services, table) if row not in before[table.name]]
            for table in metadata.sorted_tables
        }
        random_columns = {"id", "family_id", "token_digest", "device_name"}
        return {
            name: [{column: value for column, value in row.items() if column not in random_columns} for row in new]
            for name, new in added.items()
        }

    usual = await written("one")
    assert in_writer[1:] == [services.db.writer is not None]

    async def never(*_: Any) -> None:
        return None

    monkeypatch.setattr(new_sessions, "insert_in_writer", never)
    assert await written("another") == usual
    assert {name for name, new in usual.items() if new} == {"token_families", "refresh_tokens", "security_events"}
    assert {row.device_name for row in await rows(services, families)} == {None, "one", "another"}
    assert await rows(services, login_failures) == []


@pytest.mark.parametrize(
    "more_settings", [{"webhook_url": "http://127.0.0.1:9", "webhook_secret": WEBHOOK_SECRET}], ids=[""]
)
@pytest.mark.parametrize(
    ("earlier", "notifications"),
    [(None, 0), (ORIGIN, 0), (ClientInfo("203.0.113.9", "a browser"), 1)],
    ids=["the first network", "a familiar network", "a new network"],
)
async def test_a_sign_in_that_is_stored_again_opens_one_session_and_notifies_once(
    services: Services,
    alice: UserRow,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    earlier: ClientInfo | None,
    notifications: int,
) -> None:
    """As after a commit whose answer was lost."""
    if earlier is not None:
        assert isinstance(await services.sign_in.login("alice", PASSWORD, None, earlier, clock.now()), SignedIn)
    before = len(await rows(services, families))
    store = SignIn._store

    async def store_twice(self: SignIn, *arguments: Any) -> Any:
        first, second = await store(self, *arguments), await store(self, *arguments)
        assert first == second
        return second

    monkeypatch.setattr(SignIn, "_store", store_twice)
    signed_in = await sign_in(services, clock)
    stored = await rows(services, families)
    assert len(stored) == before + 1
    assert signed_in.family.id in {family.id for family in stored}
    events = [event for event in await rows(services, security_events) if event.family_id == signed_in.family.id]
    assert [(event.kind, event.detail) for event in events] == [
        ("LOGIN_SUCCEEDED", NEW_NETWORK if notifications else None)
    ]
    assert len(await rows(services, outbox)) == notifications


async def test_a_familiar_network_is_not_written_again_at_each_sign_in(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    seen = []
    for delay in (timedelta(0), timedelta(hours=1), timedelta(days=2)):
        clock.advance(delay)
        await sign_in(services, clock)
        (network,) = await rows(services, familiar_networks)
        seen.append(network.last_seen_at)
    assert seen[0] == seen[1]
    assert seen[2] == clock.now()


async def disabled(services: Services, user: UserRow, clock: FakeClock) -> None:
    await services.accounts.disable(user.id, clock.now())


async def given_a_new_password(services: Services, user: UserRow, clock: FakeClock) -> None:
    await services.accounts.set_password(user, "another word altogether", clock.now())


async def deleted(services: Services, user: UserRow, _clock: FakeClock) -> None:
    await services.accounts.delete(user)


@pytest.mark.parametrize("changed", [disabled, given_a_new_password, deleted])
async def test_cred_11_a_user_who_changed_while_the_password_was_checked_is_not_signed_in(
    services: Services,
    alice: UserRow,
    clock: FakeClock,
    changed: Callable[[Services, UserRow, FakeClock], Awaitable[None]],
) -> None:
    await sign_in(services, clock)
    admitted = await register_attempt(services, clock)
    await changed(services, alice, clock)
    assert await services.sign_in.open_session(alice, None, ORIGIN, clock.now(), attempt=admitted) is None
    assert await services.sign_in.open_session(alice, None, ORIGIN, clock.now()) is None
    assert len([family for family in await rows(services, families) if family.revoked_at is None]) == 0


@at_most_three
async def test_sess_08_a_sign_in_beyond_the_limit_revokes_another_session(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    opened = []
    for _ in range(4):
        clock.advance(timedelta(seconds=1))
        opened.append((await sign_in(services, clock)).family.id)
    live = {family.id for family in await rows(services, families) if family.revoked_at is None}
    assert live == set(opened[1:])


async def test_a_network_that_was_forgotten_during_the_hashing_is_stored_again(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    await sign_in(services, clock)
    admitted = await register_attempt(services, clock)
    async with looking_at(services.db) as conn:
        await conn.execute(delete(familiar_networks))
    assert await services.sign_in.open_session(alice, None, ORIGIN, clock.now(), attempt=admitted)
    assert len(await rows(services, familiar_networks)) == 1


@at_most_three
async def test_sess_08_concurrent_sign_ins_stay_within_the_session_limit(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    await sign_in(services, clock)
    for _ in range(5):
        clock.advance(timedelta(seconds=1))
        admitted = [await register_attempt(services, clock) for _ in range(5)]
        opened = await asyncio.gather(
            *(services.sign_in.open_session(alice, None, ORIGIN, clock.now(), attempt=attempt) for attempt in admitted)
        )
        assert all(opened)
        assert len([family for family in await rows(services, families) if family.revoked_at is None]) == 3
        assert await rows(services, login_failures) == []


@on_postgresql
async def test_a_sign_in_waits_for_a_transaction_that_holds_the_user(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    await sign_in(services, clock)
    admitted = await register_attempt(services, clock)
    async with services.db.transaction() as conn:
        await users.lock(conn, alice.id)
        opening = asyncio.create_task(services.sign_in.open_session(alice, None, ORIGIN, clock.now(), attempt=admitted))
        await asyncio.sleep(0.2)
        assert not opening.done()
    assert await opening


@through_a_proxy
@pytest.mark.parametrize("kind", ["at its statement", "at the commit", "with a newer hash"])
@pytest.mark.parametrize("arrived", [True, False], ids=["after it arrived", "before"])
async def test_a_sign_in_whose_connection_breaks_opens_one_session_and_records_one(
    services: Services, proxy: Proxy, alice: UserRow, clock: FakeClock, kind: str, arrived: bool
) -> None:
    for _ in range(3):
        await sign_in(services, clock)
    if kind == "with a newer hash":
        weak = argon2.using(memory_cost=8192, time_cost=1, parallelism=1).hash(PASSWORD)  # type: ignore[no-untyped-call]
        async with services.db.transaction() as conn:
            await users.set_password(conn, alice.id, weak, changed_at=None)
    before = len(await rows(services, families))
    cut = proxy.cut_after if arrived else proxy.cut_before
    cut(DEVICE.encode() if kind == "at its statement" else b"COMMIT;")
    signed_in = await sign_in(services, clock, DEVICE)
    assert proxy.cuts > 0
    (opened,) = [family for family in await rows(services, families) if family.device_name == DEVICE]
    assert opened.id == signed_in.family.id
    kinds = [event.kind for event in await rows(services, security_events)]
    assert kinds == ["LOGIN_SUCCEEDED"] * (before + 1)
    assert await rows(services, login_failures) == []
    assert await services.sessions.authenticate(signed_in.tokens.access_token, clock.now())


@through_a_proxy
async def test_an_attempt_whose_connection_breaks_while_it_is_counted_is_counted_at_least_once(
    services: Services, proxy: Proxy, alice: UserRow, clock: FakeClock
) -> None:
    for committed in (True, False):
        (proxy.cut_after if committed else proxy.cut_before)(b"synchronous_commit")
        assert (await register_attempt(services, clock)).attempt_number == (2 if committed else 3)
    assert proxy.cuts > 0


async def test_cred_07_concurrent_attempts_have_the_same_limit_as_sequential_ones(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    throttle = services.sign_in.throttle
    admitted = await asyncio.gather(*(throttle.register_attempt("alice", ADDRESS, clock.now()) for _ in range(40)))
    made = [attempt for attempt in admitted if isinstance(attempt, LoginAttempt)]
    assert sorted(attempt.attempt_number for attempt in made) == [1, 2, 3, 4, 5]
    assert [row.failures for row in await rows(services, login_failures)] == [5, 5, 5]


async def test_cred_07_after_a_delay_one_of_many_concurrent_attempts_is_allowed(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    throttle = services.sign_in.throttle
    for _ in range(5):
        await register_attempt(services, clock)
    for failures, delay in ((6, 1), (7, 2), (8, 4)):
        clock.advance(timedelta(seconds=delay))
        attempts = await asyncio.gather(
            *(throttle.register_attempt("alice", f"192.0.2.{number}", clock.now()) for number in range(20))
        )
        assert [attempt.attempt_number for attempt in attempts if isinstance(attempt, LoginAttempt)] == [failures]
        name = [row for row in await rows(services, login_failures) if row.subject == _name_digest("alice", None)]
        assert [row.failures for row in name] == [failures]


async def test_cred_07_concurrent_attempts_after_a_window_start_one_new_window(
    services: Services, clock: FakeClock
) -> None:
    throttle = services.sign_in.throttle
    for number in range(28):
        await throttle.register_attempt(f"user-{number}", ADDRESS, clock.now())
    clock.advance(timedelta(minutes=5))
    attempts = await asyncio.gather(
        *(throttle.register_attempt(f"other-{number}", ADDRESS, clock.now()) for number in range(60))
    )
    assert len([attempt for attempt in attempts if isinstance(attempt, LoginAttempt)]) == 30
    addresses = [row for row in await rows(services, login_failures) if row.failures > 1]
    assert sorted(row.failures for row in addresses) == [30, 58]
    assert {row.first_failed_at for row in addresses if row.failures == 30} == {clock.now()}


@on_postgresql
@pytest.mark.parametrize("more_settings", [{"database_pool_size": 24}], ids=[""])
async def test_cred_07_attempts_that_read_the_same_counts_are_refunded_beyond_the_limit(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    throttle = services.sign_in.throttle
    held = insert(login_failures).values(
        subject=_name_digest("alice", None), failures=1, first_failed_at=clock.now(), last_failed_at=clock.now()
    )
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with suppress(RolledBack):
        async with looking_at(services.db) as conn:
            await conn.execute(held)  # invisible to the other transactions, which all wait for it
            attempts = [
                asyncio.ensure_future(throttle.register_attempt("alice", ADDRESS, clock.now())) for _ in range(10)
            ]
            for _ in range(500):
                await conn.execute(text("SELECT pg_stat_clear_snapshot()"))
                if (await conn.execute(waiting)).scalar_one() == len(attempts):
                    break
                await asyncio.sleep(0.01)
            raise RolledBack
    made = [attempt for attempt in await asyncio.gather(*attempts) if isinstance(attempt, LoginAttempt)]
    assert sorted(attempt.attempt_number for attempt in made) == [1, 2, 3, 4, 5]
    assert [row.failures for row in await rows(services, login_failures)] == [5, 5, 5]


@on_postgresql
async def test_failed_attempts_that_wait_for_a_locked_user_delay_no_other_user(
    services: Services, alice: UserRow, bob: UserRow, clock: FakeClock
) -> None:
    """Their events refer to the user, and wait; refreshes and reads have connections of their own."""
    opened = await services.sign_in.login("bob", PASSWORD, None, ORIGIN, clock.now())
    assert isinstance(opened, SignedIn)
    async with services.db.transaction() as conn:
        await users.lock_for_deletion(conn, alice.id)
        record, origin = services.sign_in.record_failure, ClientInfo(ADDRESS)
        admitted = [await register_attempt(services, clock) for _ in range(4)] * 2
        wrong = [asyncio.create_task(record("alice", attempt, origin, clock.now())) for attempt in admitted]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in wrong)
        async with asyncio.timeout(60):
            assert await services.sessions.authenticate(opened.tokens.access_token, clock.now())
    await asyncio.gather(*wrong)


@on_postgresql
async def test_attempts_that_wait_for_a_locked_count_delay_no_other_user(
    services: Services, alice: UserRow, bob: UserRow, clock: FakeClock
) -> None:
    opened = await services.sign_in.login("bob", PASSWORD, None, ORIGIN, clock.now())
    assert isinstance(opened, SignedIn)
    await register_attempt(services, clock)
    async with services.db.transaction() as conn:
        await services.sign_in.throttle.reset(conn, "alice")
        waiting = [asyncio.create_task(register_attempt(services, clock)) for _ in range(8)]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in waiting)
        async with asyncio.timeout(60):
            assert await services.sessions.authenticate(opened.tokens.access_token, clock.now())
    await asyncio.gather(*waiting, return_exceptions=True)


@on_postgresql
async def test_a_failed_attempt_at_a_user_who_is_being_deleted_leaves_no_event(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    admitted = await register_attempt(services, clock)
    async with services.db.transaction() as conn:
        await users.lock_for_deletion(conn, alice.id)
        failing = asyncio.create_task(services.sign_in.record_failure("alice", admitted, ORIGIN, clock.now()))
        await asyncio.sleep(0.2)
        await users.delete_user(conn, alice.id)
        await Compiled(delete(usernames)).execute(conn, {})
    await failing
    assert await rows(services, security_events) == []


@on_postgresql
async def test_a_password_change_waits_for_the_deletion_of_its_user_and_is_refused(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    admitted = await register_attempt(services, clock)
    async with services.db.transaction() as conn:
        await users.lock_for_deletion(conn, alice.id)
        await services.accounts._record_success(admitted)  # names no user, so it waits for no lock
        storing = asyncio.ensure_future(
            services.accounts._store_password(
                alice.id, alice.hashed_password, ORIGIN, clock.now(), current=alice.id, verified=alice.hashed_password
            )
        )
        await asyncio.sleep(0.2)
        assert not storing.done()
        await NO_LOCK_WAITS.execute(conn, {})
        await services.accounts.throttle.reset(conn, "alice")
        await users.delete_user(conn, alice.id)
    with pytest.raises(Unauthenticated):
        await storing
    assert await rows(services, familiar_networks) == []


@on_postgresql
async def test_a_refused_attempt_leaves_no_dead_row(services: Services, alice: UserRow, clock: FakeClock) -> None:
    for _ in range(5):
        await register_attempt(services, clock)

    async def versions() -> list[Any]:
        async with looking_at(services.db) as conn:
            return list(
                (await conn.execute(text("SELECT ctid, xmin, xmax FROM login_failures ORDER BY subject"))).all()
            )

    before = await versions()
    for _ in range(3):
        assert isinstance(
            await services.sign_in.throttle.register_attempt("alice", ADDRESS, clock.now()), TooManyAttempts
        )
    assert await versions() == before
