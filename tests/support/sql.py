"""A separate connection to the service's database, for statements of SQLAlchemy Core."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import Connection, CursorResult, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db.engine.compiled import Compiled
from db.engine.database import Database

T = TypeVar("T")

# For PostgreSQL: until the transaction ends, a statement fails if it has to wait for a lock. Otherwise PostgreSQL would
# resolve a deadlock after a second, and the test would not notice it.
NO_LOCK_WAITS = Compiled(sqlalchemy.text("SELECT set_config('lock_timeout', '100ms', true)"))


class Look:
    """A connection in a transaction. The end of the block commits it."""

    def __init__(self, run_sync: Callable[..., Awaitable[Any]]) -> None:
        self._run_sync = run_sync

    async def execute(self, statement: Any, values: Any = None) -> CursorResult[Any]:
        """Run a statement."""
        return await self.run_sync(lambda connection: connection.execute(statement, values))

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Call a function with the synchronous connection of SQLAlchemy."""
        done: T = await self._run_sync(work)
        return done


@asynccontextmanager
async def looking_at(db: Database) -> AsyncIterator[Look]:
    """Open a connection to the service's database until the block ends."""
    async with _on_sqlite(db) if db.dialect == "sqlite" else _on_postgresql(db) as look:
        yield look


@asynccontextmanager
async def _on_postgresql(db: Database) -> AsyncIterator[Look]:
    async with create_async_engine(db.url, poolclass=NullPool).begin() as conn:
        yield Look(conn.run_sync)


@asynccontextmanager
async def _on_sqlite(db: Database) -> AsyncIterator[Look]:
    connect_args = {"check_same_thread": False, "isolation_level": None}
    engine = sqlalchemy.create_engine(db.url, poolclass=NullPool, connect_args=connect_args)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))

    with engine.connect() as connection:

        async def run_sync(work: Callable[[Connection], T]) -> T:
            # In a thread, because the service may hold the file's lock until the event loop continues.
            return await asyncio.to_thread(work, connection)

        yield Look(run_sync)
        await asyncio.to_thread(connection.commit)
