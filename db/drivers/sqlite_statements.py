"""Statements of the hot path on SQLite: what its driver is given for them, and what is made of its rows.

SQLite knows neither identifiers nor instants, so both are text there, in the form that SQLAlchemy gives them. Its own
conversions take more than half of what SQLite takes of a rotation (30 of 55 µs), and two thirds of a page of sessions.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid
from sqlalchemy.dialects.sqlite.pysqlite import dialect
from sqlmodel.sql.sqltypes import UTCDateTime

Convert = Callable[[Any], Any]

# A page of sessions has one owner, and who asks for it has just been asked for by the same identifiers.
MAX_CACHED_IDENTIFIERS = 4096

_NAMED: Any = dialect(paramstyle="named")  # a value that is there twice is given once


class SQLiteStatement:
    """A statement for a connection of SQLite's own driver, with values and rows as SQLAlchemy would convert them."""

    def __init__(self, statement: Any) -> None:
        compiled = statement.compile(dialect=_NAMED)
        self._text = str(compiled)
        to_sqlite = {name: _to_sqlite(bound.type) for name, bound in compiled.binds.items()}
        given = [name for name, bound in compiled.binds.items() if bound.required]
        self._params = [(name, to_sqlite[name]) for name in given if to_sqlite[name] is not _unchanged]
        constants = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}
        self._constants = {name: to_sqlite[name](value) for name, value in constants.items()}
        columns = list(statement.exported_columns)
        from_sqlite = [_from_sqlite(column.type) for column in columns]
        self._returned = [(place, convert) for place, convert in enumerate(from_sqlite) if convert is not _unchanged]
        self._row = namedtuple("Row", [column.name for column in columns])  # type: ignore[misc]

    def one_or_none(self, conn: sqlite3.Connection, values: dict[str, Any]) -> Any:
        """The row, which reads like the model, or None."""
        found = self.all(conn, values)
        return found[0] if found else None

    def all(self, conn: sqlite3.Connection, values: dict[str, Any]) -> Sequence[Any]:
        """The rows, which read like the model."""
        cursor = conn.execute(*self.bind(values))
        return self.decode(cursor.fetchall())  # to the end, or the statement stays open

    def bind(self, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The statement's text, and the values as the driver takes them."""
        asked = self._constants | values
        for name, convert in self._params:
            asked[name] = convert(asked[name])
        return self._text, asked

    def decode(self, rows: Iterable[Sequence[Any]]) -> Sequence[Any]:
        """The driver's rows, which then read like the model."""
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
        # Instants of ours are in UTC. What to make of any other is not for here to say.
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
