"""Statements of the hot path: compiled once for each database, and handed to its driver as they are.

SQLAlchemy's own way from a statement to a row costs some 0.2 ms of CPU, more than the driver's and the server's work
together. On SQLite it goes to the driver's thread and back for the cursor, for the statement and for the rows.
"""

from collections import namedtuple
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy.dialects.postgresql.asyncpg import dialect

from db.drivers.postgresql import on_driver
from db.drivers.sqlite_reader import SQLiteReadConnection
from db.drivers.sqlite_statements import SQLiteStatement
from db.engine.database import AUTOCOMMIT, Connection


class Compiled:
    """A statement: by itself, or in a transaction."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement

    async def one_or_none(self, conn: Connection, values: dict[str, Any]) -> Any:
        """The row, which reads like the model, or None. For statements that can return no more than one."""
        rows = await self.all(conn, values)
        return rows[0] if rows else None

    async def all(self, conn: Connection, values: dict[str, Any]) -> Sequence[Any]:
        """The rows, which read like the model."""
        if isinstance(conn, SQLiteReadConnection):
            return self.on_sqlite.decode(await conn.reader.rows(*self.on_sqlite.bind(values)))
        sync: Any = conn.sync_connection
        driver = sync.connection.driver_connection
        if conn.dialect.name == "sqlite":
            return self.on_sqlite.decode(await driver.execute_fetchall(*self.on_sqlite.bind(values)))
        if sync.get_execution_options().get("isolation_level") != AUTOCOMMIT:
            return (await conn.execute(self._statement, values)).all()
        records = await on_driver(conn, driver, driver.fetch(*self._on_postgresql.bind(values)))
        return self._on_postgresql.decode(records)

    @cached_property
    def _on_postgresql(self) -> "_PostgreSQLStatement":
        return _PostgreSQLStatement(self._statement)

    @cached_property
    def on_sqlite(self) -> SQLiteStatement:
        """The same for a connection of SQLite's own driver, in its thread."""
        return SQLiteStatement(self._statement)


class _PostgreSQLStatement:
    """A statement for PostgreSQL's driver, which converts values and rows itself."""

    def __init__(self, statement: Any) -> None:
        compiled = statement.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        self._text = str(compiled)
        self._constants: dict[str, Any] = compiled.params
        self._positions: list[str] = compiled.positiontup
        self._row = namedtuple("Row", [column.name for column in statement.exported_columns])  # type: ignore[misc]

    def bind(self, values: dict[str, Any]) -> list[Any]:
        """The statement's text, and the values as the driver takes them."""
        given = self._constants | values
        return [self._text, *[given[name] for name in self._positions]]

    def decode(self, rows: Iterable[Sequence[Any]]) -> Sequence[Any]:
        """The driver's rows, which then read like the model."""
        return [self._row(*row) for row in rows]
