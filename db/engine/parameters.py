"""Parameters that are lists, so that a statement is compiled once for lists of every length."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Dialect, Select, Text, TypeDecorator, bindparam, column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeEngine


class ListOf(TypeDecorator[Sequence[Any]]):
    """A list of values of one type: an array on PostgreSQL, a JSON array on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that the database has for it."""
        return ARRAY(self.item) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        """Return what the driver takes."""
        if dialect.name == "postgresql" or value is None:
            return value
        convert = self.item.dialect_impl(dialect).bind_processor(dialect)
        return json.dumps([convert(item) if convert else item for item in value])


class ListValues(GenericFunction[Any]):
    """A table-valued function: the values in a list. On SQLite with their places, as `key`."""

    identifier = "list_values"
    name = "unnest"
    inherit_cache = True


@compiles(ListValues, "sqlite")
def _json_each(element: ListValues, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


def in_list(target: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether the column's value is in the list that the parameter `name` holds."""
    return target.in_(values_of(name, target.type))


def values_of(name: str, item: TypeEngine[Any]) -> Select[Any]:
    """A SELECT of the values in the list that the parameter `name` holds."""
    rows = ListValues(bindparam(name, type_=ListOf(item))).table_valued(column("value", item), name="value")
    return select(rows.c.value)
