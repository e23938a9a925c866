"""How fast one session may be refreshed: a client in a loop is slowed down, and loses nothing by it."""

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


async def refreshed(endpoint: RefreshEndpoint, pair: Pair, times: int) -> Pair:
    """What a session holds after so many refreshes at one instant."""
    for _ in range(times):
        pair = (await endpoint.refresh(pair.refresh)).tokens
    return pair


async def test_rot_22_a_session_is_refreshed_twenty_times_at_once_and_then_every_ten_seconds(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await refreshed(endpoint, await api.login(), 20)
    for _ in range(3):
        assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED
        clock.advance(timedelta(seconds=9))
        assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED
        clock.advance(timedelta(seconds=1))
        pair = await refreshed(endpoint, pair, 1)


async def test_the_burst_is_whole_again_after_a_rest(api: Api, endpoint: RefreshEndpoint, clock: FakeClock) -> None:
    pair = await refreshed(endpoint, await api.login(), 20)
    clock.advance(20 * INTERVAL)
    pair = await refreshed(endpoint, pair, 20)
    assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED


async def test_who_is_throttled_is_told_how_long_to_wait_and_that_is_enough(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await refreshed(endpoint, await api.login(), 20)
    clock.advance(timedelta(seconds=3))
    answer = await endpoint.refresh(pair.refresh)
    assert (answer.outcome, answer.retry_after) == (THROTTLED, 7)
    clock.advance(timedelta(seconds=answer.retry_after))
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


async def test_a_throttled_refresh_spends_nothing_and_is_no_replay(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    pair = await refreshed(endpoint, await api.login(), 20)
    for _ in range(5):
        assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED
    assert await api.is_live(pair.access)
    clock.advance(INTERVAL)
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


async def test_an_answer_that_was_lost_is_given_again_however_busy_the_session_is(
    api: Api, endpoint: RefreshEndpoint
) -> None:
    pair = await refreshed(endpoint, await api.login(), 19)
    first = await endpoint.refresh(pair.refresh, KEY)
    assert (await endpoint.refresh(first.tokens.refresh)).outcome == THROTTLED
    assert (await endpoint.refresh(pair.refresh, KEY)).tokens.refresh == first.tokens.refresh


async def test_a_replay_ends_a_session_however_busy_it_is(api: Api, endpoint: RefreshEndpoint) -> None:
    before = await refreshed(endpoint, await api.login(), 19)
    pair = await refreshed(endpoint, before, 1)
    assert (await endpoint.refresh(before.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(pair.refresh)).outcome == REVOKED
    assert not await api.is_live(pair.access)


async def test_another_session_of_the_same_user_is_not_slowed_down(api: Api, endpoint: RefreshEndpoint) -> None:
    other = await api.login()
    pair = await refreshed(endpoint, await api.login(), 20)
    assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED
    await refreshed(endpoint, other, 20)


@pytest.mark.parametrize("back", [timedelta(seconds=70), timedelta(hours=1), timedelta(days=20)])
async def test_a_clock_that_is_put_back_keeps_nobody_waiting_for_it(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock, back: timedelta
) -> None:
    pair = await refreshed(endpoint, await api.login(), 20)
    clock.advance(-back)
    pair = await refreshed(endpoint, pair, 20)
    assert (await endpoint.refresh(pair.refresh)).outcome == THROTTLED


@pytest.mark.parametrize("more_settings", [{"rate_limits": False}], ids=[""])
async def test_without_the_throttle_a_session_is_refreshed_as_fast_as_one_likes(
    api: Api, endpoint: RefreshEndpoint
) -> None:
    await refreshed(endpoint, await api.login(), 50)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_on(request.param, postgres, tmp_path_factory.mktemp("pace")) as fleet:
        yield fleet


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_ops_05_two_servers_count_the_refreshes_of_a_session_together(fleet: Fleet, password_hash: str) -> None:
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
