"""SQLite's writer: one connection in a thread of its own, with one transaction at a time.

SQLite has one writer at a time. Other processes poll for their turn, in no order; the tasks of this process queue.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from threading import Event
from types import TracebackType
from typing import Any, TypeVar

from db.drivers.connection import Connection, Dialect, Statement
from db.drivers.errors import is_busy, raise_translated
from db.drivers.rows import Row, Values

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# How often to try to begin while another process writes. A caller that is cancelled waits for the end of one try.
BUSY_RETRIES = 5


class _Abandoned(Exception):
    """The caller of the transaction was cancelled."""


class SQLiteWriter:
    """Writes of this process. `prepare` is called with each new connection."""

    def __init__(self, path: str, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._prepare = prepare
        self._lock = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def in_use(self) -> bool:
        """Whether a transaction is under way."""
        return self._lock.locked()

    async def write(self, work: Work[T], *, busy_retries: int = BUSY_RETRIES) -> T:
        """Do the work in one transaction and one visit to the thread.

        It is committed when the work returns, and rolled back when it raises or the caller is cancelled.
        """

        def whole(cancelled: Event, connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                done = work(connection)
                if cancelled.is_set():
                    raise _Abandoned
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
            return done

        async with self._lock:
            return await self._while_busy(whole, busy_retries)

    async def begin(self) -> None:
        """Wait until no other task writes, and then no other process, and begin a transaction."""
        await self._lock.acquire()
        try:
            await self._while_busy(_begin, BUSY_RETRIES)
        except BaseException:
            await self.end(commit=False)
            raise

    async def end(self, *, commit: bool) -> None:
        """End the transaction that `begin` began."""

        def end() -> None:
            if self._connection is not None:
                try:
                    if commit:
                        self._connection.execute("COMMIT")
                finally:
                    _roll_back(self._connection)

        try:
            await self._in_thread(end)
        finally:
            self._lock.release()

    async def run(self, work: Work[T]) -> T:
        """Do the work in the transaction that `begin` began."""
        return await self._in_thread(partial(self._do, work))

    async def _while_busy(self, work: Callable[[Event, sqlite3.Connection], T], busy_retries: int) -> T:
        cancelled = Event()
        attempt = partial(self._do, partial(work, cancelled))
        for _ in range(busy_retries - 1):
            try:
                return await self._in_thread(attempt, cancelled)
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
        return await self._in_thread(attempt, cancelled)

    async def _in_thread(self, work: Callable[[], T], cancelled: Event | None = None) -> T:
        """Do the work in the thread. A caller that is cancelled waits for its end, so no work outlives its caller."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if cancelled is not None:
                cancelled.set()
            while not done.done():
                with suppress(asyncio.CancelledError):  # one for each caller in a batch that is cancelled
                    await asyncio.wait([done])
            raise

    def _do(self, work: Work[T]) -> T:
        if self._connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return work(self._connection)

    async def close(self) -> None:
        """Close the connection, after the work that is under way. The next transaction opens another."""
        async with self._lock:
            if (thread := self._thread) is not None:
                self._thread = None
                await asyncio.get_running_loop().run_in_executor(thread, self._close)
                thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _begin(_cancelled: Event, connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


class SQLiteTransaction(AbstractAsyncContextManager[Connection]):
    """A block that is one transaction: committed at its end, rolled back where it raises."""

    def __init__(self, writer: SQLiteWriter) -> None:
        self._writer = writer

    async def __aenter__(self) -> Connection:
        try:
            await self._writer.begin()
        except Exception as error:
            raise_translated(error, commit_under_way=False)
        self._conn = _WriterConnection(self._writer)
        return self._conn

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        try:
            await self._writer.end(commit=error is None)
        except Exception as failure:
            raise_translated(failure, commit_under_way=False)
        if isinstance(error, Exception):
            raise_translated(error, commit_under_way=False)
        if error is None:
            self._conn.committed()


class _WriterConnection(Connection):
    dialect = Dialect.sqlite

    def __init__(self, writer: SQLiteWriter) -> None:
        super().__init__()
        self._writer = writer

    async def all(self, statement: Statement[Row], values: Values) -> Sequence[Row]:
        compiled = statement.on_sqlite
        return await self._writer.run(lambda connection: compiled.all(connection, values))

    async def execute(self, statement: Statement[Any], values: Values) -> int:
        compiled = statement.on_sqlite
        return await self._writer.run(lambda connection: compiled.execute(connection, values))

    async def execute_many(self, statement: Statement[Any], values: Sequence[Values]) -> None:
        compiled = statement.on_sqlite
        await self._writer.run(lambda connection: compiled.execute_many(connection, values))
