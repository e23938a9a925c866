"""The databases, as use cases see them: transactions, single statements, reads."""

import os
import sqlite3
from abc import ABC, abstractmethod
from asyncio import timeout as time_limit
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import asyncpg
from sqlalchemy.engine import URL, make_url

from db.drivers.connection import Connection, Dialect
from db.drivers.errors import raise_translated
from db.drivers.postgresql import Autocommit, Pool, Transaction
from db.drivers.sqlite_reader import SQLiteReader, SQLiteReads
from db.drivers.sqlite_writer import BUSY_RETRIES, SQLiteTransaction, SQLiteWriter
from db.engine.shared_timeout import SharedTimeout

__all__ = ["Connection", "Database", "PostgreSQLDatabase", "SQLiteDatabase", "create_database", "url_of"]

T = TypeVar("T")

_DRIVERS = {"sqlite": "sqlite", "sqlite+aiosqlite": "sqlite", "postgres": "postgresql+asyncpg"} | dict.fromkeys(
    ("postgresql", "postgresql+asyncpg"), "postgresql+asyncpg"
)


def url_of(text: str) -> URL:
    """Return the database URL with the driver filled in.

    Raises ValueError, which does not repeat the URL (it may hold a password), for anything that is neither SQLite
    nor PostgreSQL.
    """
    try:
        url = make_url(text)
    except Exception:
        url = None
    if url is None or url.drivername not in _DRIVERS or _is_in_memory(url):
        raise ValueError("must look like sqlite:///kindred.db or postgresql://user:password@host/database") from None
    return url.set(drivername=_DRIVERS[url.drivername])


def _is_in_memory(url: URL) -> bool:
    # Only the connection that made such a database sees it: the service would not see its migrations.
    has_no_file = not url.database or ":memory:" in url.database or url.query.get("mode") == "memory"
    return url.get_backend_name() == "sqlite" and has_no_file


