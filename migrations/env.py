"""Run the migrations on the database of the settings.

A caller that already knows the database (`db.migration`) passes its URL in `config.attributes`.
"""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, text
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

import db
from auth.config.settings import Settings
from db.engine.database import url_of
from db.migration import run_in_transaction


def render_item(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write a column type of SQLModel as SQLAlchemy's, so that a generated migration needs no import for it."""
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})"
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def migrate(connection: Connection) -> None:
    """Run the migrations of the command in one transaction."""
    sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_item=render_item,
        # SQLite cannot alter a table: Alembic makes a new one and copies the rows.
        render_as_batch=sqlite,
        compare_type=True,
        compare_server_default=True,
        # CHECK constraints, which Alembic does not compare by default.
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    )
    with context.begin_transaction():
        context.run_migrations()
        if sqlite and (broken := connection.execute(text("PRAGMA foreign_key_check")).all()):
            raise RuntimeError(
                f"This migration would leave {len(broken)} rows without the row that they refer to. It was rolled back."
            )


if context.is_offline_mode():
    raise SystemExit("Migrations run on a database, not as a script: leave out --sql.")
run_in_transaction(
    context.config.attributes.get("url") or url_of(Settings().database_url.get_secret_value()),
    migrate,
)
