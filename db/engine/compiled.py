"""Statements written in SQLAlchemy Core, compiled once for each database and run by its driver.

SQLAlchemy's own path from a statement to a row costs 0.2 ms of CPU, more than the driver and the server together.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

from db.drivers.connection import Connection
from db.drivers.postgresql_statements import PostgreSQLStatement
from db.drivers.rows import Values
from db.drivers.sqlite_statements import SQLiteStatement

Row_co = TypeVar("Row_co", covariant=True)


class Compiled(Generic[Row_co]):
    """A statement, and the type of the rows that it returns.

    The same on both databases, or `postgresql=` and `sqlite=` where they differ.
    """

    @overload
    def __init__(
        self: "Compiled[Any]", statement: Any = None, *, postgresql: Any = None, sqlite: Any = None
    ) -> None: ...

    @overload
    def __init__(
        self, statement: Any = None, row: Callable[..., Row_co] = ..., *, postgresql: Any = None, sqlite: Any = None
    ) -> None: ...

    def __init__(
        self,
        statement: Any = None,
        row: Callable[..., Row_co] | None = None,
        *,
        postgresql: Any = None,
        sqlite: Any = None,
    ) -> None:
        self._postgresql = statement if postgresql is None else postgresql
        self._sqlite = statement if sqlite is None else sqlite
        self._row = row

    async def one_or_none(self, conn: Connection, values: Values) -> Row_co | None:
        """Return the row, or None. For statements that return no more than one."""
        rows = await conn.all(self, values)
        return rows[0] if rows else None

    async def one(self, conn: Connection, values: Values) -> Row_co:
        """Return the first row of a statement that always returns one."""
        return (await conn.all(self, values))[0]

    async def all(self, conn: Connection, values: Values) -> Sequence[Row_co]:
        """Return the rows."""
        return await conn.all(self, values)

    async def execute(self, conn: Connection, values: Values) -> int:
        """Return how many rows the statement changed."""
        return await conn.execute(self, values)

    @cached_property
    def on_postgresql(self) -> PostgreSQLStatement[Row_co]:
        """The statement for PostgreSQL's driver."""
        return PostgreSQLStatement(self._postgresql, self._row)

    @cached_property
    def on_sqlite(self) -> SQLiteStatement[Row_co]:
        """The statement for a connection of SQLite's driver, in its thread."""
        return SQLiteStatement(self._sqlite, self._row)
