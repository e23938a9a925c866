"""What a sign-in writes: at once where all is as usual, in a transaction where it is not, and once whatever breaks."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from passlib.hash import argon2
from sqlalchemy import delete, insert, select, text

from auth.credentials.login_throttle import LoginAttempt, _name
from auth.outcomes import Origin, SignedIn, TooManyAttempts
from auth.services import Services
from auth.use_cases.sessions import Unauthenticated
from db.drivers.errors import RolledBack
from db.engine.compiled import Compiled
from db.hot_path import session_inserts
from db.tables import users
from db.tables.base import metadata
from db.tables.familiar_networks import familiar_networks
from db.tables.families import families
from db.tables.login_failures import login_failures
from db.tables.security_events import security_events
from db.tables.usernames import usernames
from db.tables.users import UserRow as User
from tests.support.clocks import FakeClock
from tests.support.doors import PASSWORD
from tests.support.proxy import Proxy
from tests.support.sql import looking_at

ADDRESS = "198.51.100.7"
ORIGIN = Origin(ADDRESS, "a browser")
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


async def guess(services: Services, clock: FakeClock) -> LoginAttempt:
    admitted = await services.sign_in.throttle.register_attempt("alice", ADDRESS, clock.now())
    assert isinstance(admitted, LoginAttempt)
    return admitted


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each sign-in was written at once, of those for which that was tried."""
    tried, usual = [], session_inserts.insert_if_unchanged

    async def watched(*arguments: Any) -> Any:
        stored = await usual(*arguments)
        tried.append(stored is not None)
        return stored

    monkeypatch.setattr(session_inserts, "insert_if_unchanged", watched)
    return tried


