"""SQLite's reader: one connection in a thread of its own, which reads for all tasks that wait in one visit.

A visit to a thread costs more than most reads. Reading on the event loop would cost no less, since the tasks share the
visit; and although a reader never waits for a writer, it may wait for the disk.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from db.drivers.connection import Connection, Dialect, Statement
from db.drivers.errors import raise_translated
from db.drivers.rows import Row, Values

MAX_BATCH = 64

Rows = Sequence[Sequence[Any]]
_CLOSE = ""  # in the place of a statement


@dataclass(eq=False, slots=True)
class _Query:
    """A statement, and the future of its rows."""

    text: str
    values: Values
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

    @property
    def in_use(self) -> bool:
        """Whether the thread reads."""
        return self._in_flight

    async def rows(self, text: str, values: Values) -> Rows:
        """Return all rows of a statement. If the caller is cancelled, the thread finishes it and drops the rows."""
        query = _Query(text, values, asyncio.get_running_loop().create_future())
        self._waiting.append(query)
        if not self._in_flight:
            self._dispatch()
        return await query.answer

    def _dispatch(self) -> None:
        batch = [query for query in self._waiting[:MAX_BATCH] if not query.answer.done()]
        self._waiting = self._waiting[MAX_BATCH:]
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-reader")
        try:
            done = asyncio.get_running_loop().run_in_executor(self._thread, self._read, batch)
        except RuntimeError as error:  # no thread can be started
            return self._deliver(batch, [error] * len(batch))
        self._in_flight = True
        return done.add_done_callback(partial(self._on_done, batch))

    def _on_done(self, batch: Sequence[_Query], done: "asyncio.Future[list[Rows | Exception]]") -> None:
        self._in_flight = False
        self._deliver(batch, done.result())
        if self._waiting:
            self._dispatch()

    def _deliver(self, batch: Sequence[_Query], answers: Sequence[Rows | Exception]) -> None:
        for query, rows in zip(batch, answers, strict=True):
            if query.answer.done():
                continue  # its caller was cancelled
            if isinstance(rows, Exception):
                query.answer.set_exception(rows)
            else:
                query.answer.set_result(rows)

    def _read(self, batch: Sequence[_Query]) -> list[Rows | Exception]:
        return [self._run(query) for query in batch]

    def _run(self, query: _Query) -> Rows | Exception:
        try:
            if query.text == _CLOSE:
                self._disconnect()
                return []
            if self._connection is None:
                self._connection = self._connect()
            return self._connection.execute(query.text, query.values).fetchall()
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
        """Close the connection, after the reads that wait. The next read opens another."""
        while self._thread is not None:
            await self.rows(_CLOSE, {})
            if not self._in_flight and self._connection is None:  # no read came in between
                self._thread.shutdown()
                self._thread = None


class SQLiteReads(AbstractAsyncContextManager[Connection]):
    """A block of statements that only read, each by itself."""

    def __init__(self, reader: SQLiteReader) -> None:
        self._conn = _ReaderConnection(reader)

    async def __aenter__(self) -> Connection:
        return self._conn

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            raise_translated(error, commit_under_way=False)


class _ReaderConnection(Connection):
    dialect = Dialect.sqlite

    def __init__(self, reader: SQLiteReader) -> None:
        super().__init__()
        self._reader = reader

    async def all(self, statement: Statement[Row], values: Values) -> Sequence[Row]:
        compiled = statement.on_sqlite
        return compiled.decode(await self._reader.rows(*compiled.bind(values)))

    async def execute(self, _statement: Statement[Any], _values: Values) -> int:
        raise TypeError("A block that reads cannot write. Use transaction().")

    async def execute_many(self, _statement: Statement[Any], _values: Sequence[Values]) -> None:
        raise TypeError("A block that reads cannot write. Use transaction().")
