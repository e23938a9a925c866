"""Statements for SQLite's driver, with the conversions of values and rows that SQLAlchemy would make.

SQLite has no types for UUIDs and datetimes, so both are text there, in the form that SQLAlchemy gives them. Its own
conversions take more than half of SQLite's time for a rotation (30 of 55 µs), and two thirds for a page of sessions.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Generic
from uuid import UUID

from sqlalchemy import Uuid
from sqlalchemy.dialects.sqlite.pysqlite import dialect
from sqlmodel.sql.sqltypes import UTCDateTime

from db.drivers.rows import Row_co, Values, row_type

Convert = Callable[[Any], Any]

# The rows of a page of sessions have one user, whose id the request has just read.
MAX_CACHED_IDENTIFIERS = 4096

_NAMED: Any = dialect(paramstyle="named")  # a value that the statement names twice is bound once


class SQLiteStatement(Generic[Row_co]):
    """A statement for a connection of SQLite's driver, in its thread."""

    def __init__(self, statement: Any, row: Callable[..., Row_co] | None = None) -> None:
        compiled = statement.compile(dialect=_NAMED)
        if any(bound.expanding for bound in compiled.binds.values()):
            raise TypeError("This statement would differ for lists of each length. Use in_list in place of in_.")
        self._text = str(compiled)
        to_sqlite = {name: _to_sqlite(bound.type) for name, bound in compiled.binds.items()}
        required = [name for name, bound in compiled.binds.items() if bound.required]
        self._converted = [(name, to_sqlite[name]) for name in required if to_sqlite[name] is not _unchanged]
        constants = {name: bound.effective_value for name, bound in compiled.binds.items() if not bound.required}
        self._constants = {name: to_sqlite[name](value) for name, value in constants.items()}
        columns = getattr(statement, "exported_columns", ())
        from_sqlite = [_from_sqlite(column.type) for column in columns]
        self._returned = [(place, convert) for place, convert in enumerate(from_sqlite) if convert is not _unchanged]
        self._row = row or row_type(statement)

    def one_or_none(self, conn: sqlite3.Connection, values: Values) -> Row_co | None:
        """Run the statement and return its row, or None."""
        rows = self.all(conn, values)
        return rows[0] if rows else None

    def one(self, conn: sqlite3.Connection, values: Values) -> Row_co:
        """Run a statement that always returns a row, and return it."""
        return self.all(conn, values)[0]

    def all(self, conn: sqlite3.Connection, values: Values) -> Sequence[Row_co]:
        """Run the statement and return its rows."""
        cursor = conn.execute(*self.bind(values))
        return self.decode(cursor.fetchall())  # to the end, or the statement stays open

    def execute(self, conn: sqlite3.Connection, values: Values) -> int:
        """Run the statement and return how many rows it changed."""
        return conn.execute(*self.bind(values)).rowcount

    def execute_many(self, conn: sqlite3.Connection, values: Sequence[Values]) -> None:
        """Run the statement once for each of the values."""
        conn.executemany(self._text, [self.bind(row)[1] for row in values])

    def bind(self, values: Values) -> tuple[str, Values]:
        """Return the statement's text, and the values as the driver takes them."""
        bound = self._constants | values
        for name, convert in self._converted:
            bound[name] = convert(bound[name])
        return self._text, bound

    def decode(self, rows: Iterable[Sequence[Any]]) -> Sequence[Row_co]:
        """Return the driver's rows as what they are."""
        decoded = []
        for row in rows:
            values = list(row)
            for place, convert in self._returned:
                values[place] = convert(values[place])
            decoded.append(self._row(*values))
        return decoded


def _to_sqlite(kind: Any) -> Convert:
    if isinstance(kind, Uuid):
        return _hex
    usual = kind.dialect_impl(_NAMED).bind_processor(_NAMED) or _unchanged
    if isinstance(kind, UTCDateTime):
        # Our datetimes are UTC. SQLAlchemy converts any other.
        return lambda value: _text(value) if isinstance(value, datetime) and value.tzinfo is UTC else usual(value)
    return usual


def _from_sqlite(kind: Any) -> Convert:
    if isinstance(kind, Uuid):
        return _identifier
    if isinstance(kind, UTCDateTime):
        return _instant
    return kind.dialect_impl(_NAMED).result_processor(_NAMED, None) or _unchanged


def _unchanged(value: Any) -> Any:
    return value


def _hex(value: UUID | None) -> str | None:
    return value.hex if value is not None else None


def _text(value: datetime) -> str:
    return value.isoformat(" ", "microseconds")[:-6]  # without "+00:00"


@lru_cache(MAX_CACHED_IDENTIFIERS)
def _identifier(value: str | None) -> UUID | None:
    return UUID(value) if value is not None else None


def _instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value + "+00:00") if value is not None else None
