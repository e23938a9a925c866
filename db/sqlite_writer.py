"""SQLite's writer for what is done most: one connection, and a whole transaction there at once.

The usual way goes to a connection's thread and back for each statement, for the beginning and for the commit. Here only
what may wait goes to a thread: the beginning, for the lock of another process, and the commit, for the disk. What is
between them has the lock and waits for nobody. It runs on the event loop: a thread that does many short statements asks
for Python's lock after each of them, and keeps the event loop from its work more than the statements themselves would.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class SQLiteWriter:
    """One transaction at a time. `prepare` is called with each new connection."""

    def __init__(self, path: str, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._prepare = prepare
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._turn = asyncio.Lock()

    async def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work in a transaction, committed when it returns, and rolled back when it raises or nobody waits.

        The work is short statements alone. Who gives up is told so only when the transaction has ended.
        """
        async with self._turn:
            try:
                connection = await self._in_thread(self._begin)
                done = work(connection)
                await self._in_thread(partial(self._commit, connection))
            except BaseException:
                await self._in_thread(self._roll_back)
                raise
        return done

    async def _in_thread(self, step: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        done = asyncio.get_running_loop().run_in_executor(self._thread, step)
        given_up: asyncio.CancelledError | None = None
        while not done.done():
            try:
                await asyncio.wait([done])
            except asyncio.CancelledError as cancelled:  # it comes once for each in a batch who gives up
                given_up = cancelled
        if given_up is not None:
            done.exception()  # has been seen
            raise given_up
        return done.result()

    def _begin(self) -> sqlite3.Connection:
        if self._connection is None:
            # The thread and the event loop have it in turn, never both.
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def _commit(self, connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Close the connection, after what is under way. The next transaction opens another."""
        async with self._turn:
            if (thread := self._thread) is not None:
                await self._in_thread(self._close)
                self._thread = None
                thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
