"""Statements of the hot path: compiled once for each database, and handed to its driver as they are.

SQLAlchemy's own way from a statement to a row costs some 0.2 ms of CPU, more than the driver's and the server's work
together. Within a transaction on SQLite, which only SQLAlchemy knows of, a statement goes its usual way.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.dialects.sqlite.pysqlite import dialect as sqlite_dialect

from db.engine import AUTOCOMMIT, ONLY_READS, Connection
from db.postgresql import on_driver


class Compiled:
    """A statement: by itself or in a transaction on PostgreSQL, and on SQLite a read."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        compiled = statement.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        self._text = str(compiled)
        self._constants: dict[str, Any] = compiled.params
        self._positions: list[str] = compiled.positiontup
        self._row = namedtuple("Row", [column.name for column in statement.exported_columns])  # type: ignore[misc]

    async def one_or_none(self, conn: Connection, values: dict[str, Any]) -> Any:
        """The row, which reads like the model, or None. For statements that can return no more than one."""
        rows = await self.all(conn, values)
        return rows[0] if rows else None

    async def all(self, conn: Connection, values: dict[str, Any]) -> Sequence[Any]:
        """The rows, which read like the model."""
        sync: Any = conn.sync_connection
        options, driver = sync.get_execution_options(), sync.connection.driver_connection
        if options.get(ONLY_READS):
            # Through SQLAlchemy it would go to the driver's thread and back for the cursor, the statement, the rows.
            return self._on_sqlite.rows(await driver.execute_fetchall(*self._on_sqlite.asked(values)))
        if options.get("isolation_level") != AUTOCOMMIT:
            return (await conn.execute(self._statement, values)).all()
        given = self._constants | values
        records = await on_driver(conn, driver, driver.fetch(self._text, *[given[name] for name in self._positions]))
        return [self._row(*record) for record in records]

    @cached_property
    def _on_sqlite(self) -> "CompiledForSQLite":
        return CompiledForSQLite(self._statement)


class CompiledForSQLite:
    """A statement for a connection of SQLite's own driver, with values and rows as SQLAlchemy would convert them."""

    def __init__(self, statement: Any) -> None:
        compiled = statement.compile(dialect=_SQLITE)
        self._text = str(compiled)
        self._constants: dict[str, Any] = compiled.params
        self._values = [(name, _of_type(compiled.binds[name], "bind_processor")) for name in compiled.positiontup]
        self._columns = [_of_type(column, "result_processor", None) for column in statement.exported_columns]
        self._row = namedtuple("Row", [column.name for column in statement.exported_columns])  # type: ignore[misc]

    def one_or_none(self, conn: sqlite3.Connection, values: dict[str, Any]) -> Any:
        """The row, which reads like the model, or None."""
        cursor = conn.execute(*self.asked(values))
        found = self.rows(cursor.fetchall())  # to the end, or the statement stays open
        return found[0] if found else None

    def asked(self, values: dict[str, Any]) -> tuple[str, list[Any]]:
        """The statement's text, and the values as the driver takes them."""
        given = self._constants | values
        return self._text, [convert(given[name]) for name, convert in self._values]

    def rows(self, found: Iterable[Sequence[Any]]) -> Sequence[Any]:
        """The driver's rows, which then read like the model."""
        return [
            self._row(*[convert(value) for convert, value in zip(self._columns, row, strict=True)]) for row in found
        ]


_SQLITE: Any = sqlite_dialect()


def _of_type(of: Any, kind: str, *arguments: Any) -> Callable[[Any], Any]:
    """How a value or a column is converted; as it is, where its type does nothing."""
    return getattr(of.type.dialect_impl(_SQLITE), kind)(_SQLITE, *arguments) or (lambda value: value)