async def test_a_sign_in_from_a_familiar_network_is_written_at_once_and_the_same_as_in_a_transaction(
    services: Services, alice: User, clock: FakeClock, at_once: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in(services, clock)
    assert at_once == []  # nothing is familiar yet

    async def written(device_name: str) -> dict[str, list[dict[str, Any]]]:
        """What one sign-in adds to each table, but what is drawn by lot."""
        before = {table.name: await rows(services, table) for table in metadata.sorted_tables}
        await sign_in(services, clock, device_name)
        added = {
            table.name: [row._asdict() for row in await rows(services, table) if row not in before[table.name]]
            for table in metadata.sorted_tables
        }
        drawn = {"id", "family_id", "token_digest", "device_name"}
        return {
            name: [{column: value for column, value in row.items() if column not in drawn} for row in found]
            for name, found in added.items()
        }

    usual = await written("one")
    assert at_once == [True]

    async def never(*_: Any) -> None:
        return None

    monkeypatch.setattr(session_inserts, "insert_if_unchanged", never)
    assert await written("another") == usual
    assert {name for name, found in usual.items() if found} == {"token_families", "refresh_tokens", "security_events"}
    assert {row.device_name for row in await rows(services, families)} == {None, "one", "another"}
    assert await rows(services, login_failures) == []


async def test_a_network_is_noted_again_when_it_was_seen_long_ago_and_not_at_each_sign_in(
    services: Services, alice: User, clock: FakeClock, at_once: list[bool]
) -> None:
    seen = []
    for passing in (timedelta(0), timedelta(hours=1), timedelta(days=2)):
        clock.advance(passing)
        await sign_in(services, clock)
        (network,) = await rows(services, familiar_networks)
        seen.append(network.last_seen_at)
    assert seen[0] == seen[1]
    assert seen[2] == clock.now()
    assert at_once == [True, True]


async def disabled(services: Services, user: User, clock: FakeClock) -> None:
    await services.accounts.disable(user.id, clock.now())


async def given_a_new_password(services: Services, user: User, clock: FakeClock) -> None:
    await services.accounts.set_password(user, "another word altogether", clock.now())


async def deleted(services: Services, user: User, _clock: FakeClock) -> None:
    await services.accounts.delete(user)


@pytest.mark.parametrize("changed", [disabled, given_a_new_password, deleted])
async def test_cred_11_nobody_is_let_in_who_changed_while_the_password_was_looked_at(
    services: Services,
    alice: User,
    clock: FakeClock,
    at_once: list[bool],
    changed: Callable[[Services, User, FakeClock], Awaitable[None]],
) -> None:
    await sign_in(services, clock)
    admitted = await guess(services, clock)
    await changed(services, alice, clock)
    assert await services.sign_in._open(alice, admitted, None, None, ORIGIN, clock.now()) is None
    assert at_once == [False]
    assert len([family for family in await rows(services, families) if family.revoked_at is None]) == 0


@at_most_three
async def test_sess_08_a_sign_in_beyond_the_limit_is_not_written_at_once_but_ends_another_session(
    services: Services, alice: User, clock: FakeClock, at_once: list[bool]
) -> None:
    opened = []
    for _ in range(4):
        clock.advance(timedelta(seconds=1))
        opened.append((await sign_in(services, clock)).family.id)
    assert at_once == [True, True, False]
    live = {family.id for family in await rows(services, families) if family.revoked_at is None}
    assert live == set(opened[1:])


async def test_a_network_that_was_forgotten_meanwhile_is_new_again(
    services: Services, alice: User, clock: FakeClock, at_once: list[bool]
) -> None:
    await sign_in(services, clock)
    admitted = await guess(services, clock)
    async with looking_at(services.db) as conn:
        await conn.execute(delete(familiar_networks))
    assert await services.sign_in._open(alice, admitted, None, None, ORIGIN, clock.now())
    assert at_once == [False]
    assert len(await rows(services, familiar_networks)) == 1


@at_most_three
async def test_sess_08_many_sign_ins_at_once_count_each_other(
    services: Services, alice: User, clock: FakeClock, at_once: list[bool]
) -> None:
    """Each has seen the user as they were before all the others, so at most one of them can be written at once."""
    await sign_in(services, clock)
    for _ in range(5):
        clock.advance(timedelta(seconds=1))
        admitted = [await guess(services, clock) for _ in range(5)]
        del at_once[:]
        opened = await asyncio.gather(
            *(services.sign_in._open(alice, one, None, None, ORIGIN, clock.now()) for one in admitted)
        )
        assert all(opened)
        assert at_once.count(True) <= (1 if services.db.writer is None else 3)  # SQLite counts again
        assert len([family for family in await rows(services, families) if family.revoked_at is None]) == 3
        assert await rows(services, login_failures) == []


@on_postgresql
async def test_a_sign_in_at_once_waits_for_whoever_holds_the_user_and_then_finds_them_changed(
    services: Services, alice: User, clock: FakeClock, at_once: list[bool]
) -> None:
    await sign_in(services, clock)
    admitted = await guess(services, clock)
    async with looking_at(services.db) as conn:
        # As a sign-in in a transaction does it.
        await conn.execute(text("UPDATE users SET is_active = is_active WHERE id = :id"), {"id": alice.id})
        opening = asyncio.create_task(services.sign_in._open(alice, admitted, None, None, ORIGIN, clock.now()))
        await asyncio.sleep(0.2)
        assert not opening.done()
    assert await opening
    assert at_once == [False]


@through_a_proxy
@pytest.mark.parametrize("kind", ["at once", "in a transaction", "with a newer hash"])
@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
async def test_a_sign_in_whose_connection_breaks_opens_one_session_and_tells_of_one(
    services: Services, proxy: Proxy, alice: User, clock: FakeClock, kind: str, committed: bool
) -> None:
    for _ in range(0 if kind == "in a transaction" else 3):
        await sign_in(services, clock)
    if kind == "with a newer hash":
        weak = argon2.using(memory_cost=8192, time_cost=1, parallelism=1).hash(PASSWORD)  # type: ignore[no-untyped-call]
        async with services.db.transaction() as conn:
            await users.set_password(conn, alice.id, weak, changed_at=None)
    before = len(await rows(services, families))
    cut = proxy.cut_after if committed else proxy.cut_before
    cut(DEVICE.encode() if kind == "at once" else b"COMMIT;")
    signed_in = await sign_in(services, clock, DEVICE)
    assert proxy.cuts > 0
    (opened,) = [family for family in await rows(services, families) if family.device_name == DEVICE]
    assert opened.id == signed_in.family.id
    kinds = [event.kind for event in await rows(services, security_events)]
    assert kinds == ["LOGIN_SUCCEEDED"] * (before + 1)
    assert await rows(services, login_failures) == []
    # And what was handed out is good.
    assert await services.sessions.authenticate(signed_in.tokens.access_token, clock.now())


@through_a_proxy
async def test_a_guess_whose_connection_breaks_while_it_is_counted_is_counted_at_least_once(
    services: Services, proxy: Proxy, alice: User, clock: FakeClock
) -> None:
    for committed in (True, False):
        (proxy.cut_after if committed else proxy.cut_before)(b"alice")
        assert (await guess(services, clock)).attempt_number == (2 if committed else 3)
    assert proxy.cuts > 0


async def test_cred_07_of_guesses_at_once_no_more_are_made_than_there_is_room_for(
    services: Services, alice: User, clock: FakeClock
) -> None:
    """Nobody has failed before, so each of them could be counted at once."""
    throttle = services.sign_in.throttle
    admitted = await asyncio.gather(*(throttle.register_attempt("alice", ADDRESS, clock.now()) for _ in range(40)))
    made = [one for one in admitted if isinstance(one, LoginAttempt)]
    assert sorted(one.attempt_number for one in made) == [1, 2, 3, 4, 5]
    assert [row.failures for row in await rows(services, login_failures)] == [5, 5, 5]


@on_postgresql
@pytest.mark.parametrize("more_settings", [{"database_pool_size": 24}], ids=[""])
async def test_cred_07_guesses_that_all_saw_room_take_back_what_was_too_much(
    services: Services, alice: User, clock: FakeClock
) -> None:
    throttle = services.sign_in.throttle
    held = insert(login_failures).values(
        subject=_name("alice"), failures=1, first_failed_at=clock.now(), last_failed_at=clock.now()
    )
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with suppress(RolledBack):
        async with looking_at(services.db) as conn:
            await conn.execute(held)  # which nobody else sees, and everybody has to wait for
            guesses = [
                asyncio.ensure_future(throttle.register_attempt("alice", ADDRESS, clock.now())) for _ in range(10)
            ]
            for _ in range(500):
                await conn.execute(text("SELECT pg_stat_clear_snapshot()"))
                if (await conn.execute(waiting)).scalar_one() == len(guesses):
                    break
                await asyncio.sleep(0.01)
            raise RolledBack
    made = [one for one in await asyncio.gather(*guesses) if isinstance(one, LoginAttempt)]
    assert sorted(one.attempt_number for one in made) == [1, 2, 3, 4, 5]
    assert [row.failures for row in await rows(services, login_failures)] == [5, 5, 5]


@on_postgresql
async def test_wrong_guesses_at_a_user_who_is_held_keep_nobody_else_waiting(
    services: Services, alice: User, bob: User, clock: FakeClock
) -> None:
    """What they write refers to the user, and waits; refreshes and reads have connections of their own."""
    opened = await services.sign_in.login("bob", PASSWORD, None, ORIGIN, clock.now())
    assert isinstance(opened, SignedIn)
    async with services.db.transaction() as conn:
        await users.lock_for_deletion(conn, alice.id)
        record, origin = services.sign_in._fail, Origin(ADDRESS)
        admitted = [await guess(services, clock) for _ in range(4)] * 2
        wrong = [asyncio.create_task(record("alice", one, origin, clock.now())) for one in admitted]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in wrong)
        async with asyncio.timeout(1):
            assert await services.sessions.authenticate(opened.tokens.access_token, clock.now())
    await asyncio.gather(*wrong)


