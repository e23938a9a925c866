"""The database's own clock. The service takes no time from it; it compares it with the machine's clock."""

from datetime import UTC, datetime

from sqlalchemy import column, text
from sqlmodel.sql.sqltypes import UTCDateTime

from db.drivers.connection import Connection
from db.engine.compiled import Compiled

_NOW = Compiled(
    postgresql=text("SELECT clock_timestamp() AS now").columns(column("now", UTCDateTime())),
    sqlite=text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now') AS now").columns(column("now", UTCDateTime())),
)


async def now(conn: Connection) -> datetime:
    """Return the database's time, in UTC. SQLite has the machine's own clock, in milliseconds."""
    instant: datetime = (await _NOW.one(conn, {})).now
    return instant.astimezone(UTC)
