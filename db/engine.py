"""The database as use cases see it: a transaction, a single statement, and faults by what they mean.

A fault is never an answer. What matters about one is whether anything can have been written:
`RolledBack` says nothing was, `OutcomeUnknown` says it cannot be told.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Connection = AsyncConnection

P = ParamSpec("P")
T = TypeVar("T")

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
AUTOCOMMIT = "AUTOCOMMIT"
# How often a transaction that collided with another one is tried, and the pauses between attempts in seconds.
COLLISIONS = 4
PAUSES = (0.01, 0.05, 0.2, 0.5)

# Serialization failure and deadlock: the database chose this transaction to give way.
_COLLISION = {"40001", "40P01"}
# Classes 08 connection exception, 57 operator intervention (shutdown, crash, statement timeout), 58 system error;
# 28 access refused, 3D no such database, 53 out of resources; 25006 a standby, 55P03 no lock in time.
_GOING_DOWN = {"08", "57", "58"}
_OUTAGE_CLASSES = {*_GOING_DOWN, "28", "3D", "53"}
_OUTAGES = {"25006", "55P03"}


class DatabaseUnavailable(Exception):
    """The database did not do what was asked. The cause is in `__cause__`; what to answer is 503."""


class RolledBack(DatabaseUnavailable):
    """Nothing was written, so the same work may be tried again whatever it is."""


class Collision(RolledBack):
    """Another transaction was in the way."""


class OutcomeUnknown(DatabaseUnavailable):
    """The connection broke while a commit was under way: it is either in the database or not."""


def url_of(text: str) -> URL:
    """The database URL with the asynchronous driver filled in.

    Raises ValueError, which does not repeat the URL (it may hold a password), for anything that is neither SQLite
    nor PostgreSQL.
    """
    try:
        url = make_url(text)
    except Exception:
        url = None
    if url is None or url.drivername not in {*DRIVERS, *DRIVERS.values()}:
        raise ValueError("must look like sqlite:///kindred.db or postgresql://user:password@host/database") from None
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


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
    if url.database and url.database != ":memory:" and not Path(url.database).exists():
        # Readable by its owner alone; SQLite gives the -wal and -shm files the same mode.
        os.close(os.open(url.database, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_async_engine(url, pool_timeout=timeout, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # The driver must not begin transactions on its own: it would begin them as readers, and a reader that
        # turns writer while another one writes gets "database is locked" at once, whatever the timeout.
        connection.isolation_level = None
        cursor = connection.cursor()
        # Less than the whole request may take, so that SQLite answers "locked" before the request is cut off.
        cursor.execute(f"PRAGMA busy_timeout = {int(timeout * 800)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # NORMAL may lose the last commits at a power cut, and with them the revocation of a replayed family.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        if not connection.get_execution_options().get("only_reads"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _meaning(error: BaseException, *, commit_under_way: bool) -> DatabaseUnavailable | None:
    """What a fault means; None for one that is a bug and no outage."""
    lost = OutcomeUnknown() if commit_under_way else RolledBack()
    if isinstance(error, PoolTimeout | OSError):  # OSError: connections refused, reset, timed out
        return lost
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.OperationalError):
        # "database is locked", a full disk, an I/O error: SQLite rolled back, and says so with certainty.
        busy = cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        return Collision() if busy else RolledBack()
    state = getattr(cause, "sqlstate", None)
    if state in _COLLISION:
        return Collision()
    if state is not None and (state in _OUTAGES or state[:2] in _OUTAGE_CLASSES):
        # The server itself named the fault. Only where it was going down can a commit have gone in all the same.
        return lost if state[:2] in _GOING_DOWN else RolledBack()
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return lost
    return None


class Database:
    """An engine, and the three ways to use it."""

    def __init__(self, engine: AsyncEngine, *, timeout: float) -> None:
        self.engine = engine
        self.timeout = timeout
        # SQLite has one writer at a time, and lets those who wait find out by trying again and again, with no order
        # among them. Within this process they queue instead.
        self._turn = asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        self._commits_by_itself = engine.dialect.name == "postgresql"
        autocommit = {"isolation_level": AUTOCOMMIT} if self._commits_by_itself else {"only_reads": True}
        self._by_itself = engine.execution_options(**autocommit)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction, committed when the block ends and rolled back when it raises."""
        commit_under_way = False
        try:
            async with self._turn, self.engine.connect() as conn, conn.begin():
                yield conn
                commit_under_way = True
        except Exception as error:
            _raise_meaning(error, commit_under_way=commit_under_way)

    @asynccontextmanager
    async def one_statement(self) -> AsyncIterator[Connection]:
        """For work that is one writing statement on PostgreSQL, which commits by itself: one round trip, not three.

        On SQLite, where there are no round trips, it is a transaction.
        """
        if self._commits_by_itself:
            async with self._autocommit(commit_under_way=True) as conn:
                yield conn
        else:
            async with self.transaction() as conn:
                yield conn

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """For statements that only read, each on its own."""
        async with self._autocommit(commit_under_way=False) as conn:
            yield conn

    @asynccontextmanager
    async def _autocommit(self, *, commit_under_way: bool) -> AsyncIterator[Connection]:
        connected = False
        try:
            async with self._by_itself.connect() as conn:
                connected = True
                yield conn
        except Exception as error:
            _raise_meaning(error, commit_under_way=connected and commit_under_way)

    async def close(self) -> None:
        """Give back every connection."""
        await self.engine.dispose()


def _raise_meaning(error: Exception, *, commit_under_way: bool) -> None:
    meaning = _meaning(error, commit_under_way=commit_under_way)
    if meaning is None:
        raise error
    raise meaning from error


class _HasDatabase(Protocol):
    @property
    def db(self) -> Database: ...


S = TypeVar("S", bound=_HasDatabase)


def retried(
    *, idempotent: bool
) -> Callable[[Callable[Concatenate[S, P], Awaitable[T]]], Callable[Concatenate[S, P], Awaitable[T]]]:
    """Try a use case again, whole, when the database was not there or another transaction was in the way.

    Work of unknown outcome is tried again only where it is idempotent: done twice, it is as if done once and gives
    the same answer. All attempts together take no longer than the database's timeout; then `DatabaseUnavailable`.
    """

    def decorate(
        use_case: Callable[Concatenate[S, P], Awaitable[T]],
    ) -> Callable[Concatenate[S, P], Awaitable[T]]:
        @wraps(use_case)
        async def attempts(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            last: DatabaseUnavailable | None = None
            collisions = 0
            try:
                async with asyncio.timeout(self.db.timeout):
                    while True:
                        try:
                            return await use_case(self, *args, **kwargs)
                        except OutcomeUnknown as fault:
                            if not idempotent:
                                raise
                            last = fault
                        except RolledBack as fault:
                            collisions += isinstance(fault, Collision)
                            if collisions == COLLISIONS:
                                raise
                            last = fault
                        await asyncio.sleep(PAUSES[min(collisions, len(PAUSES) - 1)])
            except TimeoutError as timeout:
                raise DatabaseUnavailable from last or timeout

        return attempts

    return decorate
