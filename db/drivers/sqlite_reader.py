"""SQLite's reader for what is read most: one connection in a thread of its own, and whatever waits is read in one go.

The usual way goes to a connection's thread and back for each read, and through SQLAlchemy's pool around it, which costs
more than the read itself. Reading on the event loop would cost no less than this, since those who wait share the way;
and although a reader never waits for who writes, it may wait for the disk.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MAX_BATCH = 64

Rows = Sequence[Sequence[Any]]
_CLOSE = ""  # in the place of a statement


@dataclass(eq=False, slots=True)
class _Query:
    """A statement, and who waits for its rows."""

    text: str
    values: dict[str, Any]
    answer: "asyncio.Future[Rows]"


class SQLiteReader:
    """Reads of one statement each. `prepare` is called with each new connection."""

    def __init__(self, path: str, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._prepare = prepare
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[_Query] = []
        self._in_flight = False

    async def rows(self, text: str, values: dict[str, Any]) -> Rows:
        """All rows of a statement. Who gives up leaves nothing behind: the thread reads to the end for nobody."""
        asked = _Query(text, values, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if not self._in_flight:
            self._dispatch()
        return await asked.answer

    def _dispatch(self) -> None:
        batch = [one for one in self._waiting[:MAX_BATCH] if not one.answer.done()]
        self._waiting = self._waiting[MAX_BATCH:]
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-reader")
        try:
            done = asyncio.get_running_loop().run_in_executor(self._thread, self._read, batch)
        except RuntimeError as error:  # no thread to be had
            return self._deliver(batch, [error] * len(batch))
        self._in_flight = True
        return done.add_done_callback(partial(self._on_done, batch))

    def _on_done(self, batch: Sequence[_Query], done: "asyncio.Future[list[Rows | Exception]]") -> None:
        self._in_flight = False
        self._deliver(batch, done.result())
        if self._waiting:
            self._dispatch()

    def _deliver(self, batch: Sequence[_Query], answers: Sequence[Rows | Exception]) -> None:
        for asked, rows in zip(batch, answers, strict=True):
            if asked.answer.done():
                continue  # gave up
            if isinstance(rows, Exception):
                asked.answer.set_exception(rows)
            else:
                asked.answer.set_result(rows)

    def _read(self, batch: Sequence[_Query]) -> list[Rows | Exception]:
        return [self._run(asked) for asked in batch]

    def _run(self, asked: _Query) -> Rows | Exception:
        try:
            if asked.text == _CLOSE:
                self._disconnect()
                return []
            if self._connection is None:
                self._connection = self._connect()
            return self._connection.execute(asked.text, asked.values).fetchall()
        except Exception as error:
            self._disconnect()
            return error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    async def close(self) -> None:
        """Close the connection, after whatever waits. The next read opens another."""
        while self._thread is not None:
            await self.rows(_CLOSE, {})
            if not self._in_flight and self._connection is None:  # nobody has come meanwhile
                self._thread.shutdown()
                self._thread = None


class SQLiteReadConnection(AsyncConnection):
    """What a block that reads is given: hot statements go to the reader, and the first of another kind takes, by
    `take`, a connection of SQLAlchemy's."""

    def __init__(
        self, engine: AsyncEngine, reader: SQLiteReader, take: Callable[[], Awaitable[AsyncConnection]]
    ) -> None:
        super().__init__(engine)
        self.reader = reader
        self._take = take

    @property  # type: ignore[misc]  # there it can be set, too
    def dialect(self) -> Dialect:
        """As of any connection."""
        return self.engine.dialect

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        """As of any connection."""
        await self._taken()
        return await super().execute(*arguments, **options)

    async def exec_driver_sql(self, *arguments: Any, **options: Any) -> Any:
        """As of any connection."""
        await self._taken()
        return await super().exec_driver_sql(*arguments, **options)

    async def run_sync(self, *arguments: Any, **options: Any) -> Any:
        """As of any connection."""
        await self._taken()
        return await super().run_sync(*arguments, **options)

    async def _taken(self) -> None:
        if self.sync_connection is None:
            self.sync_connection = (await self._take()).sync_connection
