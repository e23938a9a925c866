"""The connection that statements run on: one interface, which each database implements."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from db.drivers.postgresql_statements import PostgreSQLStatement
from db.drivers.rows import Row, Row_co, Values
from db.drivers.sqlite_statements import SQLiteStatement


class Dialect(StrEnum):
    """The databases, by the names that SQLAlchemy and URLs give them."""

    postgresql = "postgresql"
    sqlite = "sqlite"


class Statement(Protocol[Row_co]):
    """A statement in the form that each database takes, and the type of its rows."""

    @property
    def on_postgresql(self) -> PostgreSQLStatement[Row_co]: ...

    @property
    def on_sqlite(self) -> SQLiteStatement[Row_co]: ...


class Connection(ABC):
    """Runs statements: all in one transaction, or each by itself. The block that it comes from decides."""

    dialect: ClassVar[Dialect]

    def __init__(self) -> None:
        self._call_back: Callable[[], None] | None = None

    @abstractmethod
    async def all(self, statement: Statement[Row], values: Values) -> Sequence[Row]:
        """Run the statement and return its rows."""

    @abstractmethod
    async def execute(self, statement: Statement[Any], values: Values) -> int:
        """Run the statement and return how many rows it changed."""

    @abstractmethod
    async def execute_many(self, statement: Statement[Any], values: Sequence[Values]) -> None:
        """Run the statement once for each of the values."""

    def after_commit(self, call_back: Callable[[], None]) -> None:
        """Call this when the database has acknowledged the commit: one callback a transaction, the last given.

        Best effort, to wake tasks of this process: if the connection breaks during the commit, it is not called.
        """
        self._call_back = call_back

    def committed(self) -> None:
        """Call the callback, if there is one. Only the block that the connection comes from calls this."""
        if self._call_back is not None:
            self._call_back()
