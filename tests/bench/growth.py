"""Measure the cost of operations as tables grow: `make bench-growth`, or `python -m tests.bench.growth 10000 1000000`.

Fills its own PostgreSQL server with sessions by SQL, five for each user, and measures at each size: refreshes of
sessions from all over the table, lists, sign-ins, and the size of the tables. At the end it measures refreshes while
families that ended long ago are pruned.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import uvloop
from sqlalchemy import text

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.credentials.password_hashing import hash_password
from auth.crypto.entropy import Entropy
from auth.services import Services
from db.engine.database import url_of
from db.migration import upgrade
from tests.bench.measuring import HEADING, Watched, line, measure
from tests.bench.seeding import Seeded
from tests.bench.service import CLIENTS, listings, rotations, sign_ins
from tests.support import databases
from tests.support.endpoints import PASSWORD
from tests.support.servers import SECRET, serving
from tests.support.sql import looking_at

SAMPLE = 6_000
EACH = 5  # sessions of a user
AT_ONCE = 500_000

_USERS = """
INSERT INTO users (id, username, email, hashed_password, is_active, created_at, password_changed_at)
SELECT gen_random_uuid(), 'user-' || n, NULL, $3, true, now(), now() FROM generate_series($1::int, $2::int) AS n
"""
_NAMES = """
INSERT INTO usernames (username_key, user_id)
SELECT username, id FROM users WHERE split_part(username, '-', 2)::int BETWEEN $1 AND $2
"""
# The device name is the number of the session. The session's token is derived from it.
_FAMILIES = """
INSERT INTO token_families (user_id, id, token_digest, generation, device_name, user_agent, ip, created_at,
    last_used_at, expires_at, absolute_expires_at)
SELECT users.id, gen_random_uuid(), sha256(convert_to('bench-' || number, 'UTF8')), 1, number, 'kindred-bench',
    '127.0.0.1', now(), now(), now() + interval '30 days', now() + interval '30 days'
FROM users, generate_series(1, 5) AS each,
    LATERAL (SELECT ((split_part(username, '-', 2)::bigint - 1) * 5 + each)::text) AS numbered(number)
