"""SQLite's writer for what is done most: one connection in a thread of its own, and a whole transaction there at once.

The usual way goes to a connection's thread and back for each statement, for the beginning and for the commit.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import TypeVar

from db.drivers.errors import is_busy

T = TypeVar("T")

# How often it is tried to begin while somebody else writes: whoever gives up waits for the end of one attempt.
BUSY_RETRIES = 5


class _Abandoned(Exception):
    """Nobody waits for the transaction any more."""


class SQLiteWriter:
    """One transaction at a time. `prepare` is called with each new connection."""

    def __init__(self, path: str, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._prepare = prepare
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def transaction(self, work: Callable[[sqlite3.Connection], T], *, busy_retries: int = BUSY_RETRIES) -> T:
        """Do the work in a transaction, committed when it returns, and rolled back when it raises or nobody waits."""
        for _ in range(busy_retries - 1):
            try:
                return await self._transaction(work)
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
        return await self._transaction(work)

    async def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        given_up = Event()
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._do, work, given_up)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            given_up.set()
            while not done.done():
                with suppress(asyncio.CancelledError):  # it comes once for each in a batch who gives up
                    await asyncio.wait([done])
            raise

    def _do(self, work: Callable[[sqlite3.Connection], T], given_up: Event) -> T:
        if self._connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            done = work(self._connection)
            if given_up.is_set():
                raise _Abandoned
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return done

    async def close(self) -> None:
        """Close the connection, after what is under way. The next transaction opens another."""
        if (thread := self._thread) is not None:
            self._thread = None
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
