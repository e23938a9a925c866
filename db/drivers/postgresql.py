"""PostgreSQL's driver, past SQLAlchemy: for what is said often, and in few words."""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, NoReturn, Protocol, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from db.drivers.errors import raise_translated

T = TypeVar("T")

AFTER_COMMIT = "after_commit"  # what is to be called then, in what the pool remembers of a connection


class _Pool(Protocol):
    async def check_out(self) -> AsyncConnection: ...
    async def check_in(self, conn: AsyncConnection) -> None: ...


class AutocommitConnection(AbstractAsyncContextManager[AsyncConnection]):
    """A connection for single statements, each of which commits by itself. `places` is how many there may be.

    A class, because the event loop keeps account of asynchronous generators: three of them cost half as much as the
    driver's part of a statement.
    """

    def __init__(self, keeper: _Pool, places: asyncio.Semaphore, *, commit_under_way: bool = False) -> None:
        self._keeper = keeper
        self._places = places
        self._commit_under_way = commit_under_way
        self._is_clean = False  # whether the connection is as it was, although an error was raised

    async def __aenter__(self) -> AsyncConnection:
        await self._places.acquire()
        try:
            self._conn = await self._keeper.check_out()
        except BaseException as error:
            self._places.release()
            if isinstance(error, Exception):
                raise_translated(error, commit_under_way=False)
            raise
        return self._conn

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _where: TracebackType | None
    ) -> None:
        try:
            if error is None or self._is_clean:
                await self._keeper.check_in(self._conn)
            else:
                await asyncio.shield(self._conn.close())
        finally:
            self._places.release()
        if isinstance(error, Exception):
            raise_translated(error, commit_under_way=self._commit_under_way)


class Transaction(AutocommitConnection):
    """A transaction that SQLAlchemy does not know of, on a connection that to it commits by itself."""

    async def __aenter__(self) -> AsyncConnection:
        conn = await super().__aenter__()
        sync: Any = conn.sync_connection
        # The one that began it ends it: SQLAlchemy would get another one in the place of one that broke.
        self._driver = sync.connection.driver_connection
        try:
            await on_driver(conn, self._driver, self._driver.execute("BEGIN;"))
        except BaseException as error:
            await self._roll_back(error)
        return conn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        conn = self._conn
        self._commit_under_way = error is None
        try:
            if error is None:
                await on_driver(conn, self._driver, self._driver.execute("COMMIT;"))
            elif isinstance(error, Exception) and not conn.invalidated:
                await on_driver(conn, self._driver, self._driver.execute("ROLLBACK;"))
                self._is_clean = True
        except BaseException as fault:
            await self._roll_back(fault)
        if error is not None and not isinstance(error, Exception):
            await self._roll_back(error)
        call_back = None if error else conn.info.pop(AFTER_COMMIT, None)
        await super().__aexit__(kind, error, where)
        if call_back is not None:
            call_back()

    async def _roll_back(self, error: BaseException) -> NoReturn:
        # Cut off anywhere, or nobody knows where it stands. What the server makes of a connection that ends is a
        # rollback.
        try:
            await asyncio.shield(self._terminate(error))
        finally:
            self._places.release()
        if isinstance(error, Exception):
            raise_translated(error, commit_under_way=self._commit_under_way)
        raise error

    async def _terminate(self, error: BaseException) -> None:
        await self._conn.invalidate(error)
        await self._conn.close()


async def on_driver(conn: AsyncConnection, driver: Any, answer: Awaitable[T]) -> T:
    """What PostgreSQL's driver answers, past SQLAlchemy. A connection that broke, or that was cut off, ends with it."""
    try:
        return await answer
    except asyncpg.PostgresError as error:
        if driver.is_closed():
            await conn.invalidate(error)
        raise
    except BaseException as error:
        # Cut off halfway, by a timeout or a broken connection: nobody may find the rest of the answer in the pool.
        has_broken = driver.is_closed()
        await conn.invalidate(error)
        if isinstance(error, Exception) and has_broken:
            raise ConnectionError from error
        raise