WHERE split_part(username, '-', 2)::int BETWEEN $1 AND $2
"""


async def fill(url: str, begin: int, end: int, hashed: str) -> None:
    """Add users and their sessions, from one number of users to another."""
    connection = await databases.connect(url)
    # The references are right by construction. To check each foreign key would take longer than all the rest.
    await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    await connection.execute("CREATE INDEX IF NOT EXISTS of_bench ON users ((split_part(username, '-', 2)::int))")
    for start in range(begin, end, AT_ONCE // EACH):
        stop = min(start + AT_ONCE // EACH, end)
        await connection.execute(_USERS, start + 1, stop, hashed)
        await connection.execute(_NAMES, start + 1, stop)
        await connection.execute(_FAMILIES, start + 1, stop)
        if start == begin:
            await connection.execute("ANALYZE")
    await connection.execute(
        "INSERT INTO refresh_tokens (user_id, family_id, slot, generation, issued_at, expires_at, ip, user_agent) "
        "SELECT user_id, id, 1, 1, created_at, expires_at, ip, user_agent FROM token_families ON CONFLICT DO NOTHING"
    )
    await connection.execute("DROP INDEX of_bench")
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def sample(services: Services, count: int, rng: random.Random, now: datetime) -> list[Seeded]:
    """Return sessions from all over the table, with their tokens."""
    numbers = [str(number) for number in rng.sample(range(1, count + 1), min(SAMPLE, count))]
    async with looking_at(services.db) as conn:
        rows: Any = await conn.execute(
            text(
                "SELECT token_families.*, users.username FROM token_families JOIN users ON users.id = user_id "
                "WHERE device_name = ANY(:numbers) AND generation = 1"
            ),
            {"numbers": numbers},
        )
        found = rows.mappings().all()
    sessions = []
    for row in found:
        pair = services.rotation.token_pairs.create(SimpleNamespace(**row), f"bench-{row['device_name']}", now)  # type: ignore[arg-type]
        sessions.append(Seeded(row["user_id"], row["id"], row["username"], pair.access_token, pair.refresh_token))
    rng.shuffle(sessions)
    return sessions


async def sizes(url: str, count: int) -> str:
    """Describe the bytes for each session, and how many of them are in indexes."""
    connection = await databases.connect(url)
    found = []
    for table in ("token_families", "refresh_tokens"):
        whole = await connection.fetchval(f"SELECT pg_total_relation_size('{table}')")
        indexes = await connection.fetchval(f"SELECT pg_indexes_size('{table}')")
        found.append(f"{table} {whole / count:,.0f} bytes for each session, {indexes / count:,.0f} of them in indexes")
    await connection.close()
    return "; ".join(found)


async def measure_during_pruning(
    services: Services, url: str, port: int, watched: Watched, sessions: list[Seeded]
) -> None:
    """Measure refreshes alone, and while families that ended a year ago are pruned."""
    connection = await databases.connect(url)
    ended = await connection.execute(
        "UPDATE token_families SET revoked_at = now() - interval '1 year', revocation_reason = 'REVOKED_BY_USER' "
        "WHERE device_name::bigint <= 1000000 AND NOT id = ANY($1)",
        [session.id for session in sessions],
    )
    await connection.execute("VACUUM ANALYZE token_families")
    await connection.close()
    half = len(sessions) // 2
    alone = await measure(port, watched, rotations(sessions[:half]), clients=4, seconds=10)
    pruning = asyncio.create_task(services.pruning.prune(SystemClock().now()))
    begun = time.perf_counter()
    beside = await measure(port, watched, rotations(sessions[half:]), clients=4, seconds=10)
    pruned = await pruning
    print(
        f"pruning {pruned.sessions:,} of {ended.split()[-1]} ended families took {time.perf_counter() - begun:,.0f} s; "
        f"refreshes by 4 clients: p99 {alone.percentile(99):.1f} ms alone, {beside.percentile(99):.1f} ms beside it, "
        f"medians {statistics.median(alone.latencies) * 1000:.1f} and {statistics.median(beside.latencies) * 1000:.1f}"
    )


async def main(options: argparse.Namespace) -> None:
    """Measure at each size."""
    hashed, rng = await asyncio.to_thread(hash_password, PASSWORD), random.Random(1)
    server = databases.Server(fsync=True)
    try:
        url = await databases.create_database(server.url)
        await asyncio.to_thread(upgrade, url_of(url))
        services = Services.create(Settings(database_url=url, secret=SECRET), SECRET.encode(), Entropy())
        await services.start(SystemClock().now())
        print(HEADING)
        filled = 0
        for count in options.sizes:
            begun = time.perf_counter()
            await fill(url, filled // EACH, count // EACH, hashed)
            filled = count
            took = time.perf_counter() - begun
            print(f"{count:,} sessions, filled in {took:,.0f} s: {await sizes(url, count)}", flush=True)
            with tempfile.TemporaryDirectory(prefix="kindred-bench-") as folder:
                async with serving(url, Path(folder), KINDRED_METRICS="on", KINDRED_PRUNE_INTERVAL="0") as running:
                    watched = Watched(psutil.Process(running.process.pid), server.process())
                    sessions = await sample(services, count, rng, SystemClock().now())
                    third = len(sessions) // 3
                    parts = [sessions[:third], sessions[third : 2 * third], sessions[2 * third :]]
                    works = {
                        "rotation": rotations(parts[0]),
                        "sessions": listings(parts[1], expected=EACH),
                        "sign-in": sign_ins(parts[1]),
                    }
                    for name, work in works.items():
                        clients = CLIENTS.get(name, 32)
                        await measure(running.port, watched, work, clients=clients, seconds=1)
                        measured = await measure(running.port, watched, work, clients=clients, seconds=options.seconds)
                        print(line(f"{name}, {count:,} sessions", measured), flush=True)
                    if count == options.sizes[-1]:
                        await measure_during_pruning(services, url, running.port, watched, parts[2])
        await services.stop()
    finally:
        server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="how long each is measured (5)")
    parser.add_argument("sizes", nargs="*", type=int, default=[10_000, 1_000_000, 10_000_000], help="how many sessions")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args()))