@on_postgresql
async def test_a_wrong_guess_at_a_user_who_is_deleted_meanwhile_is_a_guess_at_nobody(
    services: Services, alice: User, clock: FakeClock
) -> None:
    admitted = await guess(services, clock)
    async with services.db.transaction() as conn:
        await users.lock_for_deletion(conn, alice.id)
        failing = asyncio.create_task(services.sign_in._fail("alice", admitted, ORIGIN, clock.now()))
        await asyncio.sleep(0.2)
        await users.delete_user(conn, alice.id)
        await Compiled(delete(usernames)).execute(conn, {})
    await failing
    assert await rows(services, security_events) == []


@on_postgresql
async def test_a_password_that_is_changed_while_its_user_is_deleted_waits_and_finds_nobody(
    services: Services, alice: User, clock: FakeClock
) -> None:
    admitted = await guess(services, clock)
    async with services.db.transaction() as conn:
        await users.lock_for_deletion(conn, alice.id)
        await services.accounts._record_success(admitted)  # names no user, and so waits for no one
        storing = asyncio.ensure_future(
            services.accounts._store_password(
                alice.id, alice.hashed_password, ORIGIN, clock.now(), current=alice.id, verified=alice.hashed_password
            )
        )
        await asyncio.sleep(0.2)
        assert not storing.done()
        async with asyncio.timeout(0.5):  # PostgreSQL looks for deadlocks after a second
            await services.accounts.throttle.reset(conn, "alice")
        await users.delete_user(conn, alice.id)
    with pytest.raises(Unauthenticated):
        await storing
    assert await rows(services, familiar_networks) == []


@on_postgresql
async def test_a_guess_that_is_refused_writes_nothing_at_all(services: Services, alice: User, clock: FakeClock) -> None:
    for _ in range(5):
        await guess(services, clock)

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
