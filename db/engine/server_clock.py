"""The database's own clock. No instant is taken from it; it is there to be compared with this machine's clock."""

from datetime import UTC, datetime
from typing import cast

from sqlalchemy import text

from db.engine.database import Connection

_NOW = {"postgresql": text("SELECT clock_timestamp()"), "sqlite": text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")}


async def now(conn: Connection) -> datetime:
    """The instant as the database sees it, aware and in UTC. SQLite sees the machine's own clock, in milliseconds."""
    found = (await conn.execute(_NOW[conn.dialect.name])).scalar_one()
    if isinstance(found, str):
        return datetime.fromisoformat(found).replace(tzinfo=UTC)
    return cast(datetime, found).astimezone(UTC)
