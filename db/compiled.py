"""Statements of the hot path: compiled once for each database, and handed to its driver as they are.

SQLAlchemy's own way from a statement to a row costs some 0.2 ms of CPU, more than the driver's and the server's work
together. Within a transaction on SQLite, which only SQLAlchemy knows of, a statement goes its usual way.
"""

from collections import namedtuple
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from sqlalchemy.dialects.postgresql.asyncpg import dialect

from db.compiled_for_sqlite import CompiledForSQLite
from db.engine import AUTOCOMMIT, Connection
from db.postgresql import on_driver
from db.sqlite_reader import ReadingSQLite


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
        if isinstance(conn, ReadingSQLite):
            return self._on_sqlite.rows(await conn.reader.rows(*self._on_sqlite.asked(values)))
        sync: Any = conn.sync_connection
        options, driver = sync.get_execution_options(), sync.connection.driver_connection
        if options.get("isolation_level") != AUTOCOMMIT:
            return (await conn.execute(self._statement, values)).all()
        given = self._constants | values
        records = await on_driver(conn, driver, driver.fetch(self._text, *[given[name] for name in self._positions]))
        return [self._row(*record) for record in records]

    @cached_property
    def _on_sqlite(self) -> CompiledForSQLite:
        return CompiledForSQLite(self._statement)
