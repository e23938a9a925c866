"""The connection that statements run on: one interface, which each database implements."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

if TYPE_CHECKING:
    from db.drivers.postgresql_statements import PostgreSQLStatement
    from db.drivers.sqlite_statements import SQLiteStatement

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)
Values = dict[str, Any]


class Dialect(StrEnum):
    """The databases, by the names that SQLAlchemy and URLs give them."""

    postgresql = "postgresql"
    sqlite = "sqlite"


class Statement(Protocol[Row_co]):
    """A statement in the form that each database takes, and the type of its rows."""

    @property
    def on_postgresql(self) -> "PostgreSQLStatement[Row_co]": ...

    @property
    def on_sqlite(self) -> "SQLiteStatement[Row_co]": ...


class Connection(ABC):
    """Runs statements: in one transaction, or each by itself, as the block says that it comes from."""

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
        """Call this when the transaction is committed: one callback a transaction, the last given.

        It is called after a commit that the database acknowledged, and only then: best effort, for notifying tasks of
        this process.
        """
        self._call_back = call_back

    def committed(self) -> None:
        """Call the callback. For the block that the connection comes from, once it is committed."""
        if self._call_back is not None:
            self._call_back()
