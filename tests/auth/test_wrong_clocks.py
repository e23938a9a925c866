"""Wrong clocks: a machine a year ahead or behind does nothing that a corrected clock cannot undo."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from auth import clock_agreement
from auth.background.prune_schedule import LEASE, PruneSchedule
from auth.background.pruning import Pruned
from auth.clock_agreement import CLOCKS_MUST_AGREE, ClocksDiffer, ImplausibleClock
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.outcomes import ClientInfo, Rotated, SignedIn
from auth.services import Services
from db.tables import leases
from db.tables.base import SigningAlgorithm
from db.tables.families import families
from db.tables.users import UserRow
from graph.app import create_app
from graph.cli import commands
from tests.auth.background.test_prune_schedule import count_sessions, ended_family, fill
from tests.auth.background.test_pruning import every
from tests.support.clocks import FakeClock, OffsetClock
from tests.support.endpoints import (
    EXPIRED,
    PASSWORD,
    REPLAYED,
    REVOKED,
    ROTATED,
    UNAVAILABLE,
    Api,
    Pair,
    RefreshEndpoint,
)
from tests.support.servers import SECRET
from tests.support.sql import looking_at
from tests.support.statements import statements

YEAR, DAY, HOUR, MINUTE = timedelta(days=365), timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOTHING = Pruned(0, 0, 0, 0, 0)


@pytest.fixture
async def started_later(
    database_url: str, settings_for: Callable[..., Settings], clock: FakeClock
) -> AsyncIterator[Services]:
    """A process that has not read the clock yet."""
    services = Services.create(settings_for(database_url, hashing_threads=1), SECRET.encode(), Entropy())
    yield services
    await services.stop()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "kindred"]


async def last_run_at(services: Services) -> datetime | None:
    async with services.db.read() as conn:
        return await leases.last_run_at(conn, LEASE)


APART = pytest.mark.parametrize("ahead", [YEAR, -YEAR, 3 * MINUTE, -3 * MINUTE], ids=str)


@APART
async def test_data_03_nothing_is_pruned_while_the_database_s_clock_differs(
    services: Services, alice: UserRow, clock: FakeClock, ahead: timedelta
) -> None:
    await fill(services, alice, clock.now(), 3)
    clock.database_ahead = ahead
    with pytest.raises(
        ClocksDiffer, match=r"The database's clock is \d+ s (ahead of|behind) this machine's, so nothing"
    ):
        await services.prune_schedule.prune_if_due(clock)
    with pytest.raises(ClocksDiffer):
        await services.prune_schedule.prune_now(clock.now(), clock_is_right=True)
    assert await count_sessions(services) == 3
    assert await every(services, leases.leases) == []
    clock.database_ahead = MINUTE
    pruned = await services.prune_schedule.prune_if_due(clock)
    assert pruned is not None
    assert pruned.sessions == 3


async def test_data_03_the_service_logs_that_the_clocks_differ_and_tries_again(
    services: Services, alice: UserRow, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(services, alice, clock.now(), 3)
    clock.database_ahead = -YEAR
    often = PruneSchedule(services.db, services.pruning, services.entropy, timedelta(seconds=1), DAY)
    with caplog.at_level(logging.WARNING, "kindred"):
        task = asyncio.create_task(often.run(clock))
        async with asyncio.timeout(20):
            while not warnings(caplog):
                await asyncio.sleep(0.01)
            assert await count_sessions(services) == 3
            clock.database_ahead = timedelta(0)
            while await count_sessions(services):
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert warnings(caplog)[0] == (
        "Pruning was put off: The database's clock is 31536000 s behind this machine's, so nothing was pruned. "
        "Set both by NTP."
    )


async def test_data_03_a_clock_that_jumps_a_year_together_with_the_database_s_deletes_nothing(
    api: Api, services: Services, alice: UserRow, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """As on one machine, where the service and the database share a clock."""
    live, ended = await api.login(), await api.login()
    await services.sessions.revoke_all(alice.id, ClientInfo(), clock.now())
    live = await api.login()
    assert await services.prune_schedule.prune_if_due(clock) == NOTHING
    before = [len(await every(services, table)) for table in leases.leases.metadata.sorted_tables]
    with caplog.at_level(logging.WARNING, "kindred"):
        clock.advance(HOUR)
        clock.step(YEAR)
        for _ in range(3):
            assert await services.prune_schedule.prune_if_due(clock) == NOTHING
            clock.advance(HOUR)
    assert [len(await every(services, table)) for table in leases.leases.metadata.sorted_tables] == before
    assert warnings(caplog) == [
        "Pruning does not follow the clock. This machine's clock is 365 days ahead of the last pruning. "
        "If it is right, run `kindred prune --clock-is-right`; else set it by NTP."
    ]
    clock.step(-YEAR)
    assert await api.is_live((await _refreshed(services, live.refresh, clock)).access_token)
    # Rows that become old in the meantime are pruned on time.
    clock.advance(31 * DAY)
    pruned = await services.prune_schedule.prune_if_due(clock)
    assert pruned is not None
    assert pruned.sessions == 2
    assert ended.session_id not in {str(family.id) for family in await every(services, families)}


async def _refreshed(services: Services, token: str, clock: FakeClock) -> Any:
    return (await services.rotation.refresh(token, None, ClientInfo(), clock.now())).tokens  # type: ignore[union-attr]


@pytest.mark.parametrize(("gap", "is_believed"), [(7 * DAY, True), (9 * DAY, False), (YEAR, False)], ids=str)
async def test_data_03_after_a_restart_an_outage_of_a_week_is_plausible_and_a_longer_one_is_not(
    services: Services,
    started_later: Services,
    alice: UserRow,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    gap: timedelta,
    is_believed: bool,
) -> None:
    await services.prune_schedule.prune_if_due(clock)
    # It prunes sessions a day after the retention has passed, not before.
    async with looking_at(services.db) as conn:
        row = ended_family(alice, clock.now()) | {"absolute_expires_at": clock.now() - 29 * DAY}
        await conn.execute(families.insert(), [row | {"expires_at": row["absolute_expires_at"]}])
    clock.step(gap)
    with caplog.at_level(logging.WARNING, "kindred"):
        pruned = await started_later.prune_schedule.prune_if_due(clock)
    assert pruned is not None
    assert pruned.sessions == int(is_believed)
    assert len(warnings(caplog)) == int(not is_believed)
    # If the clock is not plausible, the time that passes from then on still counts.
    clock.advance(DAY)
    pruned = await started_later.prune_schedule.prune_if_due(clock)
    assert pruned is not None
    assert pruned.sessions == int(not is_believed)


async def test_data_03_an_operator_confirms_the_clock_for_the_command_and_for_every_worker(
    services: Services, started_later: Services, alice: UserRow, clock: FakeClock
) -> None:
    await services.prune_schedule.prune_if_due(clock)
    clock.step(60 * DAY)
    await fill(services, alice, clock.now() - 370 * DAY, 2)
    async with looking_at(services.db) as conn:
        await conn.execute(families.update().values(absolute_expires_at=clock.now() - 40 * DAY))
    with pytest.raises(ImplausibleClock, match="60 days ahead of the last pruning"):
        await started_later.prune_schedule.prune_now(clock.now())
    assert await count_sessions(services) == 2
    assert (await started_later.prune_schedule.prune_now(clock.now(), clock_is_right=True)).sessions == 2
    # A worker that was running before follows the confirmed clock.
    for _ in range(3):
        clock.advance(HOUR)
        assert await services.prune_schedule.prune_if_due(clock) == NOTHING
        assert clock.now() - (await last_run_at(services) or clock.now()) <= HOUR


async def test_data_03_a_clock_that_was_ahead_is_trusted_again_once_it_is_corrected(
    services: Services, started_later: Services, alice: UserRow, clock: FakeClock
) -> None:
    """A database created while the clock was a year ahead must not trust that year for ever."""
    clock.step(YEAR)
    await services.prune_schedule.prune_if_due(clock)
    clock.step(-YEAR)
    await services.prune_schedule.prune_if_due(clock)
    assert await last_run_at(services) == clock.now()
    await fill(services, alice, clock.now() + 400 * DAY, 1)
    clock.advance(HOUR)
    clock.step(YEAR - DAY)
    for worker in (services, started_later):
        assert await worker.prune_schedule.prune_if_due(clock) == NOTHING
        clock.advance(HOUR)


async def test_data_03_at_the_first_run_a_week_since_the_newest_event_is_plausible_and_more_is_not(
    api: Api, services: Services, alice: UserRow, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an upgrade from a release that did not store the time of its last run."""
    await api.try_login("alice", "not her password")
    signed_in_at = clock.now()
    clock.step(YEAR)
    with caplog.at_level(logging.WARNING, "kindred"):
        assert await services.prune_schedule.prune_if_due(clock) == NOTHING
    assert len(warnings(caplog)) == 1
    assert await last_run_at(services) == signed_in_at + clock_agreement.CLOCKS_MUST_AGREE