class Database(ABC):
    """Blocks in which statements run. `timeout` in seconds bounds each wait for a lock, a statement, a connection."""

    dialect: ClassVar[Dialect]
    # None on PostgreSQL.
    writer: SQLiteWriter | None = None

    def __init__(self, url: URL, *, timeout: float, fraction: Callable[[], float]) -> None:
        """`fraction` draws a number from 0 up to 1, by which retries are spread over time."""
        self.url = url
        self.timeout = timeout
        self.fraction = fraction
        self.deadline = SharedTimeout(timeout)

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction, committed when the block ends and rolled back when it raises."""

    @abstractmethod
    def autocommit(self, *, may_block: bool = False) -> AbstractAsyncContextManager[Connection]:
        """For work that is one writing statement on PostgreSQL, which commits by itself: one round trip, not three.

        `may_block`: the statement may wait for rows that transactions hold, so it takes a connection from their half.
        On SQLite, where there are no round trips, the block is a transaction.
        """

    @abstractmethod
    def read(self) -> AbstractAsyncContextManager[Connection]:
        """For statements that only read, each by itself."""

    async def write(
        self,
        work: Callable[[sqlite3.Connection], T],  # noqa: ARG002
        *,
        busy_retries: int = BUSY_RETRIES,  # noqa: ARG002
    ) -> T:
        """SQLite: do the work in one transaction, in the writer's thread."""
        raise TypeError("Only SQLite has a writer. Use transaction().")

    @property
    @abstractmethod
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection, without waiting longer than the timeout for one that does not answer."""


class PostgreSQLDatabase(Database):
    """PostgreSQL."""

    dialect = Dialect.postgresql

    def __init__(self, url: URL, *, timeout: float, pool_size: int, fraction: Callable[[], float]) -> None:
        super().__init__(url, timeout=timeout, fraction=fraction)
        self._pool = Pool(pool_size, self._connect)

    async def _connect(self) -> asyncpg.Connection:
        milliseconds = str(int(self.timeout * 1000))
        _, options = self.url.get_dialect()().create_connect_args(self.url)
        options.pop("prepared_statement_cache_size", None)  # SQLAlchemy's own, which migrations may need in the URL
        settings = {
            "application_name": "kindred",
            "lock_timeout": milliseconds,
            "statement_timeout": milliseconds,
            # A worker that hangs within a transaction must not keep its locks.
            "idle_in_transaction_session_timeout": milliseconds,
        }
        return await asyncpg.connect(**{"timeout": self.timeout, "server_settings": settings, **options})

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction, committed when the block ends and rolled back when it raises."""
        return Transaction(self._pool)

    def autocommit(self, *, may_block: bool = False) -> AbstractAsyncContextManager[Connection]:
        """For work that is one writing statement."""
        slots = self._pool.transactions if may_block else self._pool.statements
        return Autocommit(self._pool, slots, writes=True)

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """For statements that only read, each by itself."""
        return Autocommit(self._pool, self._pool.statements, writes=False)

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""
        return self._pool.in_use, self._pool.size

    async def close(self) -> None:
        """Close every connection; drop those that do not answer within the timeout."""
        try:
            async with time_limit(self.timeout):
                await self._pool.close()
        except (OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
            self._pool.terminate()


class SQLiteDatabase(Database):
    """A SQLite file: one connection for writes and one for reads, each in a thread."""

    dialect = Dialect.sqlite
    writer: SQLiteWriter

    def __init__(self, url: URL, *, timeout: float, fraction: Callable[[], float]) -> None:
        super().__init__(url, timeout=timeout, fraction=fraction)
        path = url.database or ""
        create_sqlite_file(path)
        # A caller that is cancelled while the writer waits for another process waits for one try of several.
        self.writer = SQLiteWriter(path, lambda connection: prepare_sqlite(connection, timeout / BUSY_RETRIES))
        self.reader = SQLiteReader(path, lambda connection: prepare_sqlite(connection, timeout))

    async def write(self, work: Callable[[sqlite3.Connection], T], *, busy_retries: int = BUSY_RETRIES) -> T:
        """Do the work in one transaction, in the writer's thread."""
        try:
            return await self.writer.write(work, busy_retries=busy_retries)
        except Exception as error:
            raise_translated(error, commit_under_way=False)

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction, committed when the block ends and rolled back when it raises."""
        return SQLiteTransaction(self.writer)

    def autocommit(self, *, may_block: bool = False) -> AbstractAsyncContextManager[Connection]:  # noqa: ARG002
        """One transaction: there are no round trips to save."""
        return self.transaction()

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """For statements that only read, each by itself."""
        return SQLiteReads(self.reader)

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""
        return int(self.writer.in_use) + int(self.reader.in_use), 2

    async def close(self) -> None:
        """Close both connections."""
        with suppress(TimeoutError):
            async with time_limit(self.timeout):
                await self.writer.close()
                await self.reader.close()


def create_database(url: URL, *, timeout: float = 5, pool_size: int = 10, fraction: Callable[[], float]) -> Database:
    """Return the database that the URL names. It connects when the first statement runs."""
    if url.get_backend_name() == "sqlite":
        return SQLiteDatabase(url, timeout=timeout, fraction=fraction)
    return PostgreSQLDatabase(url, timeout=timeout, pool_size=pool_size, fraction=fraction)


def create_sqlite_file(path: str) -> None:
    """Create the file if there is none, readable by its owner alone. SQLite gives the -wal and -shm files that mode."""
    if not Path(path).exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def prepare_sqlite(connection: Any, timeout: float) -> None:
    """Set up a new connection. Migrations use it as well."""
    # The driver must not begin transactions on its own: it would begin them as readers, and a reader that turns
    # writer while another connection writes gets "database is locked" at once, whatever the timeout.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A fifth of the time that the whole request has: while SQLite waits it cannot be interrupted, and a request that is
    # cancelled waits with it.
    cursor.execute(f"PRAGMA busy_timeout = {int(timeout * 200)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # NORMAL may lose the last commits at a power cut, and with them the revocation of a replayed family.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
