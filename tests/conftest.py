"""Fixtures: databases, a clock that tests control, the application, and its endpoints."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from auth.config.settings import Settings
from auth.credentials import password_hashing
from auth.credentials.password_hashing import hash_password
from auth.services import Services
from db.engine import server_clock as database_clock
from db.engine.database import Connection, url_of
from db.migration import upgrade
from db.tables.users import UserRow
from graph.app import create_app
from tests.repository.checklist import IDS, ids_of, named
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.endpoints import ENDPOINTS, PASSWORD, Api, RefreshEndpoint
from tests.support.proxy import Proxy, proxied
from tests.support.servers import SECRET

_SERVER = "KINDRED_TEST_POSTGRES_URL_OF_THIS_RUN"
_running: list[databases.Server] = []

# The service's hashing at a fraction of the cost: 0.1 ms instead of 20 ms. Each application hashes twice at its start,
# and each sign-in once, which took half of the suite's time.
_CHEAP_HASHING = password_hashing._CONTEXT.copy(argon2__memory_cost=64, argon2__time_cost=1)


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL once, in the main process. The workers inherit its address."""
    config.addinivalue_line(
        "markers", "real_hash_cost: hash passwords at the service's own cost, which is 20 ms of a core"
    )
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        server = databases.Server()
        _running.append(server)
        os.environ[_SERVER] = server.url


def pytest_unconfigure() -> None:
    """Stop PostgreSQL."""
    while _running:
        _running.pop().stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report how much of the security checklist this run tested. Skipped and deselected tests do not count."""
    reports = terminalreporter.stats.get("passed", ())
    passed = ids_of(report.location[2].partition("[")[0] for report in reports if report.when == "call")
    line = f"security checklist: {len(IDS)} IDs, {len(named())} in names of tests, {len(passed)} in tests that passed"
    terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def hash_cost(request: pytest.FixtureRequest) -> Iterator[None]:
    """Make password hashes cheap in this process, except for tests marked `real_hash_cost`.

    Servers that a test starts are other processes and hash at the real cost.
    """
    real = password_hashing._CONTEXT
    if not request.node.get_closest_marker("real_hash_cost"):
        password_hashing._CONTEXT = _CHEAP_HASHING
    yield
    password_hashing._CONTEXT = real


@pytest.fixture(scope="session")
def postgres() -> str:
    """The URL of the PostgreSQL server of this run."""
    return os.environ[_SERVER]


@pytest.fixture(scope="session")
def _worker_database(postgres: str) -> Iterator[str]:
    url = asyncio.run(databases.create_database(postgres))
    upgrade(url_of(url))
    yield url
    asyncio.run(databases.drop_database(url, postgres))


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "kindred.db"
    databases.migrated_sqlite(path)
    return path


@pytest.fixture
async def postgresql_url(_worker_database: str) -> str:
    """A migrated PostgreSQL database without rows."""
    await databases.empty(_worker_database)
    return _worker_database


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite file without rows."""
    path = tmp_path / "kindred.db"
    shutil.copyfile(_sqlite_template, path)
    path.chmod(0o600)
    return databases.sqlite_url(path)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database without rows. A test with this fixture runs on SQLite and on PostgreSQL."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of the service and the database. It moves only when the test moves it."""
    clock, asked = FakeClock(), database_clock.now

    async def now(conn: Connection) -> datetime:
        await asked(conn)
        return clock.now() + clock.database_ahead

    monkeypatch.setattr(database_clock, "now", now)
    return clock


@pytest.fixture
def settings_for() -> Callable[..., Settings]:
    """Create settings with a database URL. Keyword arguments are further settings."""

    def make(database_url: str, **settings: Any) -> Settings:
        return Settings(database_url=database_url, secret=SECRET, **settings)

    return make


@pytest.fixture
def more_settings() -> dict[str, Any]:
    """Further settings of `app`. A test overrides this fixture with `parametrize`."""
    return {}


@pytest.fixture
async def app(
    database_url: str, clock: FakeClock, settings_for: Callable[..., Settings], more_settings: dict[str, Any]
) -> AsyncIterator[FastAPI]:
    """The application, after its start."""
    app = create_app(settings_for(database_url, **more_settings), clock=clock)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def services(app: FastAPI) -> Services:
    """The use cases of the application, called directly, as the commands of an operator do."""
    service: Services = app.state.services
    return service


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """An HTTP client of the application."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test") as client:
        yield client


@pytest.fixture
def api(http: AsyncClient) -> Api:
    """A GraphQL client of the application."""
    return Api(http)


@pytest.fixture(params=list(ENDPOINTS))
def endpoint(request: pytest.FixtureRequest, http: AsyncClient) -> RefreshEndpoint:
    """A refresh endpoint. A test with this fixture runs through GraphQL and through REST."""
    return ENDPOINTS[request.param](http)


@pytest.fixture(scope="session")
def password_hash() -> str:
    """The hash of `PASSWORD` at the real cost, computed once, for users of servers in other processes."""
    return hash_password(PASSWORD)


@pytest.fixture(scope="session")
def _cheap_password_hash() -> str:
    return str(_CHEAP_HASHING.hash(PASSWORD))


@pytest.fixture
def add_user(
    services: Services, clock: FakeClock, password_hash: str, _cheap_password_hash: str
) -> Callable[[str], Any]:
    """Return a function that adds a user with the password `PASSWORD`."""
    is_cheap = password_hashing._CONTEXT is _CHEAP_HASHING
    stored = _cheap_password_hash if is_cheap else password_hash

    async def add(name: str) -> UserRow:
        # Imported, because `accounts.add` would hash the same password again for each test.
        return await services.accounts.import_user(name, f"{name}@example.org", stored, clock.now())

    return add


@pytest.fixture
async def alice(add_user: Callable[[str], Any]) -> UserRow:
    """A user."""
    user: UserRow = await add_user("alice")
    return user


@pytest.fixture
async def bob(add_user: Callable[[str], Any]) -> UserRow:
    """Another user."""
    user: UserRow = await add_user("bob")
    return user


@pytest.fixture
async def proxy(postgresql_url: str) -> AsyncIterator[Proxy]:
    """A proxy between the service and PostgreSQL."""
    async with proxied(postgresql_url) as proxy:
        yield proxy


@pytest.fixture
def proxied_url(proxy: Proxy) -> str:
    """The URL of PostgreSQL through the proxy."""
    return proxy.url
