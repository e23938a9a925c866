"""Apply migrations, and find out which of them a database has had.

Alembic needs an engine of SQLAlchemy. This module makes one for the migrations; the service has none.
"""

import asyncio
from collections.abc import Callable
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Text, column, event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db.engine.compiled import Compiled
from db.engine.database import Database, create_sqlite_file, prepare_sqlite
from db.tables.base import metadata

T = TypeVar("T")

# Seconds. A migration may hold a lock for longer than any request may wait for one.
TIMEOUT = 600

_NAME = column("name", Text)
_ON_POSTGRESQL = "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()"
_ON_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'table'"
_TABLE_NAMES = Compiled(postgresql=text(_ON_POSTGRESQL).columns(_NAME), sqlite=text(_ON_SQLITE).columns(_NAME))
# Each health check asks this, so it reads one row and not the whole catalogue.
_VERSION_TABLE = Compiled(
    postgresql=text(f"{_ON_POSTGRESQL} AND tablename = 'alembic_version'").columns(_NAME),
    sqlite=text(f"{_ON_SQLITE} AND name = 'alembic_version'").columns(_NAME),
)
_REVISION = Compiled(text("SELECT version_num FROM alembic_version").columns(column("version_num", Text)))


def _config(url: URL | None = None) -> Config:
    with as_file(files("migrations")) as folder:
        config = Config()
        config.set_main_option("script_location", str(Path(folder)).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def upgrade(url: URL) -> None:
    """Apply every migration that this database has not had. Not to be called while an event loop runs."""
    command.upgrade(_config(url), "head")


@cache
def head() -> str:
    """The newest migration there is."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


async def current(db: Database) -> str | None:
    """Return the newest migration that this database has had; None if it has had none."""
    async with db.read() as conn:
        if not await _VERSION_TABLE.all(conn, {}):
            return None
        row = await _REVISION.one_or_none(conn, {})
    return row and row.version_num


async def missing_tables(db: Database) -> list[str]:
    """Return the names of the tables that the database lacks."""
    async with db.read() as conn:
        return sorted(set(metadata.tables) - {row.name for row in await _TABLE_NAMES.all(conn, {})})


def run_in_transaction(url: URL, work: Callable[[sqlalchemy.Connection], T]) -> T:
    """Do the work in one transaction of an engine of its own. Foreign keys are not enforced on SQLite.

    SQLite cannot alter a table: to drop the old copy of one would delete its children's rows by cascade.
    """
    if url.get_backend_name() == "sqlite":
        return _run_on_sqlite(url, work)
    return asyncio.run(_run_on_postgresql(url, work))


def _run_on_sqlite(url: URL, work: Callable[[sqlalchemy.Connection], T]) -> T:
    create_sqlite_file(url.database or "")
    engine = sqlalchemy.create_engine(url, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        prepare_sqlite(connection, TIMEOUT)
        connection.execute("PRAGMA foreign_keys = OFF")

    @event.listens_for(engine, "begin")
    def begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        return work(connection)


async def _run_on_postgresql(url: URL, work: Callable[[sqlalchemy.Connection], T]) -> T:
    milliseconds = str(TIMEOUT * 1000)
    settings = {
        "application_name": "kindred",
        "lock_timeout": milliseconds,
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
    }
    connect_args = {"timeout": TIMEOUT, "server_settings": settings}
    engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=connect_args)
    async with engine.begin() as connection:
        return await connection.run_sync(work)
