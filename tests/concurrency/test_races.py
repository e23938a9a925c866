"""Many concurrent refreshes of one token: through both endpoints of two servers on one database, in real time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.endpoints import REPLAYED, REVOKED, ROTATED, Api, Pair, Refreshed, RefreshEndpoint, RestEndpoint
from tests.support.servers import Backstage, Fleet, backstage, fleet_on

ROUNDS, FEWER_ROUNDS, RACERS = 50, 15, 50
KEY, OTHER_KEY = "the-first-attempt-of-the-phone", "the-second-attempt-of-the-phone"
REPLAYED_EVENT = "REFRESH_TOKEN_REPLAYED"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two servers, on a database of either kind."""
    with fleet_on(request.param, postgres, tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
async def behind(fleet: Fleet, password_hash: str) -> AsyncIterator[Backstage]:
    """The services on the database of the two servers."""
    async with backstage(fleet.database_url, password_hash) as behind:
        yield behind


@pytest.fixture
async def endpoints(fleet: Fleet) -> AsyncIterator[list[RefreshEndpoint]]:
    """Both endpoints of both servers."""
    async with fleet.endpoints() as endpoints:
        yield endpoints


@pytest.fixture
def api(endpoints: list[RefreshEndpoint]) -> Api:
    """GraphQL, of one of the servers."""
    (rest,) = [endpoint for endpoint in endpoints if isinstance(endpoint, RestEndpoint)][:1]
    return Api(rest.http)


async def race(endpoints: list[RefreshEndpoint], token: str, keys: list[str | None]) -> list[Refreshed]:
    """Refresh the same token many times at once, with each key in turn, through each endpoint in turn."""
    # Endpoints and keys alternate at different rates, so that every key is used at every endpoint.
    return await asyncio.gather(
        *(
            endpoints[racer % len(endpoints)].refresh(token, keys[racer // len(endpoints) % len(keys)])
            for racer in range(RACERS)
        )
    )


async def are_revoked(endpoint: RefreshEndpoint, api: Api, *pairs: Pair) -> bool:
    """Return whether every refresh token and access token of these pairs is refused as revoked."""
    refreshed = {(await endpoint.refresh(pair.refresh)).outcome for pair in pairs}
    return refreshed == {REVOKED} and not any([await api.is_live(pair.access) for pair in pairs])


async def test_rot_02_of_many_refreshes_of_one_token_one_succeeds_and_the_family_is_revoked(
    endpoints: list[RefreshEndpoint], api: Api, behind: Backstage
) -> None:
    user = await behind.user()
    for round in range(ROUNDS):
        first = await behind.session(user)
        answers = await race(endpoints, first.refresh, [None])
        outcomes = Counter(answer.outcome for answer in answers)
        assert outcomes[ROTATED] == 1, (round, outcomes)
        assert outcomes[REPLAYED] >= 1, (round, outcomes)
        assert outcomes[ROTATED] + outcomes[REPLAYED] + outcomes[REVOKED] == RACERS, (round, outcomes)
        (second,) = [answer.tokens for answer in answers if answer.outcome == ROTATED]
        assert await are_revoked(endpoints[round % len(endpoints)], api, first, second), round
    events = await behind.services.accounts.events(user.id, after=None, limit=10 * ROUNDS)
    # One event for each revocation, however many replays arrive at once.
    assert Counter(event.kind for event in events) == {"LOGIN_SUCCEEDED": ROUNDS, REPLAYED_EVENT: ROUNDS}


async def test_rot_02_many_refreshes_with_one_key_all_get_the_same_successor_and_the_family_stays_live(
    endpoints: list[RefreshEndpoint], api: Api, behind: Backstage
) -> None:
    user = await behind.user()
    for round in range(FEWER_ROUNDS):
        first = await behind.session(user)
        answers = await race(endpoints, first.refresh, [KEY])
        assert {answer.outcome for answer in answers} == {ROTATED}, round
        assert len({answer.tokens.refresh for answer in answers}) == 1, round
        assert await api.is_live(answers[-1].tokens.access), round
        second = await endpoints[round % len(endpoints)].refresh(answers[0].tokens.refresh, OTHER_KEY)
        assert second.outcome == ROTATED, round
    events = await behind.services.accounts.events(user.id, after=None, limit=10 * ROUNDS)
    assert {event.kind for event in events} == {"LOGIN_SUCCEEDED"}


@pytest.mark.parametrize("keys", [[KEY, OTHER_KEY], [KEY, None]], ids=["two keys", "a key and none"])
async def test_rot_02_refreshes_with_different_keys_never_get_two_successors(
    endpoints: list[RefreshEndpoint], api: Api, behind: Backstage, keys: list[str | None]
) -> None:
    user = await behind.user()
    for round in range(5):
        first = await behind.session(user)
        answers = await race(endpoints, first.refresh, keys)
        outcomes = {answer.outcome for answer in answers}
        assert {ROTATED, REPLAYED} <= outcomes <= {ROTATED, REPLAYED, REVOKED}, (round, outcomes)
        winners = [answer.tokens for answer in answers if answer.outcome == ROTATED]
        assert len({winner.refresh for winner in winners}) == 1, round
        assert await are_revoked(endpoints[round % len(endpoints)], api, first, *winners), round


async def test_a_hundred_families_rotate_at_once_and_every_refresh_is_answered(
    endpoints: list[RefreshEndpoint], behind: Backstage
) -> None:
    user = await behind.user()
    pairs = [await behind.session(user) for _ in range(100)]
    for round in range(3):
        answers = await asyncio.gather(
            *(endpoints[place % len(endpoints)].refresh(pair.refresh) for place, pair in enumerate(pairs))
        )
        assert Counter(answer.outcome for answer in answers) == {ROTATED: len(pairs)}, round
        pairs = [answer.tokens for answer in answers]
