"""Clocks: only the service's clock decides, a small difference is tolerated, and a step signs no user out."""

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select
from typer.testing import CliRunner

from auth.background.diagnostics import clock_difference
from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.outcomes import ClientInfo, SignedIn
from auth.services import Services
from db import metadata
from db.tables.families import families
from db.tables.users import UserRow
from graph.app import create_app
from graph.cli import commands
from tests.support.clocks import FakeClock, OffsetClock
from tests.support.databases import connect
from tests.support.endpoints import ENDPOINTS, EXPIRED, REPLAYED, REVOKE, ROTATED, SESSIONS, Api, RefreshEndpoint
from tests.support.servers import SECRET
from tests.support.sql import looking_at
from tests.support.statements import statements

SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
Node = Callable[[timedelta], AbstractAsyncContextManager[Api]]


@pytest.fixture
def node(database_url: str, clock: FakeClock, settings_for: Callable[..., Settings]) -> Node:
    """Another node, whose clock is ahead of the first one's by this much."""

    @asynccontextmanager
    async def node(ahead: timedelta) -> AsyncIterator[Api]:
        app = create_app(settings_for(database_url), clock=OffsetClock(clock, ahead))
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test") as http,
        ):
            yield Api(http)

    return node


@pytest.mark.parametrize("ahead", [5, -5, 30, -30])
@pytest.mark.parametrize("name", list(ENDPOINTS))
async def test_tok_10_rot_20_two_nodes_whose_clocks_differ_a_little_agree(
    api: Api, alice: UserRow, clock: FakeClock, node: Node, ahead: int, name: str
) -> None:
    async with node(ahead * SECOND) as other:
        here, there = ENDPOINTS[name](api.http), ENDPOINTS[name](other.http)
        pair = await api.login()
        first = pair
        for _ in range(4):
            assert await other.is_live(pair.access)
            pair = (await there.refresh(pair.refresh)).tokens
            # The node that is behind accepts at once what the node ahead has just issued.
            assert await api.is_live(pair.access)
            assert (await here.refresh(pair.refresh, "an-attempt-at-one-node")).outcome == ROTATED
            pair = (await there.refresh(pair.refresh, "an-attempt-at-one-node")).tokens
            clock.advance(SECOND)
        assert (await here.refresh(first.refresh)).outcome == REPLAYED
        assert not await other.is_live(pair.access)


@pytest.mark.parametrize("ahead", [31, 120, 3600])
async def test_tok_10_an_access_token_from_too_far_ahead_is_refused_and_a_refresh_replaces_it(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint, node: Node, ahead: int
) -> None:
    async with node(ahead * SECOND) as other:
        pair = await other.login()
        assert not await api.is_live(pair.access)
        refreshed = (await endpoint.refresh(pair.refresh)).tokens
        assert await api.is_live(refreshed.access)


@pytest.mark.parametrize("step", [120, 3600, -120, -3600])
async def test_tok_10_rot_20_a_clock_that_steps_signs_no_user_out_and_causes_no_replay(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint, clock: FakeClock, step: int
) -> None:
    first = await api.login()
    pair = (await endpoint.refresh(first.refresh)).tokens
    clock.advance(step * SECOND)
    # After a step shorter than its lifetime, an access token is still accepted. Otherwise the client refreshes.
    assert await api.is_live(pair.access) == (step == 120)
    pair = (await endpoint.refresh(pair.refresh)).tokens
    assert await api.is_live(pair.access)
    clock.advance(-step * SECOND)
    pair = (await endpoint.refresh(pair.refresh)).tokens
    assert await api.is_live(pair.access)
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED


