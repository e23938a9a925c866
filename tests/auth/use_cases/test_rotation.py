"""The rule of refresh token rotation, through both endpoints and on both databases."""

from datetime import timedelta

import pytest

from auth.services import Services
from db.tables import families
from db.tables.families import FamilyRow
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import (
    EXPIRED,
    INVALID,
    REPLAYED,
    REVOKED,
    ROTATED,
    Api,
    GraphQLEndpoint,
    RefreshEndpoint,
    RestEndpoint,
)

pytestmark = pytest.mark.usefixtures("alice")

KEY, OTHER_KEY = "the-first-attempt-of-the-phone", "the-second-attempt-of-the-phone"


async def test_a_refresh_token_is_exchanged_for_its_successor(api: Api, endpoint: RefreshEndpoint) -> None:
    first = await api.login()
    second = await endpoint.refresh(first.refresh)
    assert second.outcome == ROTATED
    assert second.tokens.refresh != first.refresh
    assert await api.is_live(second.tokens.access)
    assert (await endpoint.refresh(second.tokens.refresh)).outcome == ROTATED


async def test_rot_01_a_rotated_token_that_is_used_again_revokes_the_whole_family(
    api: Api, endpoint: RefreshEndpoint
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    third = (await endpoint.refresh(second.refresh)).tokens
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(third.refresh)).outcome == REVOKED
    assert not any([await api.is_live(pair.access) for pair in (first, second, third)])


async def test_rot_14_a_replay_revokes_no_other_session_of_the_user(api: Api, endpoint: RefreshEndpoint) -> None:
    first, other = await api.login(), await api.login()
    await endpoint.refresh(first.refresh)
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert await api.is_live(other.access)
    assert (await endpoint.refresh(other.refresh)).outcome == ROTATED


async def test_the_same_token_with_the_same_key_gets_the_same_successor(api: Api, endpoint: RefreshEndpoint) -> None:
    first = await api.login()
    answers = [await endpoint.refresh(first.refresh, KEY) for _ in range(3)]
    assert {answer.outcome for answer in answers} == {ROTATED}
    assert len({answer.tokens.refresh for answer in answers}) == 1
    assert (await endpoint.refresh(answers[0].tokens.refresh, OTHER_KEY)).outcome == ROTATED


async def test_a_repeated_attempt_gets_the_same_answer_at_any_later_time(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    first = await api.login()
    once = await endpoint.refresh(first.refresh, KEY)
    clock.advance(timedelta(days=20))
    again = await endpoint.refresh(first.refresh, KEY)
    assert again.tokens.refresh == once.tokens.refresh
    assert await api.is_live(again.tokens.access)


@pytest.mark.parametrize("key", [None, OTHER_KEY])
async def test_the_same_token_with_another_key_or_none_is_a_replay(
    api: Api, endpoint: RefreshEndpoint, key: str | None
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh, KEY)).tokens
    assert (await endpoint.refresh(first.refresh, key)).outcome == REPLAYED
    assert (await endpoint.refresh(second.refresh)).outcome == REVOKED


async def test_a_key_repeats_its_answer_only_while_the_successor_is_unused(api: Api, endpoint: RefreshEndpoint) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh, KEY)).tokens
    assert (await endpoint.refresh(second.refresh, OTHER_KEY)).outcome == ROTATED
    assert (await endpoint.refresh(first.refresh, KEY)).outcome == REPLAYED


async def test_rot_11_a_session_that_is_not_refreshed_expires_without_a_replay(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock, services: Services, alice: UserRow
) -> None:
    pair = await api.login()
    clock.advance(timedelta(days=30))
    assert (await endpoint.refresh(pair.refresh)).outcome == EXPIRED
    assert (await family_of(services, alice)).revoked_at is None


@pytest.mark.parametrize("more_settings", [{"refresh_token_ttl": timedelta(days=7)}])
async def test_rot_10_no_family_outlives_its_absolute_limit(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock, services: Services, alice: UserRow
) -> None:
    pair = await api.login()
    limit = (await family_of(services, alice)).absolute_expires_at
    for _ in range(5):
        clock.advance(timedelta(days=5, hours=23))
        pair = (await endpoint.refresh(pair.refresh)).tokens
        assert (await family_of(services, alice)).expires_at <= limit
    clock.advance(timedelta(days=1))
    assert (await endpoint.refresh(pair.refresh)).outcome == EXPIRED


async def test_rot_18_both_endpoints_share_one_state(api: Api) -> None:
    graphql, rest = GraphQLEndpoint(api.http), RestEndpoint(api.http)
    first = await api.login()
    assert (await rest.refresh(first.refresh, KEY)).tokens.refresh == (
        await graphql.refresh(first.refresh, KEY)
    ).tokens.refresh
    assert (await graphql.refresh(first.refresh)).outcome == REPLAYED


async def test_a_token_of_a_pruned_family_is_invalid(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock, services: Services
) -> None:
    pair = await api.login()
    clock.advance(timedelta(days=61))
    assert (await services.pruning.prune(clock.now())).sessions == 1
    assert (await endpoint.refresh(pair.refresh)).outcome == INVALID


async def family_of(services: Services, user: UserRow) -> FamilyRow:
    """Return the only family of the user."""
    async with services.db.read() as conn:
        (family,) = await families.page(conn, user.id, state=None, now=user.created_at, after=None, limit=10)
    return family
