"""The rate limit of refreshes: a client in a loop is slowed down and keeps its session."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from auth.credentials.login_throttle import REFRESH_RATE_LIMIT
from tests.support.clocks import FakeClock
from tests.support.endpoints import REPLAYED, REVOKED, ROTATED, THROTTLED, Api, Pair, RefreshEndpoint
from tests.support.servers import Fleet, backstage, fleet_on

INTERVAL = timedelta(seconds=REFRESH_RATE_LIMIT.interval)
KEY = "the-attempt-of-one-tab"

pytestmark = pytest.mark.usefixtures("alice")


async def refresh_times(endpoint: RefreshEndpoint, pair: Pair, times: int) -> Pair:
    """Return the tokens of a session after so many refreshes at one instant."""
    for _ in range(times):
        pair = (await endpoint.refresh(pair.refresh)).tokens
    return pair


async def test_rot_22_a_session_may_be_refreshed_twenty_times_at_once_and_then_once_in_ten_seconds(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await refresh_times(endpoint, await api.login(), 20)
    for _ in range(3):
        assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED
        clock.advance(timedelta(seconds=9))
        assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED
        clock.advance(timedelta(seconds=1))
        pair = await refresh_times(endpoint, pair, 1)


async def test_the_full_burst_is_available_again_after_twenty_intervals(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await refresh_times(endpoint, await api.login(), 20)
    clock.advance(20 * INTERVAL)
    pair = await refresh_times(endpoint, pair, 20)
    assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED


async def test_a_throttled_refresh_succeeds_after_retry_after(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await refresh_times(endpoint, await api.login(), 20)
    clock.advance(timedelta(seconds=3))
    answer = await endpoint.refresh(pair.refresh)
    assert (answer.outcome, answer.retry_after) == (THROTTLED, 7)
    clock.advance(timedelta(seconds=answer.retry_after))
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


@pytest.mark.parametrize(("seconds", "outcome"), [(60, THROTTLED), (61, ROTATED)])
async def test_a_worker_whose_clock_is_a_minute_behind_gives_no_second_burst(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock, seconds: int, outcome: str
) -> None:
    """A clock that was set back by more must not delay the session until the time comes again."""
    pair = await refresh_times(endpoint, await api.login(), 20)
    clock.advance(timedelta(seconds=-seconds))
    assert (await endpoint.refresh(pair.refresh)).outcome == outcome


async def test_a_session_that_may_be_refreshed_has_nothing_to_wait_for(clock: FakeClock) -> None:
    assert REFRESH_RATE_LIMIT.retry_after(0, clock.now()) == 0


async def test_a_throttled_refresh_consumes_no_token_and_is_no_replay(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await refresh_times(endpoint, await api.login(), 20)
    for _ in range(5):
        assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED
    assert await api.is_live(pair.access)
    clock.advance(INTERVAL)
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


async def test_a_retry_with_the_same_key_is_answered_although_the_session_is_throttled(
    api: Api, endpoint: RefreshEndpoint
) -> None:
    pair = await refresh_times(endpoint, await api.login(), 19)
    first = await endpoint.refresh(pair.refresh, KEY)
    assert (await endpoint.refresh(first.tokens.refresh)).outcome == THROTTLED
    assert (await endpoint.refresh(pair.refresh, KEY)).tokens.refresh == first.tokens.refresh


async def test_a_replay_revokes_a_session_although_it_is_throttled(api: Api, endpoint: RefreshEndpoint) -> None:
    before = await refresh_times(endpoint, await api.login(), 19)
    pair = await refresh_times(endpoint, before, 1)
    assert (await endpoint.refresh(before.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(pair.refresh)).outcome == REVOKED
    assert not await api.is_live(pair.access)


async def test_another_session_of_the_same_user_is_not_throttled(api: Api, endpoint: RefreshEndpoint) -> None:
    other = await api.login()
    pair = await refresh_times(endpoint, await api.login(), 20)
    assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED
    await refresh_times(endpoint, other, 20)


@pytest.mark.parametrize("back", [timedelta(seconds=70), timedelta(hours=1), timedelta(days=20)])
async def test_a_session_has_its_full_burst_after_the_clock_is_set_back(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock, back: timedelta
) -> None:
    pair = await refresh_times(endpoint, await api.login(), 20)
    clock.advance(-back)
    pair = await refresh_times(endpoint, pair, 20)
    assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED


@pytest.mark.parametrize("more_settings", [{"rate_limits": False}], ids=[""])
async def test_with_rate_limits_off_fifty_refreshes_at_once_succeed(api: Api, endpoint: RefreshEndpoint) -> None:
    await refresh_times(endpoint, await api.login(), 50)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_on(request.param, postgres, tmp_path_factory.mktemp("rate-limit")) as fleet:
        yield fleet


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_ops_05_two_servers_share_the_refresh_limit_of_a_session(fleet: Fleet, password_hash: str) -> None:
    async with backstage(fleet.database_url, password_hash) as behind, fleet.endpoints() as endpoints:
        pair = await behind.session(await behind.user())
        begun = time.time()
        outcomes = []
        for number in range(40):
            answer = await endpoints[number % len(endpoints)].refresh(pair.refresh)
            outcomes.append(answer.outcome)
            pair = answer.pair or pair
        allowed = REFRESH_RATE_LIMIT.burst + (time.time() - begun) // REFRESH_RATE_LIMIT.interval + 1
    assert set(outcomes) == {ROTATED, THROTTLED}
    assert REFRESH_RATE_LIMIT.burst <= outcomes.count(ROTATED) <= allowed
