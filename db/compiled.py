"""Statements of the hot path: compiled once for PostgreSQL, and handed to its driver as they are.

SQLAlchemy's own way from a statement to a row costs some 0.2 ms of CPU, more than the driver's and the server's work
together. On SQLite, and within a transaction, which only SQLAlchemy knows of, a statement goes its usual way.
"""

from collections import namedtuple
from typing import Any

from asyncpg import PostgresError
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from db.engine import AUTOCOMMIT, Connection


class Compiled:
    """A statement that returns one row or none, and by itself is a whole transaction."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        compiled = statement.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        self._text = str(compiled)
        self._constants: dict[str, Any] = compiled.params
        self._positions: list[str] = compiled.positiontup
        self._row = namedtuple("Row", [column.name for column in statement.exported_columns])  # type: ignore[misc]

    async def one_or_none(self, conn: Connection, values: dict[str, Any]) -> Any:
        """The row, which reads like the model, or None."""
        sync: Any = conn.sync_connection
        if sync.get_execution_options().get("isolation_level") != AUTOCOMMIT:
            return (await conn.execute(self._statement, values)).one_or_none()
        driver = sync.connection.driver_connection
        given = self._constants | values
        try:
            record = await driver.fetchrow(self._text, *[given[name] for name in self._positions])
        except PostgresError as error:
            if driver.is_closed():
                await conn.invalidate(error)
            raise
        except BaseException as error:
            # Cut off halfway, by a timeout or a broken connection: nobody may find the rest of the answer in the pool.
            await conn.invalidate(error)
            if isinstance(error, Exception) and driver.is_closed():
                raise ConnectionError from error
            raise
        return None if record is None else self._row(*record)
