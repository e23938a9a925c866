"""Refreshes that wait at the same moment go to the database in one batch, and each has its own outcome."""

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from auth.outcomes import ClientInfo, Invalid, RefreshOutcome, Replayed, Revoked, Rotated, SignedIn
from auth.services import Services
from auth.use_cases.rotation import JUST_ISSUED
from db.tables import families
from db.tables.base import RevocationReason
from db.tables.users import UserRow
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.sql import looking_at
from tests.support.statements import statements

KEY = "the-attempt-of-one-tab"
SESSIONS = 30


@pytest.fixture
async def sessions(services: Services, alice: UserRow, clock: FakeClock) -> list[SignedIn]:
    """Sessions of alice. Another session was refreshed, so the database connections are already open."""
    opened = [await services.sign_in.open_session(alice, None, ClientInfo(), clock.now()) for _ in range(SESSIONS + 1)]
    sessions = [session for session in opened if isinstance(session, SignedIn)]
    last = sessions.pop()
    assert isinstance(
        await services.rotation.refresh(last.tokens.refresh_token, KEY, ClientInfo(), clock.now()), Rotated
    )
    return sessions


async def refresh_all(
    services: Services, clock: FakeClock, tokens: list[str], key: Callable[[int], str] = "attempt-number-{:03}".format
) -> list[RefreshOutcome]:
    """Return the outcomes of refreshing all tokens at once."""
    return await asyncio.gather(
        *(services.rotation.refresh(token, key(n), ClientInfo(), clock.now()) for n, token in enumerate(tokens))
    )


@contextmanager
def transactions(services: Services) -> Iterator[list[str]]:
    """What is committed in the block: on PostgreSQL statements, on SQLite what its writer begins."""
    writer = services.db.writer
    if writer is None:
        with statements(services) as sent:
            yield sent
        return
    begun: list[str] = []

    def listen(listener: Callable[[str], object] | None) -> None:
        assert writer is not None
        assert writer._connection is not None
        writer._connection.set_trace_callback(listener)

    assert writer._thread is not None
    writer._thread.submit(listen, lambda sql: begun.append(sql) if sql.startswith("BEGIN") else None).result()
    with statements(services) as sent:
        yield begun
    writer._thread.submit(listen, None).result()
    assert sent == []


async def test_refreshes_that_wait_at_the_same_moment_are_sent_together(
    services: Services, clock: FakeClock, sessions: list[SignedIn]
) -> None:
    tokens = [session.tokens.refresh_token for session in sessions]
    with transactions(services) as sent:
        outcomes = await refresh_all(services, clock, tokens)
    # The first refreshes are sent at once and alone. Those that arrive while they run follow in one batch.
    assert len(sent) <= 3
    assert Counter(map(type, outcomes)) == {Rotated: SESSIONS}
    for session, outcome in zip(sessions, outcomes, strict=True):
        assert isinstance(outcome, Rotated)
        assert (outcome.family.id, outcome.family.generation, outcome.repeated) == (session.family.id, 2, False)
    rows = await services.sessions.list_lineages(sessions[0].user.id, [session.family.id for session in sessions])
    assert {tuple(row.generation for row in lineage) for lineage in rows.values()} == {(2, 1)}


async def test_refreshes_that_arrive_one_after_the_other_are_each_sent_alone(
    services: Services, clock: FakeClock, sessions: list[SignedIn]
) -> None:
    with transactions(services) as sent:
        for session in sessions[:5]:
            (outcome,) = await refresh_all(services, clock, [session.tokens.refresh_token])
            assert isinstance(outcome, Rotated)
    assert len(sent) == 5


