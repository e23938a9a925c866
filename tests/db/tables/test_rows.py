"""Row types and defaults follow the tables: a column that is added to a model cannot be forgotten elsewhere."""

from datetime import datetime
from typing import Any, get_type_hints
from uuid import UUID

import pytest
from sqlalchemy import Column, Table, bindparam, select

from db import metadata
from db.engine.compiled import Compiled
from db.engine.parameters import in_list
from db.tables import families, refresh_tokens, security_events
from db.tables.families import FamilyRow
from db.tables.login_failures import LoginFailuresRow
from db.tables.outbox import OutboxRow
from db.tables.refresh_tokens import RefreshTokenRow
from db.tables.security_events import SecurityEventRow
from db.tables.signing_keys import SigningKeyRow
from db.tables.users import UserRow

ROWS = {
    "users": UserRow,
    "token_families": FamilyRow,
    "refresh_tokens": RefreshTokenRow,
    "security_events": SecurityEventRow,
    "signing_keys": SigningKeyRow,
    "login_failures": LoginFailuresRow,
    "outbox": OutboxRow,
}
# Columns of other tables that a notification also needs.
JOINED = {"outbox": ("username", "email", "device_name", "device_user_agent")}
PYTHON_TYPES = {"Uuid": UUID, "UTCDateTime": datetime, "LargeBinary": bytes, "AutoString": str, "BigInteger": int}


def python_type(column: Column[Any]) -> Any:
    name = type(column.type).__name__
    kind = PYTHON_TYPES.get(name) or column.type.python_type
    return kind | None if column.nullable else kind


@pytest.mark.parametrize("name", list(ROWS))
def test_a_row_type_has_the_columns_of_its_table_in_order_with_their_types(name: str) -> None:
    table, row = metadata.tables[name], ROWS[name]
    expected = {column.name: python_type(column) for column in table.columns}
    fields = {field: hint for field, hint in get_type_hints(row).items() if field not in JOINED.get(name, ())}
    assert list(fields) == list(expected)  # statements select columns in the order of the table
    assert fields == expected


@pytest.mark.parametrize(
    ("table", "defaults"),
    [
        (families.families, families.DEFAULTS),
        (refresh_tokens.refresh_tokens, refresh_tokens._DEFAULTS),
        (security_events.security_events, security_events.DEFAULTS),
    ],
    ids=["families", "refresh tokens", "security events"],
)
def test_an_insert_may_leave_out_every_column_that_can_be_null(table: Table, defaults: dict[str, Any]) -> None:
    nullable = {column.name for column in table.columns if column.nullable}
    assert nullable <= set(defaults)
    assert all(defaults[name] is None for name in nullable)


def test_a_missing_parameter_is_an_error_on_both_databases() -> None:
    statement = Compiled(select(families.families).where(families.families.c.id == bindparam("of_family")))
    for bind in (statement.on_postgresql.bind, statement.on_sqlite.bind):
        with pytest.raises(KeyError):
            bind({})


def test_a_statement_whose_text_depends_on_a_list_is_refused() -> None:
    statement = Compiled(select(families.families.c.id).where(families.families.c.id.in_([UUID(int=1)])))
    for form in ("on_postgresql", "on_sqlite"):
        with pytest.raises(TypeError, match="Use in_list"):
            getattr(statement, form)


def test_a_list_is_one_parameter_whatever_its_length() -> None:
    statement = Compiled(select(families.families.c.id).where(in_list(families.families.c.id, "ids")))
    ids = [UUID(int=1), UUID(int=2)]
    assert statement.on_postgresql.bind({"ids": ids})[1:] == [ids]
    assert statement.on_sqlite.bind({"ids": ids})[1] == {"ids": f'["{ids[0].hex}", "{ids[1].hex}"]'}
    assert statement.on_sqlite.bind({"ids": []})[0] == statement.on_sqlite.bind({"ids": ids})[0]