async def test_data_03_a_worker_a_year_behind_deletes_nothing_recent(
    api: Api, services: Services, alice: UserRow, clock: FakeClock
) -> None:
    await api.login()
    await services.prune_schedule.prune_if_due(clock)
    assert await services.prune_schedule.prune_if_due(OffsetClock(clock, timedelta(0))) is None
    clock.step(-YEAR)
    assert await services.prune_schedule.prune_if_due(clock) == NOTHING


def test_ops_07_prune_and_check_ask_the_operator_to_confirm_the_clock(database_url: str) -> None:
    env = {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": SECRET}

    def run(*command: str) -> tuple[int, str]:
        result = CliRunner().invoke(commands.main, command, env=env)
        return result.exit_code, result.stdout + result.stderr

    assert run("key", "rotate")[0] == 0
    assert run("prune")[0] == 0
    assert "ok  clock" in run("check")[1]
    asyncio.run(_set_last_run(database_url, datetime.now(UTC) - 30 * DAY - HOUR))
    warning = (
        "This machine's clock is 30 days ahead of the last pruning. If it is right, run `kindred prune "
        "--clock-is-right`; else set it by NTP."
    )
    assert run("prune") == (1, f"kindred: {warning}\n")
    assert f"warn  {warning}" in run("check")[1]
    assert run("prune", "--clock-is-right")[0] == 0
    assert run("prune")[0] == 0
    assert "ok  clock" in run("check")[1]


async def _set_last_run(database_url: str, instant: datetime) -> None:
    services = Services.create(Settings(database_url=database_url, secret=SECRET), SECRET.encode(), Entropy())
    async with services.db.transaction() as conn:
        await leases.record_run(conn, LEASE, at=instant)
    await services.stop()


@APART
async def test_ops_04_sessions_are_not_revoked_by_age_while_the_database_s_clock_differs(
    api: Api, services: Services, alice: UserRow, clock: FakeClock, ahead: timedelta
) -> None:
    pair = await api.login()
    clock.advance(MINUTE)
    clock.database_ahead = ahead
    with pytest.raises(ClocksDiffer, match="so no session was revoked"):
        await services.sessions.revoke_issued_before(clock.now(), ClientInfo(), clock.now())
    assert await api.is_live(pair.access)
    clock.database_ahead = MINUTE
    assert await services.sessions.revoke_issued_before(clock.now(), ClientInfo(), clock.now()) == 1


@APART
@pytest.mark.parametrize("at_once", [False, True])
async def test_tok_12_no_key_is_made_or_retired_while_the_database_s_clock_differs(
    services: Services, clock: FakeClock, ahead: timedelta, at_once: bool
) -> None:
    async def rotate() -> None:
        await services.keys.rotate(
            SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=15 * MINUTE, immediately=at_once
        )

    before = await services.keys.list_all()
    clock.database_ahead = ahead
    with pytest.raises(ClocksDiffer, match="so no key was made or retired"):
        await rotate()
    assert await services.keys.list_all() == before
    clock.database_ahead = MINUTE
    await rotate()
    assert len(await services.keys.list_all()) == 2


@pytest.mark.parametrize("at_once", [False, True])
async def test_tok_12_a_rotation_retires_keys_that_a_clock_a_year_ahead_made_or_scheduled(
    services: Services, clock: FakeClock, at_once: bool
) -> None:
    async def rotate() -> str:
        new_key = await services.keys.rotate(
            SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=15 * MINUTE, immediately=at_once
        )
        await services.keys.reload()
        return new_key.kid

    clock.step(YEAR)
    await rotate()
    clock.step(-YEAR)
    new_kid = await rotate()
    clock.advance(timedelta(0) if at_once else 25 * MINUTE)
    assert [key["kid"] for key in services.keys.ring.jwks(clock.now())["keys"]] == [new_kid]
    assert services.keys.ring.signing_key(clock.now()).kid == new_kid
    # The same holds a year later.
    clock.advance(YEAR + HOUR)
    assert [key["kid"] for key in services.keys.ring.jwks(clock.now())["keys"]] == [new_kid]


@pytest.mark.parametrize("wrong_by", [YEAR, -YEAR], ids=str)
async def test_tok_12_the_first_key_of_a_machine_with_a_wrong_clock_signs_once_the_clock_is_right(
    database_url: str, settings_for: Callable[..., Settings], clock: FakeClock, wrong_by: timedelta
) -> None:
    app = create_app(settings_for(database_url), clock=clock)
    clock.step(wrong_by)
    async with app.router.lifespan_context(app):
        services: Services = app.state.services
        (first,) = await services.keys.list_all()
        clock.step(-wrong_by)
        ring = services.keys.ring
        assert ring.signing_key(clock.now()).kid == first.kid
        assert ring.verification_key(first.kid, clock.now()) is not None
        assert [key["kid"] for key in ring.jwks(clock.now())["keys"]] == [first.kid]
        # The next key replaces it as usual.
        new_key = await services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=15 * MINUTE)
        await services.keys.reload()
        clock.advance(25 * MINUTE)
        assert services.keys.ring.signing_key(clock.now()).kid == new_key.kid
        assert services.keys.ring.verification_key(first.kid, clock.now()) is None


