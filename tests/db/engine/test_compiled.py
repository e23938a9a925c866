"""Statements sent directly to SQLite's driver bind and return the same values as SQLAlchemy."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Uuid, bindparam, create_engine, literal, select

from db.drivers.sqlite_statements import SQLiteStatement
from db.tables.families import families

_instant = families.c.created_at.type
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
ZONES = [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11)), timezone(timedelta(0))]
SECONDS = st.integers(0, int((LAST - FIRST).total_seconds()))
INSTANTS = st.builds(
    lambda seconds, micros, zone: (FIRST + timedelta(seconds=seconds, microseconds=micros)).astimezone(zone),
    SECONDS,
    st.just(0) | st.integers(0, 999_999),
    st.sampled_from(ZONES),
)
_KINDS: dict[str, Any] = {
    "identifier": Uuid(),
    "instant": _instant,
    "digest": families.c.token_digest.type,
    "text": families.c.ip.type,
    "number": families.c.rate_limit_tat.type,
}
_ECHO = select(
    *(bindparam(name, type_=kind).label(name) for name, kind in _KINDS.items()),
    bindparam("instant", type_=_instant).label("again"),
    literal(7).label("constant"),
)
_COMPILED: SQLiteStatement[Any] = SQLiteStatement(_ECHO)
_SQLITE = create_engine("sqlite://")


@given(
    st.fixed_dictionaries(
        {
            "identifier": st.none() | st.uuids(),
            "instant": st.none() | INSTANTS,
            "digest": st.none() | st.binary(),
            "text": st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
            "number": st.none() | st.integers(-(2**63), 2**63 - 1),
        }
    )
)
def test_parameters_and_rows_equal_those_of_sqlalchemy(values: dict[str, Any]) -> None:
    with _SQLITE.connect() as sqlalchemy, closing(sqlite3.connect(":memory:")) as driver:
        expected = sqlalchemy.execute(_ECHO, values).one()
        row = _COMPILED.one(driver, values)
    assert tuple(row) == tuple(expected)
    assert row._fields == tuple(expected._fields)
    assert row.instant is None or row.instant.tzinfo is UTC
    # SQLite compares stored values as text, so both must write them identically.
    _, params = _COMPILED.bind(values)
    for name in ("identifier", "instant"):
        sqlalchemy_bind = _KINDS[name].dialect_impl(_SQLITE.dialect).bind_processor(_SQLITE.dialect)
        assert params[name] == sqlalchemy_bind(values[name])


def test_a_datetime_without_a_timezone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        _COMPILED.bind(dict.fromkeys(_KINDS) | {"instant": LAST.replace(tzinfo=None)})


def test_a_missing_parameter_is_an_error_and_not_null() -> None:
    with pytest.raises(KeyError):
        _COMPILED.bind({"identifier": UUID(int=1)})
