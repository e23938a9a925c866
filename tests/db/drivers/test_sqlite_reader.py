"""SQLite's reader: reads that wait at one moment go to its thread together. A cancelled read leaves nothing open."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from threading import Event
from unittest.mock import patch

import pytest
from sqlalchemy.engine import make_url

from auth.outcomes import ClientInfo, SignedIn
from auth.services import Services
from db.drivers.errors import DatabaseUnavailable
from db.drivers.sqlite_reader import SQLiteReader
from db.engine.database import SQLiteDatabase
from db.tables import families, users
from db.tables.users import UserRow
from tests.support.clocks import FakeClock

READS = 30


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone."""
    return sqlite_url


@pytest.fixture
async def session(services: Services, alice: UserRow, clock: FakeClock) -> SignedIn:
    """A session of alice."""
    opened = await services.sign_in.open_session(alice, None, ClientInfo(), clock.now())
    assert isinstance(opened, SignedIn)
    return opened


@pytest.fixture
async def reader(services: Services) -> AsyncIterator[SQLiteReader]:
    """The reader, with its thread and connection open. In its statements `hold()` waits for `Held.release`."""
    assert isinstance(services.db, SQLiteDatabase)
    reader = services.db.reader
    assert await reader.rows("SELECT 1", {}) == [(1,)]
    yield reader
    Held.release.set()


class Held:
    """A read that runs until the test releases it."""

    entered, release = Event(), Event()


@contextmanager
def held(reader: SQLiteReader) -> Iterator[None]:
    """While the block runs, `hold()` in a statement of the reader waits."""
    Held.entered.clear()
    Held.release.clear()

    def hold() -> int:
        Held.entered.set()
        Held.release.wait(10)
        return 1

    assert reader._thread is not None
    assert reader._connection is not None
    reader._thread.submit(reader._connection.create_function, "hold", 0, hold).result()
    try:
        yield
    finally:
        Held.release.set()


def checkpointed(url: str) -> bool:
    """Whether SQLite could copy the whole write-ahead log into the file, which a running read prevents."""
    with closing(sqlite3.connect(make_url(url).database or "")) as file:
        busy, _, _ = file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


async def test_reads_that_wait_at_the_same_moment_go_to_the_thread_together(
    services: Services, reader: SQLiteReader, session: SignedIn, clock: FakeClock
) -> None:
    token = session.tokens.access_token
    with patch.object(reader, "_read", wraps=reader._read) as batches:
        found = await asyncio.gather(*(services.sessions.authenticate(token, clock.now()) for _ in range(READS)))
    assert {family.id for family in found} == {session.family.id}
    # The first read is sent at once and alone. Those that arrive while it runs follow in one batch.
    assert [len(call.args[0]) for call in batches.call_args_list] == [1, READS - 1]


async def test_a_batch_of_reads_has_a_maximum_size(reader: SQLiteReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.drivers.sqlite_reader.MAX_BATCH", 4)
    with patch.object(reader, "_read", wraps=reader._read) as batches:
        found = await asyncio.gather(*(reader.rows("SELECT :n", {"n": n}) for n in range(11)))
    assert found == [[(n,)] for n in range(11)]
    assert [len(call.args[0]) for call in batches.call_args_list] == [1, 4, 4, 2]


async def test_a_read_that_fails_does_not_fail_the_others_in_its_batch(
    services: Services, reader: SQLiteReader, session: SignedIn
) -> None:
    texts = ["SELECT 1", "SELECT 2", "SELECT nothing FROM nowhere", "SELECT 3"]
    found = await asyncio.gather(*(reader.rows(text, {}) for text in texts), return_exceptions=True)
    assert isinstance(found.pop(2), sqlite3.OperationalError)
    assert found == [[(1,)], [(2,)], [(3,)]]
    async with services.db.read() as conn:
        assert await families.get(conn, session.user.id, session.family.id) == session.family


async def test_an_input_output_error_of_the_reader_is_database_unavailable(
    services: Services, reader: SQLiteReader, session: SignedIn
) -> None:
    with (
        patch.object(reader, "_run", return_value=sqlite3_error(sqlite3.SQLITE_IOERR)),
        pytest.raises(DatabaseUnavailable),
    ):
        async with services.db.read() as conn:
            await families.get(conn, session.user.id, session.family.id)


def sqlite3_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


async def test_a_cancelled_read_leaves_no_statement_open_and_does_not_block_the_event_loop(
    reader: SQLiteReader, database_url: str, session: SignedIn
) -> None:
    with held(reader):
        text = "SELECT hold() FROM token_families UNION ALL SELECT 2 FROM token_families"
        slow = asyncio.create_task(reader.rows(text, {}))
        assert await asyncio.to_thread(Held.entered.wait, 10)
        behind = [asyncio.create_task(reader.rows("SELECT :n", {"n": n})) for n in range(3)]
        await asyncio.sleep(0)
        # The snapshot of a read prevents a checkpoint of the log, but only while the read runs.
        slow.cancel()
        behind[1].cancel()
        assert isinstance((await asyncio.gather(slow, return_exceptions=True))[0], asyncio.CancelledError)
        assert not behind[0].done()
        with patch.object(reader, "_read", wraps=reader._read) as batches:
            Held.release.set()
            assert [await behind[0], await behind[2]] == [[(0,)], [(2,)]]
    assert [len(call.args[0]) for call in batches.call_args_list] == [
        2
    ]  # the reader skips the read that was cancelled while it waited
    assert checkpointed(database_url)


async def test_a_read_does_not_wait_for_a_writer(
    services: Services, database_url: str, session: SignedIn, clock: FakeClock
) -> None:
    with closing(sqlite3.connect(make_url(database_url).database or "", isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        file.execute("UPDATE token_families SET device_name = 'changed'")
        found = await services.sessions.authenticate(session.tokens.access_token, clock.now())
        assert found.device_name is None
        file.execute("COMMIT")
    found = await services.sessions.authenticate(session.tokens.access_token, clock.now())
    assert found.device_name == "changed"


async def test_a_read_block_cannot_write(services: Services, alice: UserRow) -> None:
    async with services.db.read() as conn:
        with pytest.raises(TypeError, match="Use transaction"):
            await users.set_active(conn, alice.id, is_active=False)
    assert await services.accounts.get(alice.id) == alice


async def test_a_read_after_close_opens_the_reader_again(reader: SQLiteReader) -> None:
    await reader.close()
    await reader.close()
    assert await reader.rows("SELECT 1", {}) == [(1,)]


async def test_reads_that_arrive_while_the_reader_closes_are_answered(reader: SQLiteReader) -> None:
    with held(reader):
        reads = [asyncio.create_task(reader.rows("SELECT hold()", {}))]
        assert await asyncio.to_thread(Held.entered.wait, 10)
        closing_it = asyncio.create_task(reader.close())
        for _ in range(5):
            reads += [asyncio.create_task(reader.rows("SELECT 1", {})) for _ in range(5)]
            await asyncio.sleep(0)
        Held.release.set()
        await asyncio.wait_for(asyncio.gather(closing_it, *reads), 10)
    assert reader._connection is None
    assert await reader.rows("SELECT 1", {}) == [(1,)]


async def test_a_thread_that_cannot_start_fails_the_current_read_and_no_later_one(reader: SQLiteReader) -> None:
    await reader.close()
    with patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await asyncio.wait_for(reader.rows("SELECT 1", {}), 10)
    assert await asyncio.wait_for(reader.rows("SELECT 1", {}), 10) == [(1,)]