async def test_rot_20_the_limits_are_exact_to_the_microsecond(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    """SQLite compares timestamps as text. If a fraction of 0 were left out, they would sort wrongly."""
    for start in (clock.now(), clock.now() + MICROSECOND, clock.now() - MICROSECOND):
        signed_in = await services.sign_in.open_session(alice, None, ClientInfo(), start)
        assert isinstance(signed_in, SignedIn)
        end = start + services.settings.session_ttl
        token = signed_in.tokens.refresh_token
        clock.instant = end
        late = await services.rotation.refresh(token, None, ClientInfo(), end)
        assert type(late).__name__ == "Expired"
        in_time = await services.rotation.refresh(token, None, ClientInfo(), end - MICROSECOND)
        assert type(in_time).__name__ == "Rotated"


async def test_rot_11_rot_20_a_session_that_expired_by_a_clock_that_was_ahead_is_not_replayed(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await api.login()
    clock.advance(timedelta(days=31))
    assert (await endpoint.refresh(pair.refresh)).outcome == EXPIRED
    clock.advance(timedelta(days=-31))
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


async def test_rot_20_the_database_s_clock_and_time_zone_do_not_affect_a_session(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint, services: Services, clock: FakeClock, database_url: str
) -> None:
    """Signing in, refreshing, listing and revoking do not read that clock, and no column has it as a default.

    Only irreversible actions compare it with the service's clock, and store nothing of it: see `test_wrong_clocks.py`.
    """
    if services.db.dialect == "postgresql":
        connection = await connect(database_url)
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Kathmandu'")
        await connection.close()
        await services.db.close()
    try:
        clock.advance(timedelta(days=-3650))
        with statements(services) as sent:
            pair = await api.login()
            pair = (await endpoint.refresh(pair.refresh)).tokens
            assert await api.is_live(pair.access)
            await api.data(SESSIONS, bearer=pair.access)
            await api.data(REVOKE, {"input": {"id": pair.session_id}}, bearer=pair.access)
        async with looking_at(services.db) as conn:
            (family,) = (await conn.execute(select(families))).all()
        assert family.created_at == family.last_used_at == clock.now()
        assert family.created_at.utcoffset() == timedelta(0)
    finally:
        if services.db.dialect == "postgresql":
            connection = await connect(database_url)
            await connection.execute(f'ALTER DATABASE "{name}" RESET timezone')
            await connection.close()
    clocks = ("now(", "current_", "clock_timestamp", "datetime(", "strftime", "localtime")
    assert [statement for statement in sent if any(clock in statement.lower() for clock in clocks)] == []
    defaults = [column.server_default for table in metadata.sorted_tables for column in table.columns]
    assert [default for default in defaults if default is not None and "0" not in str(default.arg)] == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ahead", "warning"),
    [
        (0, "ok  clock"),
        (4, "ok  clock"),
        (-4, "ok  clock"),
        (60, "warn  The database's clock is 60 s behind this machine's. Set both by NTP."),
        (-60, "warn  The database's clock is 60 s ahead of this machine's. Set both by NTP."),
    ],
)
def test_ops_07_check_warns_when_the_clocks_differ(
    database_url: str, monkeypatch: pytest.MonkeyPatch, ahead: int, warning: str
) -> None:
    class Shifted(SystemClock):
        def now(self) -> datetime:
            return datetime.now(UTC) + ahead * SECOND

    env = {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": SECRET}
    assert CliRunner().invoke(commands.main, ["key", "rotate"], env=env).exit_code == 0
    monkeypatch.setattr(commands, "SystemClock", Shifted)
    checked = CliRunner().invoke(commands.main, ["check"], env=env)
    assert checked.exit_code == 0
    assert checked.stdout.splitlines()[-1] == warning


async def test_ops_07_the_time_of_the_query_is_not_a_difference_of_clocks(services: Services, clock: FakeClock) -> None:
    class Slow(SystemClock):
        """The query takes six seconds, by this clock."""

        def __init__(self, start: datetime) -> None:
            self.instants = [start - 3 * SECOND, start + 3 * SECOND]

        def now(self) -> datetime:
            return self.instants.pop(0)

    assert await clock_difference(services.db, Slow(clock.now())) == timedelta(0)


@pytest.fixture
def machine_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the time zone of this process, as the machine's would be."""

    def set_zone(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns"])
def test_ops_07_timestamps_are_utc_in_every_time_zone_of_the_machine(
    database_url: str, machine_zone: Callable[[str], None], zone: str
) -> None:
    machine_zone(zone)
    assert datetime.now().astimezone().utcoffset() != timedelta(0)
    env = {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": SECRET}

    def run(*command: str) -> str:
        return CliRunner().invoke(commands.main, command, env=env).stdout

    assert "Created key" in run("key", "rotate")
    assert run("check").splitlines()[-1] == "ok  clock"
    (row,) = run("key", "list").splitlines()[1:]
    (printed,) = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", row)
    signs_from = datetime.fromisoformat(printed)
    assert timedelta(minutes=9) < signs_from - datetime.now(UTC) < timedelta(minutes=11)
