"""Statements for PostgreSQL's driver, which converts values and rows itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic

from sqlalchemy.dialects.postgresql.asyncpg import dialect

from db.drivers.rows import Row_co, row_type

_DIALECT: Any = dialect()  # type: ignore[no-untyped-call]


class PostgreSQLStatement(Generic[Row_co]):
    """A statement's text, the order of its parameters, and the type of its rows."""

    def __init__(self, statement: Any, row: Callable[..., Row_co] | None) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        if any(bound.expanding for bound in compiled.binds.values()):
            raise TypeError("This statement would differ for lists of each length. Use in_list in place of in_.")
        self._text = str(compiled)
        # A value that the caller has to give and does not is a KeyError, not NULL.
        self._constants: Mapping[str, Any] = {
            name: value for name, value in compiled.params.items() if not compiled.binds[name].required
        }
        self._positions: Sequence[str] = compiled.positiontup or ()
        self._row = row or row_type(statement)

    def bind(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the text and then the values, as the driver takes them."""
        all_values = {**self._constants, **values}
        return [self._text, *[all_values[name] for name in self._positions]]

    def bind_many(self, rows: Iterable[Mapping[str, Any]]) -> tuple[str, list[list[Any]]]:
        """Return the text, and the values of each row."""
        return self._text, [self.bind(row)[1:] for row in rows]

    def decode(self, rows: Iterable[Sequence[Any]]) -> Sequence[Row_co]:
        """Return the driver's rows as what they are."""
        return [self._row(*row) for row in rows]
