"""Measure the cost of each operation: `make bench`, or `python -m tests.bench.service`.

Starts its own PostgreSQL server (with fsync, as in production) and the service as in production, with everything on:
throttle, limits, events, metrics, logs. Every operation is a GraphQL document over HTTP, asked by 32 clients that each
wait for their answer. Service, database and clients share the machine's cores, so a rate says as much of the machine as
of the service: CPU for each operation is what to compare, taken from the processes' own times.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
import uvloop

from auth.credentials.password_hashing import hash_password
from db.engine.database import url_of
from db.migration import upgrade
from tests.bench.client import Connection
from tests.bench.measuring import HEADING, Measured, Watched, Work, argon2, line, measure
from tests.bench.seeding import Seeded, seed
from tests.support.databases import Server, create_database, migrated_sqlite
from tests.support.endpoints import LOGIN, PASSWORD, REVOKE
from tests.support.servers import serving

REFRESH = """
mutation Refresh($input: RefreshTokenInput!) {
  refreshToken(input: $input) {
    __typename
    ... on RefreshTokenSuccess { tokens { accessToken refreshToken expiresIn } }
    ... on UserError { message }
  }
}
"""
SESSIONS = """
query Sessions {
  sessions(first: 20) {
    edges { cursor node { id deviceName ipAddress createdAt lastUsedAt expiresAt isCurrent state } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
# The smallest query of a resource server: the user of a token, if the session is live.
VIEWER = "query Viewer { viewer { id } }"
# A session may be refreshed twenty times at once, and is here no more than half as often.
MOST_ROTATIONS = 10
PEOPLE, SESSIONS_EACH, TO_REVOKE = 100, 40, 20_000
# At most five passwords for each core are hashed or wait. Any other sign-in is answered 503 at once.
CLIENTS = {"sign-in": 8}
ROUNDS = 3


def rotations(sessions: Sequence[Seeded]) -> Work:
    """Refresh the sessions in turn, each with its newest token."""
    chains = deque((session.refresh_token, 0) for session in sessions)
    keys = itertools.count()

    async def rotate(connection: Connection) -> None:
        token, times = chains.popleft()
        if times == MOST_ROTATIONS:
            raise StopAsyncIteration
        given = {"refreshToken": token, "idempotencyKey": f"bench-attempt-{next(keys):012d}"}
        result = (await connection.graphql(REFRESH, {"input": given}))["refreshToken"]
        if result["__typename"] != "RefreshTokenSuccess":
            raise RuntimeError(f"a rotation was refused: {result}")
        chains.append((result["tokens"]["refreshToken"], times + 1))

    return rotate


def listings(sessions: Sequence[Seeded], *, expected: int = 20) -> Work:
    """List the first twenty sessions of a user, or as many as expected."""
    tokens = itertools.cycle([session.access_token for session in sessions])

    async def sessions_of_one(connection: Connection) -> None:
        data = await connection.graphql(SESSIONS, {}, authorization=f"Bearer {next(tokens)}")
        if len(data["sessions"]["edges"]) < expected:
            raise RuntimeError(f"not {expected} sessions: {data}")

    return sessions_of_one


def state_checks(sessions: Sequence[Seeded]) -> Work:
    """Present access tokens, for which the service reads the session and then the user."""
    tokens = itertools.cycle([session.access_token for session in sessions])

    async def show(connection: Connection) -> None:
        data = await connection.graphql(VIEWER, {}, authorization=f"Bearer {next(tokens)}")
        if data["viewer"] is None:
            raise RuntimeError(f"no viewer: {data}")

    return show


def sign_ins(sessions: Sequence[Seeded]) -> Work:
    """Sign in with the right password."""
    names = itertools.cycle(dict.fromkeys(session.username for session in sessions))

    async def sign_in(connection: Connection) -> None:
        data = await connection.graphql(LOGIN, {"input": {"username": next(names), "password": PASSWORD}})
        if data["login"]["__typename"] != "LoginSuccess":
            raise RuntimeError(f"a sign-in was refused: {data}")

    return sign_in


def revocations(sessions: Sequence[Seeded]) -> Work:
    """Revoke sessions, each by its owner."""
    left = iter(sessions)

    async def revoke(connection: Connection) -> None:
        if (session := next(left, None)) is None:
            raise StopAsyncIteration
        given = {"id": str(session.id)}
        data = await connection.graphql(REVOKE, {"input": given}, authorization=f"Bearer {session.access_token}")
        if data["revokeSession"]["__typename"] != "RevokeSessionSuccess":
            raise RuntimeError(f"a session was not revoked: {data}")

    return revoke


async def measure_all(
    url: str, name: str, folder: Path, database: psutil.Process | None, options: argparse.Namespace
) -> None:
    """Start the service over one database, and measure each operation."""
    sessions = await seed(
        url, people=PEOPLE, sessions_each=SESSIONS_EACH, password_hash=await asyncio.to_thread(hash_password, PASSWORD)
    )
    works = {
        "rotation": rotations(sessions),
        "sessions(first: 20)": listings(sessions),
        "state check, and `viewer`": state_checks(sessions),
        "sign-in": sign_ins(sessions),
        # A session can be revoked once, so these are other sessions, and many.
        "revokeSession": revocations(await seed(url, people=TO_REVOKE // SESSIONS_EACH, sessions_each=SESSIONS_EACH)),
    }
    async with serving(url, folder, workers=options.workers, KINDRED_METRICS="on") as server:
        watched = Watched(psutil.Process(server.process.pid), database)
        for operation in options.operations or works:
            # Warm up: caches, the pool, prepared statements.
            work, clients = works[operation], CLIENTS.get(operation, options.clients)
            await measure(server.port, watched, work, clients=clients, seconds=options.seconds / 5)
            timed = partial(measure, server.port, watched, work, clients=clients)
            if operation == "sign-in":
                await compare_with_argon2(timed, f"{operation}, {name}", options.seconds)
            else:
                print(line(f"{operation}, {name}", await timed(seconds=options.seconds)), flush=True)


async def compare_with_argon2(timed: Callable[..., Awaitable[Measured]], name: str, seconds: float) -> None:
    """Measure the operation and argon2 alone in turn, because the speed of a machine changes within a minute."""
    shares = []
    for _ in range(ROUNDS):
        before = await asyncio.to_thread(argon2, seconds / ROUNDS)
        measured = await timed(seconds=seconds / ROUNDS)
        after = await asyncio.to_thread(argon2, seconds / ROUNDS)
        print(line(name, measured), flush=True)
        shares.append(2 * measured.rate / (before + after))
    each = ", ".join(f"{share:.0%}" for share in shares)
    print(f"{'  of argon2 alone, before and after':<36}{statistics.median(shares):>10.0%}   ({each})", flush=True)


async def main(options: argparse.Namespace) -> None:
    """Measure over each database that was asked for."""
    print(f"{options.clients} clients, {options.seconds:g} s each, {options.workers} worker(s), GraphQL over HTTP")
    print(HEADING)
    with tempfile.TemporaryDirectory(prefix="kindred-bench-") as name:
        folder = Path(name)
        if "postgresql" in options.databases:
            server = Server(fsync=True)
            try:
                url = await create_database(server.url)
                await asyncio.to_thread(upgrade, url_of(url))
                await measure_all(url, "PostgreSQL", folder, server.process(), options)
            finally:
                server.stop()
        if "sqlite" in options.databases:
            url = await asyncio.to_thread(migrated_sqlite, folder / "kindred.db")
            await measure_all(url, "SQLite", folder, None, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32, help="requests under way at once (32)")
    parser.add_argument("--seconds", type=float, default=10, help="how long each is measured (10)")
    parser.add_argument("--workers", type=int, default=1, help="of the service (1)")
    parser.add_argument("--operation", action="append", dest="operations", help="rotation, sign-in ...; else all")
    parser.add_argument("databases", nargs="*", default=["postgresql", "sqlite"], help="postgresql, sqlite, or both")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args()))
