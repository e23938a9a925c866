"""Types of the parameters and of the rows of a statement."""

from collections import namedtuple
from typing import Any, TypeVar

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)
Values = dict[str, Any]


def row_type(statement: Any) -> Any:
    """A tuple with the names of the columns that the statement returns."""
    return namedtuple("Row", [column.name for column in getattr(statement, "exported_columns", ())])
