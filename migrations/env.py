"""Runs the migrations over the database of the settings, whichever of the two it is.

A caller that already knows the database (`db.migrate`) passes its URL in `config.attributes`.
"""

import asyncio

from alembic import context
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncEngine

import db
from auth.config.settings import Settings
from db.engine.database import create_engine, url_of


def migrate(connection: Connection) -> None:
    """Run what was asked for in one transaction."""
    sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        # SQLite cannot alter a table: Alembic makes a new one and copies the rows.
        render_as_batch=sqlite,
        compare_type=True,
        compare_server_default=True,
        # CHECK constraints, which Alembic does not look at unless it is told to.
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    )
    with context.begin_transaction():
        context.run_migrations()
        if sqlite and (broken := connection.execute(text("PRAGMA foreign_key_check")).all()):
            raise RuntimeError(f"this migration would leave {len(broken)} rows whose foreign key points nowhere")


def without_foreign_keys(engine: AsyncEngine) -> AsyncEngine:
    """On SQLite, dropping the old copy of a table would delete its children's rows by cascade."""
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine.sync_engine, "connect")
        def unenforced(connection: object, _record: object) -> None:
            cursor = connection.cursor()  # type: ignore[attr-defined]
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.close()

    return engine


async def main() -> None:
    """Connect, migrate, and leave."""
    url = context.config.attributes.get("url") or url_of(Settings().database_url.get_secret_value())
    # A migration may hold a lock for longer than any request may wait for one.
    engine = without_foreign_keys(create_engine(url, timeout=600))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    raise SystemExit("Migrations run on a database, not as a script: leave out --sql.")
asyncio.run(main())
