"""PostgreSQL: connections of asyncpg, a pool of them, and the blocks that use one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import asyncpg

from db.drivers.connection import Connection, Dialect, Statement
from db.drivers.errors import raise_translated
from db.drivers.rows import Row, Values

T = TypeVar("T")

# Seconds that a server has to acknowledge that a statement is cancelled, before its connection is dropped.
CANCEL_TIMEOUT = 2


class Pool:
    """Up to `size` connections. The one that was used last is used next, so that few stay open and warm.

    Half of them are for single statements and half for transactions, so that neither can starve the other.

    asyncpg's own pool starts a task for each connection that is given back, and waits for it. Here nothing waits
    between a commit and its answer.
    """

    def __init__(self, size: int, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self.size = size
        self.in_use = 0
        self.statements = asyncio.Semaphore(size // 2)
        self.transactions = asyncio.Semaphore(size - size // 2)
        self._connect = connect
        self._idle: list[asyncpg.Connection] = []

    async def check_out(self, slots: asyncio.Semaphore) -> asyncpg.Connection:
        """Return an idle connection or open one, as soon as one of the slots is free."""
        await slots.acquire()
        self.in_use += 1
        try:
            while self._idle:
                if not (driver := self._idle.pop()).is_closed():  # the server may have hung up
                    return driver
            return await self._connect()
        except BaseException:
            self._release(slots)
            raise

    def check_in(self, driver: asyncpg.Connection, slots: asyncio.Semaphore) -> None:
        """Take a connection back: it is kept unless it is closed or a transaction is open on it."""
        if not driver.is_closed():
            if driver.is_in_transaction():
                driver.terminate()
            else:
                self._idle.append(driver)
        self._release(slots)

    def _release(self, slots: asyncio.Semaphore) -> None:
        self.in_use -= 1
        slots.release()

    async def close(self) -> None:
        """Close the idle connections. The next statement opens one again."""
        while self._idle:
            await self._idle.pop().close()

    def terminate(self) -> None:
        """Drop the idle connections without a word to the server, which may not answer any more."""
        while self._idle:
            self._idle.pop().terminate()


class PostgreSQLConnection(Connection):
    """A connection in use."""

    dialect = Dialect.postgresql

    def __init__(self, driver: asyncpg.Connection) -> None:
        super().__init__()
        self.driver = driver

    async def all(self, statement: Statement[Row], values: Values) -> Sequence[Row]:
        """Run the statement and return its rows."""
        compiled = statement.on_postgresql
        return compiled.decode(await self.answer(self.driver.fetch(*compiled.bind(values))))

    async def execute(self, statement: Statement[Any], values: Values) -> int:
        """Run the statement and return how many rows it changed."""
        text, *arguments = statement.on_postgresql.bind(values)
        status = await self.answer(self.driver.execute(text, *arguments))
        return int(status.rpartition(" ")[2])  # such as "UPDATE 3"

    async def execute_many(self, statement: Statement[Any], values: Sequence[Values]) -> None:
        """Run the statement once for each of the values, in one round trip."""
        await self.answer(self.driver.executemany(*statement.on_postgresql.bind_many(values)))

    async def answer(self, answer: Awaitable[T]) -> T:
        """Wait for the driver's answer. A connection whose answer was not read to the end is closed, not used again."""
        try:
            return await answer
        except asyncpg.PostgresError:
            raise  # from the server, which is ready for the next statement, or names why it closes the connection
        except Exception as error:
            was_closed = self.driver.is_closed()
            self.driver.terminate()
            if was_closed:
                raise ConnectionError from error
            raise
        except BaseException:
            # The driver asks the server to cancel the statement, so that no lock is held for the rest of it.
            with suppress(Exception):
                await asyncio.shield(self.driver.close(timeout=CANCEL_TIMEOUT))
            raise


class Autocommit(AbstractAsyncContextManager[Connection]):
    """A block of single statements, each of which commits by itself.

    A class, because the event loop tracks asynchronous generators: three of them cost half as much as the driver's
    part of a statement.
    """

    def __init__(self, pool: Pool, slots: asyncio.Semaphore, *, writes: bool) -> None:
        self._pool = pool
        self._slots = slots
        # If the connection breaks, a statement that commits by itself may have committed.
        self._commit_under_way = writes

    async def __aenter__(self) -> Connection:
        try:
            self._conn = PostgreSQLConnection(await self._pool.check_out(self._slots))
        except Exception as error:
            raise_translated(error, commit_under_way=False)
        return self._conn

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._leave(error)
        self._pool.check_in(self._conn.driver, self._slots)

    def _leave(self, error: BaseException) -> NoReturn:
        # Cancelled between two statements: the server rolls back when its connection ends.
        if not isinstance(error, Exception):
            self._conn.driver.terminate()
        self._pool.check_in(self._conn.driver, self._slots)
        if isinstance(error, Exception):
            raise_translated(error, commit_under_way=self._commit_under_way)
        raise error


class Transaction(Autocommit):
    """A block that is one transaction: committed at its end, rolled back where it raises."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, pool.transactions, writes=False)

    async def __aenter__(self) -> Connection:
        conn = await super().__aenter__()
        try:
            await self._conn.answer(self._conn.driver.execute("BEGIN;"))
        except BaseException as error:
            self._conn.driver.terminate()
            self._leave(error)
        return conn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._commit_under_way = error is None
        try:
            if error is None:
                await self._conn.answer(self._conn.driver.execute("COMMIT;"))
            elif isinstance(error, Exception) and not self._conn.driver.is_closed():
                await self._conn.answer(self._conn.driver.execute("ROLLBACK;"))
        except BaseException as failure:
            self._leave(failure)
        await super().__aexit__(kind, error, traceback)
        if error is None:
            self._conn.committed()
