"""Which migrations a database has had, and bringing it up to date."""

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.engine import URL

from db.engine.database import Database
from db.tables.base import metadata


def _config(url: URL | None = None) -> Config:
    with as_file(files("migrations")) as folder:
        config = Config()
        config.set_main_option("script_location", str(Path(folder)).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def upgrade(url: URL) -> None:
    """Apply every migration that this database has not had. Not to be called where an event loop runs."""
    command.upgrade(_config(url), "head")


@cache
def head() -> str:
    """The newest migration there is."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


async def current(db: Database) -> str | None:
    """The newest migration that this database has had; None if it has had none."""

    def revision(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with db.read() as conn:
        return await conn.run_sync(revision)


async def missing_tables(db: Database) -> list[str]:
    """The tables that should be in the database and are not, by name."""

    def names(connection: Connection) -> list[str]:
        return inspect(connection).get_table_names()

    async with db.read() as conn:
        return sorted(set(metadata.tables) - set(await conn.run_sync(names)))
