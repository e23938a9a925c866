"""The database as use cases see it: a transaction, a single statement, a read."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.drivers.errors import raise_translated
from db.drivers.postgresql import AFTER_COMMIT, AutocommitConnection, Transaction
from db.drivers.sqlite_reader import SQLiteReadConnection, SQLiteReader
from db.drivers.sqlite_writer import BUSY_RETRIES, SQLiteWriter
from db.engine.shared_timeout import SharedTimeout

T = TypeVar("T")

Connection = AsyncConnection

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
AUTOCOMMIT, ONLY_READS = "AUTOCOMMIT", "only_reads"


def url_of(text: str) -> URL:
    """The database URL with the asynchronous driver filled in.

    Raises ValueError, which does not repeat the URL (it may hold a password), for anything that is neither SQLite
    nor PostgreSQL.
    """
    try:
        url = make_url(text)
    except Exception:
        url = None
    if url is None or url.drivername not in {*DRIVERS, *DRIVERS.values()} or _is_in_memory(url):
        raise ValueError("must look like sqlite:///kindred.db or postgresql://user:password@host/database") from None
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def _is_in_memory(url: URL) -> bool:
    # A database that only the connection which made it can see: not even its migrations would be in it.
    is_named_so = not url.database or ":memory:" in url.database or url.query.get("mode") == "memory"
    return url.get_backend_name() == "sqlite" and is_named_so


def create_engine(url: URL, *, timeout: float = 5, pool_size: int = 10) -> AsyncEngine:
    """An engine for either database. `timeout` in seconds bounds each wait for a lock, a statement, a connection."""
    if url.get_backend_name() == "sqlite":
        return _create_sqlite_engine(url, timeout)
    milliseconds = str(int(timeout * 1000))
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        pool_use_lifo=True,
        hide_parameters=True,  # or a statement that fails takes its values into the log
        connect_args={
            "timeout": timeout,
            "server_settings": {
                "application_name": "kindred",
                "lock_timeout": milliseconds,
                "statement_timeout": milliseconds,
                # A worker that hangs within a transaction must not hold its locks for ever.
                "idle_in_transaction_session_timeout": milliseconds,
            },
        },
    )


def _create_sqlite_engine(url: URL, timeout: float) -> AsyncEngine:
    if url.database and not Path(url.database).exists():
        # Readable by its owner alone; SQLite gives the -wal and -shm files the same mode.
        os.close(os.open(url.database, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_async_engine(url, pool_timeout=timeout, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        _prepare_sqlite(connection, timeout)

    @event.listens_for(engine.sync_engine, "close")
    def roll_back(connection: Any, _record: object) -> None:
        # A request that is cut off between a statement and its rows leaves the statement open, and SQLite keeps a
        # closed connection with its lock until the last statement is freed: nobody could write until then.
        connection.rollback()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        if not connection.get_execution_options().get(ONLY_READS):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _prepare_sqlite(connection: Any, timeout: float) -> None:
    # The driver must not begin transactions on its own: it would begin them as readers, and a reader that turns
    # writer while another one writes gets "database is locked" at once, whatever the timeout.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A fifth of what the whole request may take: while SQLite waits it cannot be interrupted, and a request that is
    # cut off meanwhile waits with it.
    cursor.execute(f"PRAGMA busy_timeout = {int(timeout * 200)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # NORMAL may lose the last commits at a power cut, and with them the revocation of a replayed family.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


class Database:
    """An engine, and the ways to use it."""

    def __init__(self, engine: AsyncEngine, *, timeout: float, fraction: Callable[[], float]) -> None:
        """`timeout` in seconds; `fraction` draws a number from 0 up to 1, by which retries are spread over time."""
        self.engine = engine
        self.timeout = timeout
        self.fraction = fraction
        self.deadline = SharedTimeout(timeout)
        # SQLite has one writer at a time, and lets those who wait find out by trying again and again, with no order
        # among them. Within this process they queue instead.
        self._write_lock = asyncio.Lock()
        self._commits_by_itself = engine.dialect.name == "postgresql"
        autocommit = {"isolation_level": AUTOCOMMIT} if self._commits_by_itself else {ONLY_READS: True}
        self._autocommit_engine = engine.execution_options(**autocommit)
        # Half of the connections do single statements and are not handed back between them: to check one out and in
        # again costs twice what the driver takes for the statement itself.
        # Transactions have the other half, so that neither can starve the other.
        size = engine.pool.size()  # type: ignore[attr-defined]
        self._slots, self._write_slots = asyncio.Semaphore(size // 2), asyncio.Semaphore(size - size // 2)
        self._idle: list[Connection] = []
        # None on PostgreSQL.
        self.writer: SQLiteWriter | None = None
        self.reader: SQLiteReader | None = None
        if not self._commits_by_itself and (path := engine.url.database):
            # As patient as the others, but in portions: whoever gives up waits for the end of one.
            self.writer = SQLiteWriter(path, lambda connection: _prepare_sqlite(connection, timeout / BUSY_RETRIES))
            self.reader = SQLiteReader(path, lambda connection: _prepare_sqlite(connection, timeout))

    async def write(self, work: Callable[[sqlite3.Connection], T], *, busy_retries: int = BUSY_RETRIES) -> T:
        """SQLite: one transaction, done by one function in the writer's thread. `portions`: of all of its patience."""
        if self.writer is None:
            raise TypeError("there is a writer on SQLite alone")
        try:
            async with self._write_lock:
                return await self.writer.transaction(work, busy_retries=busy_retries)
        except Exception as error:
            raise_translated(error, commit_under_way=False)

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction, committed when the block ends and rolled back when it raises."""
        return Transaction(self, self._write_slots) if self._commits_by_itself else self._transaction_on_sqlite()

    @asynccontextmanager
    async def _transaction_on_sqlite(self) -> AsyncIterator[Connection]:
        commit_under_way = False
        try:
            async with self._write_lock, self.engine.connect() as conn:
                async with conn.begin():
                    yield conn
                    commit_under_way = True
                call_back = conn.info.pop(AFTER_COMMIT, None)
            if call_back is not None:
                call_back()
        except Exception as error:
            raise_translated(error, commit_under_way=commit_under_way)

    def autocommit(self, *, may_block: bool = False) -> AbstractAsyncContextManager[Connection]:
        """For work that is one writing statement on PostgreSQL, which commits by itself: one round trip, not three.

        `waits`: for rows that transactions hold, and so among those. On SQLite, where there are no round trips, it is a
        transaction.
        """
        if not self._commits_by_itself:
            return self.transaction()
        return AutocommitConnection(self, self._write_slots if may_block else self._slots, commit_under_way=True)

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """For statements that only read, each on its own."""
        return AutocommitConnection(self, self._slots) if self.reader is None else self._read_on_sqlite(self.reader)

    @asynccontextmanager
    async def _read_on_sqlite(self, reader: SQLiteReader) -> AsyncIterator[Connection]:
        try:
            async with AsyncExitStack() as stack:
                single = AutocommitConnection(self, self._slots)
                yield SQLiteReadConnection(self.engine, reader, take=lambda: stack.enter_async_context(single))
        except Exception as error:
            raise_translated(error, commit_under_way=False)

    async def check_out(self) -> Connection:
        """A connection that was kept, or a new one. Whoever takes one has a place."""
        while self._idle:
            conn = self._idle.pop()
            if not _is_closed(conn):
                return conn
            await conn.invalidate()
            await conn.close()
        return await self._autocommit_engine.connect()

    async def check_in(self, conn: Connection) -> None:
        """Keep a connection that was used to the end."""
        try:
            if conn.in_transaction():  # as SQLAlchemy sees it; the database has none open
                await conn.rollback()
        except BaseException:
            await asyncio.shield(conn.close())
            raise
        self._idle.append(conn)

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are at work, and how many there may be."""
        pool: Any = self.engine.pool
        return pool.checkedout() - len(self._idle), pool.size()

    async def close(self) -> None:
        """Give back every connection; one that does not answer any more does not keep us from stopping."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.timeout):
                if self.writer:
                    await self.writer.close()
                if self.reader:
                    await self.reader.close()
                while self._idle:
                    await self._idle.pop().close()
                await self.engine.dispose()


def after_commit(conn: Connection, call_back: Callable[[], None]) -> None:
    """Call this when the transaction is in: the one call of a transaction, the last given.

    For a nudge and no more. After a rollback the next commit on the same connection may call it, and where a
    connection breaks during the commit nobody does.
    """
    conn.info[AFTER_COMMIT] = call_back


def _is_closed(conn: Connection) -> bool:
    # PostgreSQL's driver notices when the server hangs up; a file does not.
    driver: Any = conn.sync_connection and conn.sync_connection.connection.driver_connection
    return isinstance(driver, asyncpg.Connection) and driver.is_closed()