@pytest.mark.parametrize("more_settings", [{"batch_rotations": False}], ids=["off"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_with_batching_off_each_refresh_is_sent_alone(
    services: Services, clock: FakeClock, sessions: list[SignedIn]
) -> None:
    with transactions(services) as sent:
        outcomes = await refresh_all(services, clock, [session.tokens.refresh_token for session in sessions])
    assert len(sent) == SESSIONS
    assert Counter(map(type, outcomes)) == {Rotated: SESSIONS}


async def test_each_refresh_in_a_batch_has_its_own_outcome(
    services: Services, clock: FakeClock, alice: UserRow, sessions: list[SignedIn]
) -> None:
    tokens = [session.tokens.refresh_token for session in sessions]
    ids = [session.family.id for session in sessions]
    replayed, ended, unknown = slice(0, 5), slice(5, 10), slice(10, 15)
    await refresh_all(services, clock, tokens[replayed])
    async with services.db.transaction() as conn:
        for family_id in ids[ended]:
            reason = RevocationReason.REVOKED_BY_USER
            await families.revoke(conn, alice.id, now=clock.now(), reason=reason, only=family_id)
    async with looking_at(services.db) as look:
        for family_id in ids[unknown]:
            await look.execute(families.families.delete().where(families.families.c.id == family_id))
    clock.advance(JUST_ISSUED)
    outcomes = await refresh_all(services, clock, tokens, "another-attempt-{:03}".format)
    assert list(map(type, outcomes)) == [Replayed] * 5 + [Revoked] * 5 + [Invalid] * 5 + [Rotated] * 15
    found = await services.sessions.get_many(alice.id, ids)
    reasons = [found[family_id].revocation_reason if family_id in found else None for family_id in ids]
    assert reasons == ["REFRESH_TOKEN_REPLAYED"] * 5 + ["REVOKED_BY_USER"] * 5 + [None] * 20


async def test_refreshes_of_one_session_in_a_batch_are_decided_one_after_the_other(
    services: Services, clock: FakeClock, sessions: list[SignedIn]
) -> None:
    """The same attempt sent twice gets the same answer twice. Two different attempts are a replay, in either order."""
    tokens = [session.tokens.refresh_token for session in sessions]
    outcomes = await refresh_all(services, clock, tokens + tokens, lambda n: f"attempt-number-{n % SESSIONS:03}")
    assert Counter(map(type, outcomes)) == {Rotated: 2 * SESSIONS}
    answered = [outcome.tokens.refresh_token for outcome in outcomes if isinstance(outcome, Rotated)]
    assert answered[:SESSIONS] == answered[SESSIONS:]
    assert sum(outcome.repeated for outcome in outcomes if isinstance(outcome, Rotated)) == SESSIONS
    outcomes = await refresh_all(services, clock, answered)  # each token twice, with different keys
    assert Counter(map(type, outcomes)) == {Rotated: SESSIONS, Replayed: SESSIONS}


async def test_a_refresh_that_the_database_refuses_does_not_fail_the_others(
    services: Services, clock: FakeClock, sessions: list[SignedIn]
) -> None:
    agent = "poison\0"  # PostgreSQL refuses a NUL in text; on SQLite a trigger refuses it
    if services.db.writer:
        async with looking_at(services.db) as conn:
            await conn.execute(
                text(
                    "CREATE TRIGGER poison BEFORE INSERT ON refresh_tokens WHEN NEW.user_agent LIKE 'poison%' "
                    "BEGIN SELECT RAISE(ABORT, 'poison'); END"
                )
            )
    outcomes: list[Any] = await asyncio.gather(
        *(
            services.rotation.refresh(
                session.tokens.refresh_token, KEY, ClientInfo(user_agent=agent if n == 17 else None), clock.now()
            )
            for n, session in enumerate(sessions)
        ),
        return_exceptions=True,
    )
    assert isinstance(outcomes.pop(17), Exception)
    assert Counter(map(type, outcomes)) == {Rotated: SESSIONS - 1}
    # Its token is not consumed.
    (outcome,) = await refresh_all(services, clock, [sessions[17].tokens.refresh_token])
    assert isinstance(outcome, Rotated)
    assert not outcome.repeated


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_refresh_that_waits_for_a_row_lock_delays_no_other_session(
    services: Services, clock: FakeClock, database_url: str, sessions: list[SignedIn]
) -> None:
    holder = await databases.connect(database_url)
    held: UUID = sessions[20].family.id
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM token_families WHERE id = $1 FOR UPDATE", held)
            requests = [
                asyncio.create_task(
                    services.rotation.refresh(session.tokens.refresh_token, KEY, ClientInfo(), clock.now())
                )
                for session in sessions
            ]
            async with asyncio.timeout(4):
                others = await asyncio.gather(*(request for n, request in enumerate(requests) if n != 20))
            assert Counter(map(type, others)) == {Rotated: SESSIONS - 1}
            assert not requests[20].done()
        assert isinstance(await requests[20], Rotated)
    finally:
        await holder.close()


async def test_a_cancelled_request_does_not_rotate_later(
    services: Services, clock: FakeClock, alice: UserRow, sessions: list[SignedIn]
) -> None:
    """The other requests of its batch are answered."""
    tokens = [session.tokens.refresh_token for session in sessions]
    requests = [
        asyncio.create_task(services.rotation.refresh(token, f"attempt-number-{n:03}", ClientInfo(), clock.now()))
        for n, token in enumerate(tokens)
    ]
    await asyncio.sleep(0)  # all requests wait now, the first ones for the database
    for request in requests[::2]:
        request.cancel()
    outcomes: list[Any] = await asyncio.gather(*requests, return_exceptions=True)
    assert Counter(map(type, outcomes[1::2])) == {Rotated: SESSIONS // 2}
    assert set(map(type, outcomes[::2])) == {asyncio.CancelledError}
    found = await services.sessions.get_many(alice.id, [session.family.id for session in sessions])
    generations = [found[session.family.id].generation for session in sessions]
    assert generations[1::2] == [2] * (SESSIONS // 2)
    # The cancelled requests that were not sent yet have not rotated.
    assert set(generations[4::2]) == {1}


async def test_a_batch_has_a_maximum_size(
    services: Services, alice: UserRow, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.hot_path.rotation_batches.MAX_BATCH", 4)
    clock.advance(timedelta(seconds=1))
    opened = [await services.sign_in.open_session(alice, None, ClientInfo(), clock.now()) for _ in range(19)]
    tokens = [session.tokens.refresh_token for session in opened if isinstance(session, SignedIn)]
    await refresh_all(services, clock, tokens[:1])
    with transactions(services) as sent:
        outcomes = await refresh_all(services, clock, tokens[1:])
    assert Counter(map(type, outcomes)) == {Rotated: 18}
    assert 5 <= len(sent) <= 7


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_reads_are_answered_while_a_batch_waits_for_another_process(
    services: Services, clock: FakeClock, database_url: str, sessions: list[SignedIn]
) -> None:
    answered = 0
    with closing(sqlite3.connect(make_url(database_url).database or "", isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        refreshing = asyncio.create_task(
            refresh_all(services, clock, [session.tokens.refresh_token for session in sessions])
        )
        for session in sessions:
            await services.sessions.authenticate(session.tokens.access_token, clock.now())
            answered += not refreshing.done()
        file.execute("ROLLBACK")
    assert answered == SESSIONS
    assert Counter(map(type, await refreshing)) == {Rotated: SESSIONS}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("interrupted_by", ["a cancelled request", "a fault"])
async def test_an_interrupted_batch_is_rolled_back_and_its_other_requests_succeed(
    services: Services, clock: FakeClock, alice: UserRow, sessions: list[SignedIn], interrupted_by: str
) -> None:
    """A trigger holds the last lineage row of the batch until its request is cancelled, or fails there."""
    writer = services.db.writer
    assert writer is not None
    assert writer._connection is not None
    assert writer._thread is not None
    connection, entered, release = writer._connection, Event(), Event()
    failed: list[bool] = []

    def stop(generation: int) -> int:
        entered.set()
        release.wait(10)
        if interrupted_by == "a fault" and not failed:
            failed.append(True)
            raise ValueError
        return generation

    def prepare() -> None:
        connection.create_function("stop", 1, stop)
        connection.execute(
            "CREATE TEMP TRIGGER stopping BEFORE INSERT ON refresh_tokens WHEN NEW.user_agent = 'stop' "
            "BEGIN SELECT stop(NEW.generation); END"
        )

    writer._thread.submit(prepare).result()
    first, *others = sessions
    ids = [session.family.id for session in others]

    def refresh(session: SignedIn, agent: str | None = None) -> "asyncio.Task[RefreshOutcome]":
        origin = ClientInfo(user_agent=agent)
        return asyncio.create_task(services.rotation.refresh(session.tokens.refresh_token, KEY, origin, clock.now()))

    requests = [refresh(first), *(refresh(session) for session in others[:-1]), refresh(others[-1], "stop")]
    assert await asyncio.to_thread(entered.wait, 10)
    found = await services.sessions.get_many(alice.id, ids)
    # All but the last are rotated, and nothing is committed.
    assert {family.generation for family in found.values()} == {1}
    if interrupted_by == "a cancelled request":
        requests[-1].cancel()
        for _ in range(10):  # from the request to its batch, and to the writer
            await asyncio.sleep(0)
    release.set()
    outcomes: list[Any] = await asyncio.gather(*requests, return_exceptions=True)
    last = outcomes.pop()
    assert Counter(map(type, outcomes)) == {Rotated: SESSIONS - 1}
    assert not any(outcome.repeated for outcome in outcomes)  # what was rolled back has left no trace
    found = await services.sessions.get_many(alice.id, ids)
    if interrupted_by == "a cancelled request":
        assert isinstance(last, asyncio.CancelledError)
        assert [found[family_id].generation for family_id in ids] == [2] * (len(ids) - 1) + [1]
    else:
        assert isinstance(last, Rotated)  # alone, at its second attempt
        assert {family.generation for family in found.values()} == {2}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_requests_cancelled_while_their_batch_runs_end_when_the_batch_ends(
    services: Services,
    clock: FakeClock,
    alice: UserRow,
    database_url: str,
    sessions: list[SignedIn],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each cancellation cancels the batch again."""
    writer = services.db.writer
    assert writer is not None
    entered, release, batches = Event(), Event(), itertools.count()
    usual = writer._do

    def held(*arguments: Any) -> Any:
        if next(batches) == 1:  # the batch after the first refresh, which is sent alone
            entered.set()
            release.wait(10)
        return usual(*arguments)

    monkeypatch.setattr(writer, "_do", held)

    requests = [
        asyncio.create_task(services.rotation.refresh(session.tokens.refresh_token, KEY, ClientInfo(), clock.now()))
        for session in sessions
    ]
    assert await asyncio.to_thread(entered.wait, 10)
    for request in requests[-1:-4:-1]:
        request.cancel()
        await asyncio.sleep(0)
    assert not any(request.done() for request in requests[1:])  # cancelled when their batch has ended
    release.set()
    outcomes: list[Any] = await asyncio.gather(*requests, return_exceptions=True)
    assert Counter(map(type, outcomes)) == {Rotated: SESSIONS - 3, asyncio.CancelledError: 3}
    with closing(sqlite3.connect(make_url(database_url).database or "", isolation_level=None, timeout=0)) as file:
        file.execute("BEGIN IMMEDIATE")
        file.execute("ROLLBACK")
    found = await services.sessions.get_many(alice.id, [session.family.id for session in sessions[-3:]])
    assert {family.generation for family in found.values()} == {1}
    again = await asyncio.gather(
        *(
            services.rotation.refresh(session.tokens.refresh_token, KEY, ClientInfo(), clock.now())
            for session in sessions
        )
    )
    assert Counter(map(type, again)) == {Rotated: SESSIONS}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_closing_the_writer_waits_for_its_transaction(services: Services) -> None:
    writer = services.db.writer
    assert writer is not None
    counting = writer.write(lambda connection: connection.execute("SELECT count(*) FROM users").fetchone())
    found, _ = await asyncio.gather(asyncio.create_task(counting), asyncio.create_task(writer.close()))
    assert found == (0,)
    assert writer._connection is None
    assert await writer.write(lambda connection: connection.in_transaction)
