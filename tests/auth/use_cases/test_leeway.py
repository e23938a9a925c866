"""ROT-12: the leeway for clients that cannot send a key. Off unless set, and then for one token and a few seconds."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from auth.config.settings import Settings
from tests.support.clocks import FakeClock
from tests.support.endpoints import REPLAYED, REVOKE, REVOKED, ROTATED, Api, RefreshEndpoint

pytestmark = pytest.mark.usefixtures("alice")

SECONDS = timedelta(seconds=1)
KEY, OTHER_KEY = "the-first-attempt-of-the-phone", "the-second-attempt-of-the-phone"

with_leeway = pytest.mark.parametrize("more_settings", [{"replay_leeway": 10 * SECONDS}])


@with_leeway
async def test_rot_12_within_the_leeway_the_same_token_without_a_key_gets_the_same_successor(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    first = await api.login()
    answers = [await endpoint.refresh(first.refresh)]
    for wait in (0, 1, 9):  # ten seconds in total
        clock.advance(wait * SECONDS)
        answers.append(await endpoint.refresh(first.refresh))
    assert {answer.outcome for answer in answers} == {ROTATED}
    assert len({answer.tokens.refresh for answer in answers}) == 1
    assert all([await api.is_live(answer.tokens.access) for answer in answers])
    assert (await endpoint.refresh(answers[0].tokens.refresh)).outcome == ROTATED


@with_leeway
@pytest.mark.parametrize("late", [10 * SECONDS + timedelta(microseconds=1), 11 * SECONDS, timedelta(days=1)])
async def test_rot_12_after_the_leeway_the_same_token_is_a_replay(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock, late: timedelta
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    clock.advance(late)
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED


@with_leeway
async def test_rot_12_repeating_a_request_does_not_extend_the_leeway(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    first = await api.login()
    await endpoint.refresh(first.refresh)
    for _ in range(2):
        clock.advance(5 * SECONDS)
        assert (await endpoint.refresh(first.refresh)).outcome == ROTATED
    clock.advance(SECONDS)
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED


@with_leeway
async def test_rot_12_only_the_immediate_predecessor_has_a_leeway(api: Api, endpoint: RefreshEndpoint) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    third = (await endpoint.refresh(second.refresh)).tokens
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(third.refresh)).outcome == REVOKED


@with_leeway
async def test_rot_12_a_used_successor_ends_the_leeway(api: Api, endpoint: RefreshEndpoint) -> None:
    for key in (None, KEY):
        first = await api.login()
        second = (await endpoint.refresh(first.refresh)).tokens
        third = (await endpoint.refresh(second.refresh, key)).tokens
        assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
        for pair in (second, third):
            assert (await endpoint.refresh(pair.refresh)).outcome == REVOKED
            assert not await api.is_live(pair.access)


@with_leeway
async def test_rot_12_there_is_no_leeway_after_a_revocation(api: Api, endpoint: RefreshEndpoint) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    await api.data(REVOKE, {"input": {"refreshToken": second.refresh}})
    for token in (first.refresh, second.refresh):
        assert (await endpoint.refresh(token)).outcome == REVOKED


@with_leeway
async def test_rot_12_there_is_no_leeway_after_a_replay(api: Api, endpoint: RefreshEndpoint) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    assert (await endpoint.refresh(first.refresh, KEY)).outcome == REPLAYED
    for token in (first.refresh, second.refresh):
        assert (await endpoint.refresh(token)).outcome == REVOKED


@with_leeway
async def test_rot_12_the_leeway_does_not_apply_to_requests_with_a_key(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    # A request without a key does not repeat one with a key, nor the reverse, nor does one with another key.
    for key, again in ((KEY, None), (None, KEY), (KEY, OTHER_KEY)):
        first = await api.login()
        second = (await endpoint.refresh(first.refresh, key)).tokens
        assert (await endpoint.refresh(first.refresh, again)).outcome == REPLAYED
        assert (await endpoint.refresh(second.refresh)).outcome == REVOKED
    # The same key gets the same answer at any later time.
    first = await api.login()
    second = (await endpoint.refresh(first.refresh, KEY)).tokens
    clock.advance(timedelta(days=1))
    assert (await endpoint.refresh(first.refresh, KEY)).tokens.refresh == second.refresh


@with_leeway
async def test_rot_12_no_client_can_send_the_empty_key_that_keyless_requests_share(api: Api) -> None:
    first = await api.login()
    rest = await api.http.post(
        "/auth/token/refresh", json={"refresh_token": first.refresh}, headers={"idempotency-key": ""}
    )
    assert rest.status_code == 422
    document = "mutation ($i: RefreshTokenInput!) { refreshToken(input: $i) { __typename } }"
    given = {"refreshToken": first.refresh, "idempotencyKey": ""}
    assert await api.codes(document, {"i": given}) == ["BAD_USER_INPUT"]


@with_leeway
async def test_rot_12_attack_6_concurrent_refreshes_within_the_leeway_get_one_successor(
    api: Api, endpoint: RefreshEndpoint
) -> None:
    first = await api.login()
    answers = await asyncio.gather(*(endpoint.refresh(first.refresh) for _ in range(8)))
    assert {answer.outcome for answer in answers} == {ROTATED}
    (second,) = {answer.tokens.refresh for answer in answers}
    # The same holds for the successor.
    answers = await asyncio.gather(*(endpoint.refresh(second) for _ in range(8)))
    (third,) = {answer.tokens.refresh for answer in answers}
    assert len({first.refresh, second, third}) == 3
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    for token in (second, third):
        assert (await endpoint.refresh(token)).outcome == REVOKED


async def test_rot_12_by_default_there_is_no_leeway(api: Api, endpoint: RefreshEndpoint, sqlite_settings: Any) -> None:
    assert sqlite_settings.replay_leeway == timedelta(0)
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED


async def test_rot_12_by_default_a_race_without_keys_has_one_winner_and_revokes_the_session(
    api: Api, endpoint: RefreshEndpoint
) -> None:
    first = await api.login()
    answers = await asyncio.gather(*(endpoint.refresh(first.refresh) for _ in range(4)))
    outcomes = sorted(answer.outcome for answer in answers)
    assert outcomes.count(ROTATED) == 1
    assert outcomes.count(REPLAYED) >= 1
    assert set(outcomes) <= {ROTATED, REPLAYED, REVOKED}
    (winner,) = [answer.tokens for answer in answers if answer.outcome == ROTATED]
    assert (await endpoint.refresh(winner.refresh)).outcome == REVOKED
    assert not await api.is_live(winner.access)


@pytest.fixture
def sqlite_settings(settings_for: Any) -> Settings:
    """The default settings."""
    settings: Settings = settings_for("sqlite:///kindred.db")
    return settings


@pytest.mark.parametrize("leeway", [timedelta(seconds=-1), timedelta(seconds=10, microseconds=1), timedelta(days=1)])
def test_rot_12_a_leeway_of_more_than_ten_seconds_is_refused(settings_for: Any, leeway: timedelta) -> None:
    with pytest.raises(ValidationError):
        settings_for("sqlite:///kindred.db", replay_leeway=leeway)
