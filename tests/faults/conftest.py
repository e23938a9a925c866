"""Fixtures: sessions, and a PostgreSQL server that a test may break."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from db.engine.database import url_of
from db.migration import upgrade
from tests.faults.load import SESSIONS
from tests.support import databases
from tests.support.endpoints import Pair
from tests.support.servers import backstage

SignIn = Callable[[str], Awaitable[list[Pair]]]


@pytest.fixture
def sign_in(password_hash: str) -> SignIn:
    """Open sessions in a database, each for another user."""

    async def sessions(database_url: str) -> list[Pair]:
        async with backstage(database_url, password_hash) as behind:
            return [await behind.session(await behind.user()) for _ in range(SESSIONS)]

    return sessions


@pytest.fixture
def own_server() -> Iterator[databases.Server]:
    """A PostgreSQL server that a test may break."""
    server = databases.Server()
    if server.process() is None:
        pytest.skip("KINDRED_TEST_POSTGRES_URL names a server that the tests must not break")
    yield server
    server.stop()


@pytest.fixture
def own_database(own_server: databases.Server) -> str:
    """A migrated database on it."""
    url = asyncio.run(databases.create_database(own_server.url))
    upgrade(url_of(url))
    return url