@pytest.mark.parametrize("ahead", [YEAR, -YEAR], ids=str)
async def test_rot_11_no_session_is_called_expired_while_the_database_s_clock_differs(
    api: Api, alice: UserRow, services: Services, endpoint: RefreshEndpoint, clock: FakeClock, ahead: timedelta
) -> None:
    """A client discards its token on that answer."""
    pair = await api.login()
    clock.advance(31 * DAY)
    clock.database_ahead = ahead
    with statements(services) as sent:
        assert (await endpoint.refresh(pair.refresh)).outcome == UNAVAILABLE
    # Not retried: a retry does not change what two clocks say.
    assert len([statement for statement in sent if "clock_timestamp" in statement or "strftime" in statement]) == 1
    clock.database_ahead = MINUTE
    assert (await endpoint.refresh(pair.refresh)).outcome == EXPIRED


async def test_rot_11_a_machine_a_year_ahead_expires_no_live_session(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    pair = await api.login()
    clock.step(YEAR)
    clock.database_ahead = -YEAR
    with caplog.at_level(logging.WARNING, "kindred"):
        assert (await endpoint.refresh(pair.refresh)).outcome == UNAVAILABLE
    assert (
        "unavailable: The database's clock is 31536000 s behind this machine's, so no session was called expired. "
        "Set both by NTP." in warnings(caplog)
    )
    clock.step(-YEAR)
    clock.database_ahead = timedelta(0)
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


@pytest.mark.parametrize("behind", [YEAR, 31 * DAY, 20 * DAY], ids=str)
@pytest.mark.parametrize("at_once", [1, 30])
async def test_rot_20_a_machine_that_is_behind_shortens_no_session_that_it_rotates(
    services: Services, alice: UserRow, clock: FakeClock, behind: timedelta, at_once: int
) -> None:
    """Alone and in batches, once and repeated."""
    opened = [await services.sign_in.open_session(alice, None, ClientInfo(), clock.now()) for _ in range(at_once)]
    tokens = [signed_in.tokens.refresh_token for signed_in in opened if isinstance(signed_in, SignedIn)]
    clock.advance(HOUR)
    for now in (clock.now(), clock.now() - behind, clock.now() - behind + MINUTE, clock.now() + HOUR):
        before = {family.id: family for family in await every(services, families)}
        outcomes = await asyncio.gather(
            *(services.rotation.refresh(token, None, ClientInfo(), now) for token in tokens)
        )
        tokens = [outcome.tokens.refresh_token for outcome in outcomes if isinstance(outcome, Rotated)]
        assert len(tokens) == at_once
        for family in await every(services, families):
            assert family.expires_at >= before[family.id].expires_at
            assert family.last_used_at == now


async def test_rot_11_a_session_that_a_machine_a_year_behind_refreshed_after_its_limit_is_still_expired(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await api.login()
    clock.advance(31 * DAY)
    clock.step(-YEAR)
    pair = (await endpoint.refresh(pair.refresh)).tokens
    pair = (await endpoint.refresh(pair.refresh)).tokens
    clock.step(YEAR)
    assert not await api.is_live(pair.access)
    assert (await endpoint.refresh(pair.refresh)).outcome == EXPIRED


@pytest.mark.parametrize("more_settings", [{"replay_leeway": timedelta(seconds=10)}], ids=[""])
@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [(5 * DAY, REPLAYED), (CLOCKS_MUST_AGREE + timedelta(microseconds=1), REPLAYED), (CLOCKS_MUST_AGREE, ROTATED)],
    ids=str,
)
async def test_rot_12_a_clock_that_was_ahead_does_not_extend_the_leeway(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint, clock: FakeClock, ahead: timedelta, outcome: str
) -> None:
    """Clocks may differ by two minutes, so a last use that is no further ahead is within the leeway."""
    pair = await api.login()
    clock.step(ahead)
    await endpoint.refresh(pair.refresh)
    clock.step(-ahead)
    assert (await endpoint.refresh(pair.refresh)).outcome == outcome


async def test_rot_20_an_operator_who_confirms_the_clock_shortens_sessions_that_a_clock_a_year_ahead_opened(
    api: Api,
    alice: UserRow,
    services: Services,
    endpoint: RefreshEndpoint,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit = services.settings.session_ttl
    usual = await api.login()
    clock.step(YEAR)
    pair = await api.login()
    clock.step(-YEAR)
    before = {str(family.id): family for family in await every(services, families)}
    with caplog.at_level(logging.WARNING, "kindred"):
        await services.prune_schedule.prune_if_due(clock)
    assert "1 sessions were opened in the future, by this machine's clock" in warnings(caplog)[0]
    assert {str(family.id): family for family in await every(services, families)} == before
    clock.advance(HOUR)
    clock.database_ahead = YEAR
    with pytest.raises(ClocksDiffer):
        await services.prune_schedule.shorten_future_sessions(clock.now())
    clock.database_ahead = timedelta(0)
    assert await services.prune_schedule.shorten_future_sessions(clock.now()) == 1
    assert await services.prune_schedule.shorten_future_sessions(clock.now()) == 0
    after = {str(family.id): family for family in await every(services, families)}
    assert after[usual.session_id] == before[usual.session_id]
    shortened = after[pair.session_id]
    assert shortened.created_at == shortened.last_used_at == clock.now()
    assert shortened.expires_at == shortened.absolute_expires_at == clock.now() + limit
    clock.advance(limit - HOUR)
    pair = (await endpoint.refresh(pair.refresh)).tokens
    clock.advance(HOUR)
    assert (await endpoint.refresh(pair.refresh)).outcome == EXPIRED


async def test_rot_20_a_clock_a_year_behind_shortens_no_session_without_confirmation(
    api: Api, alice: UserRow, services: Services, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    """By that clock every session was opened in the future. On one machine the database's clock agrees."""
    pair = await api.login()
    clock.step(-YEAR)
    for _ in range(3):
        assert await services.prune_schedule.prune_if_due(clock) == NOTHING
        clock.advance(HOUR)
    clock.step(YEAR)
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


def test_ops_07_prune_shortens_future_sessions_once_the_operator_confirms_the_clock(database_url: str) -> None:
    env = {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": SECRET}

    def run(*command: str) -> str:
        result = CliRunner().invoke(commands.main, command, env=env)
        assert result.exit_code == 0, result.output
        return result.stdout

    run("key", "rotate")
    CliRunner().invoke(commands.main, ["user", "add", "alice"], input=PASSWORD, env=env)
    asyncio.run(_open_session(database_url, datetime.now(UTC) + YEAR))
    assert "warn  1 sessions were opened in the future" in run("check")
    assert "Shortened" not in run("prune")
    assert "Shortened 1 session with a start in the future." in run("prune", "--clock-is-right")
    assert "ok  clock" in run("check")


async def _open_session(database_url: str, now: datetime) -> None:
    services = Services.create(Settings(database_url=database_url, secret=SECRET), SECRET.encode(), Entropy())
    await services.keys.reload()
    user = await services.accounts.find_by_username("alice")
    assert user is not None
    await services.sign_in.open_session(user, None, ClientInfo(), now)
    await services.stop()


REVOCATIONS: dict[str, Callable[[Services, UserRow, Pair, datetime], Any]] = {
    "revoke by id": lambda services, user, pair, now: services.sessions.revoke(
        user.id, UUID(pair.session_id), ClientInfo(), now
    ),
    "revoke by token": lambda services, user, pair, now: services.sessions.revoke_by_token(
        pair.refresh, ClientInfo(), now
    ),
    "revoke all": lambda services, user, pair, now: services.sessions.revoke_all(user.id, ClientInfo(), now),
    "disable": lambda services, user, pair, now: services.accounts.disable(user.id, now),
    "a new password": lambda services, user, pair, now: services.accounts.set_password(
        user, "not the password of before", now
    ),
    "issued before": lambda services, user, pair, now: services.sessions.revoke_issued_before(now, ClientInfo(), now),
}


@pytest.mark.parametrize("how", list(REVOCATIONS))
async def test_sess_03_a_revocation_by_a_clock_a_year_ahead_stays_in_force_once_the_clock_is_right(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow, clock: FakeClock, how: str
) -> None:
    """By that clock every session has expired. On one machine the database's clock agrees."""
    pair = await api.login()
    clock.step(YEAR)
    await REVOCATIONS[how](services, alice, pair, clock.now())
    clock.step(-YEAR)
    assert not await api.is_live(pair.access)
    assert (await endpoint.refresh(pair.refresh)).outcome in (EXPIRED, REVOKED)
    assert not await api.is_live(pair.access)


async def test_rot_20_the_next_refresh_corrects_a_last_use_in_the_future(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow, clock: FakeClock
) -> None:
    pair = await api.login()
    clock.step(10 * DAY)
    pair = (await endpoint.refresh(pair.refresh)).tokens
    clock.step(-10 * DAY)
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED
    (family,) = await every(services, families)
    assert family.last_used_at == clock.now()
    assert family.expires_at <= family.absolute_expires_at == family.created_at + 30 * DAY


async def test_data_03_an_operator_who_prunes_about_weekly_need_not_confirm_the_clock(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    for _ in range(3):
        await services.prune_schedule.prune_now(clock.now())
        clock.advance(7 * DAY + 20 * HOUR)
    clock.advance(DAY)
    with pytest.raises(ImplausibleClock, match="8 days ahead of the last pruning"):
        await services.prune_schedule.prune_now(clock.now())


async def test_data_03_after_an_upgrade_the_lease_of_the_former_release_gives_the_last_run(
    api: Api, alice: UserRow, services: Services, started_later: Services, clock: FakeClock
) -> None:
    await api.login()  # the newest event; from then on clients only refresh
    clock.advance(10 * DAY)
    async with services.db.transaction() as conn:
        await leases.claim(conn, LEASE, now=clock.now(), until=clock.now() + HOUR)
    clock.advance(2 * HOUR)
    assert await started_later.prune_schedule.clock_warning(clock.now()) is None
    assert await started_later.prune_schedule.prune_if_due(clock) == NOTHING
    assert await last_run_at(started_later) == clock.now()


async def test_ops_04_a_session_used_in_the_future_is_revoked_too(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow, clock: FakeClock
) -> None:
    pair = await api.login()
    clock.step(HOUR)
    pair = (await endpoint.refresh(pair.refresh)).tokens
    clock.step(-HOUR)
    assert await services.sessions.revoke_issued_before(clock.now(), ClientInfo(), clock.now()) == 1
    assert (await endpoint.refresh(pair.refresh)).outcome == REVOKED
