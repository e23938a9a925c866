"""A look at the database beside the service: a connection of the test's own, for statements of SQLAlchemy Core."""

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

# On PostgreSQL, until the transaction ends: a statement that has to wait for a lock fails, however busy the machine is.
# Without it, a deadlock would be broken after a second, and the test would see nothing of it.
NO_LOCK_WAITS = Compiled(sqlalchemy.text("SELECT set_config('lock_timeout', '100ms', true)"))


class Look:
    """A connection in a transaction, which is committed when the block ends."""

    def __init__(self, run_sync: Callable[..., Awaitable[Any]]) -> None:
        self._run_sync = run_sync

    async def execute(self, statement: Any, values: Any = None) -> CursorResult[Any]:
        """Run a statement."""
        return await self.run_sync(lambda connection: connection.execute(statement, values))

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Do what SQLAlchemy does without `await`."""
        done: T = await self._run_sync(work)
        return done


@asynccontextmanager
async def looking_at(db: Database) -> AsyncIterator[Look]:
    """A connection to the database that the service uses."""
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
            # In a thread: the service may hold the file until the event loop goes on.
            return await asyncio.to_thread(work, connection)

        yield Look(run_sync)
        await asyncio.to_thread(connection.commit)
