"""A refresh or a sign-in concurrent with a revocation: two servers and an operator, in real time."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, TypeVar
from uuid import UUID

import pytest

from auth.clock import SystemClock
from auth.credentials.login_throttle import LoginAttempt, _network_digest
from auth.credentials.password_hashing import hash_password
from auth.outcomes import ClientInfo
from db.tables import familiar_networks, families
from db.tables.base import SessionState
from db.tables.users import UserRow
from tests.support.endpoints import (
    LOGIN,
    NEW_PASSWORD,
    PASSWORD,
    REVOKE,
    REVOKED,
    ROTATED,
    Api,
    Pair,
    RefreshEndpoint,
    RestEndpoint,
)
from tests.support.servers import Backstage, Fleet, backstage, fleet_on

T = TypeVar("T")

AT_ONCE = 10
JITTER = 0.02  # seconds
CHANGE_PASSWORD = """
mutation ChangePassword($input: ChangePasswordInput!) {
  changePassword(input: $input) { __typename ... on ChangePasswordSuccess { revokedCount } }
}
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two servers, on a database of either kind."""
    with fleet_on(request.param, postgres, tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def new_hash() -> str:
    """The hash of `NEW_PASSWORD`, made once."""
    return hash_password(NEW_PASSWORD)


@dataclass(frozen=True)
class Scene:
    """The endpoints and the operator that take part in the races."""

    endpoints: list[RefreshEndpoint]
    operator: Backstage
    new_hash: str

    @property
    def api(self) -> Api:
        """GraphQL, of one of the servers."""
        (rest,) = [endpoint for endpoint in self.endpoints if isinstance(endpoint, RestEndpoint)][:1]
        return Api(rest.http)

    async def store_password(self, user: UserRow, current: Pair | None) -> bool:
        """Store the new hash, as `changePassword` (by a session) and `kindred user set-password` do after hashing."""
        revoked = await self.operator.services.accounts._store_password(
            user.id,
            self.new_hash,
            ClientInfo(),
            SystemClock().now(),
            current=UUID(current.session_id) if current else None,
            verified=user.hashed_password if current else None,
        )
        return revoked is not None

    async def live_families(self, user: UserRow) -> int:
        """Return how many live sessions a user has."""
        async with self.operator.services.db.read() as conn:
            live = await families.page(
                conn, user.id, state=SessionState.ACTIVE, now=SystemClock().now(), after=None, limit=100
            )
        return len(live)


@pytest.fixture
async def scene(fleet: Fleet, password_hash: str, new_hash: str) -> AsyncIterator[Scene]:
    """Both endpoints of both servers, and an operator."""
    async with fleet.endpoints() as endpoints, backstage(fleet.database_url, password_hash) as operator:
        yield Scene(endpoints, operator, new_hash)


async def revoked_by_token(scene: Scene, _user: UserRow, pair: Pair, _other: Pair) -> bool:
    result = await scene.api.data(REVOKE, {"input": {"refreshToken": pair.refresh}})
    return bool(result["revokeSession"]["__typename"] == "RevokeSessionSuccess")


async def revoked_by_another_session(scene: Scene, _user: UserRow, pair: Pair, other: Pair) -> bool:
    result = await scene.api.data(REVOKE, {"input": {"id": pair.session_id}}, bearer=other.access)
    return bool(result["revokeSession"]["__typename"] == "RevokeSessionSuccess")


async def user_disabled(scene: Scene, user: UserRow, _pair: Pair, _other: Pair) -> bool:
    await scene.operator.services.accounts.disable(user.id, SystemClock().now())
    return True


async def password_changed_by_another_session(scene: Scene, user: UserRow, _pair: Pair, other: Pair) -> bool:
    return await scene.store_password(user, other)


async def password_set_by_the_operator(scene: Scene, user: UserRow, _pair: Pair, _other: Pair) -> bool:
    return await scene.store_password(user, None)


Revocation = Callable[[Scene, UserRow, Pair, Pair], Awaitable[bool]]
# What revokes sessions; the number of rounds; how many refreshes race with it in each round, all of sessions that it
# revokes; and whether the user's other session stays live. Each kind has 200 races, which the two of rot_04 share.
REVOCATIONS: dict[str, tuple[Revocation, int, int, bool]] = {
    "rot_04-revoked by token": (revoked_by_token, 100, 1, True),
    "rot_04-revoked by another session": (revoked_by_another_session, 100, 1, True),
    "rot_05-user disabled": (user_disabled, 50, 4, False),
    "rot_05-password changed by another session": (password_changed_by_another_session, 50, 4, True),
    "rot_05-password set by the operator": (password_set_by_the_operator, 50, 4, False),
}


async def late(work: Awaitable[T], jitter: float = JITTER) -> T:
    """Await the work after a random delay."""
    await asyncio.sleep(random.uniform(0, jitter))
    return await work


async def in_rounds(rounds: int, play: Callable[[int], Awaitable[None]]) -> None:
    """Play the rounds, ten at a time. Each round has its own user, so rounds do not affect each other."""
    for start in range(0, rounds, AT_ONCE):
        await asyncio.gather(*(play(round) for round in range(start, min(start + AT_ONCE, rounds))))


@pytest.mark.parametrize(("revoke", "rounds", "racers", "other_stays_live"), REVOCATIONS.values(), ids=REVOCATIONS)
async def test_rot_04_rot_05_a_refresh_concurrent_with_a_revocation_leaves_no_working_token(
    scene: Scene, revoke: Revocation, rounds: int, racers: int, other_stays_live: bool
) -> None:
    endpoints, api = scene.endpoints, scene.api

    async def play(round: int) -> None:
        user = await scene.operator.user()
        pairs = [await scene.operator.session(user) for _ in range(racers)]
        other = await scene.operator.session(user)
        revoked, refreshed = await asyncio.gather(
            late(revoke(scene, user, pairs[0], other)),
            asyncio.gather(
                *(
                    late(endpoints[(round + place) % len(endpoints)].refresh(pair.refresh))
                    for place, pair in enumerate(pairs)
                )
            ),
        )
        assert revoked, round
        for place, (first, answer) in enumerate(zip(pairs, refreshed, strict=True)):
            assert answer.outcome in (ROTATED, REVOKED), (round, answer)
            for pair in [first] + ([answer.pair] if answer.pair else []):
                again = await endpoints[(round + place + 1) % len(endpoints)].refresh(pair.refresh)
                assert again.outcome == REVOKED, (round, again)
            assert not await api.is_live((answer.pair or first).access), round
        assert await api.is_live(other.access) is other_stays_live, round
        assert await scene.live_families(user) == int(other_stays_live), round

    await in_rounds(rounds, play)


OPERATOR_REVOCATIONS = {
    name: revoke for name, (revoke, _, _, other_stays_live) in REVOCATIONS.items() if not other_stays_live
}


@pytest.mark.parametrize("revoke", OPERATOR_REVOCATIONS.values(), ids=OPERATOR_REVOCATIONS)
async def test_rot_05_a_sign_in_verified_just_before_a_revocation_leaves_no_live_session(
    scene: Scene, fleet: Fleet, password_hash: str, revoke: Revocation
) -> None:
    # The race lies between the check of the password and the new session. The sign-ins start after the check, and not
    # on the servers, because hashing 200 passwords takes longer than the races.
    async with backstage(fleet.database_url, password_hash) as elsewhere:

        async def play(round: int) -> None:
            user = await scene.operator.user()
            _, pairs = await asyncio.gather(
                late(revoke(scene, user, NO_PAIR, NO_PAIR)),
                asyncio.gather(*(late(elsewhere.sign_in(user)) for _ in range(4))),
            )
            await assert_not_live(scene, user, pairs, round)

        await in_rounds(50, play)


@pytest.mark.parametrize("revoke", OPERATOR_REVOCATIONS.values(), ids=OPERATOR_REVOCATIONS)
async def test_rot_05_a_sign_in_over_graphql_during_a_revocation_leaves_no_live_session(
    scene: Scene, revoke: Revocation
) -> None:
    async def play(round: int) -> None:
        user = await scene.operator.user()
        given = {"username": user.username, "password": PASSWORD}
        # Hashing takes some 25 ms; two at once for each server.
        answer, _ = await asyncio.gather(
            late(scene.api.data(LOGIN, {"input": given})),
            late(revoke(scene, user, NO_PAIR, NO_PAIR), jitter=0.2),
        )
        await assert_not_live(scene, user, [pair_of(answer["login"])], round)

    await in_rounds(20, play)


@pytest.mark.parametrize("by_owner", [True, False], ids=["the owner", "an operator"])
async def test_cred_11_a_sign_in_with_the_old_password_during_a_password_change_leaves_no_familiar_network(
    scene: Scene, fleet: Fleet, password_hash: str, by_owner: bool
) -> None:
    """An attacker knows the old password and signs in from two familiar networks and from two new ones."""
    # The owner's requests have no address.
    network_of_owner = {_network_digest(None)} if by_owner else set()
    async with backstage(fleet.database_url, password_hash) as elsewhere:
        throttle, sign_in = elsewhere.services.sign_in.throttle, elsewhere.services.sign_in

        async def play(round: int) -> None:
            user = await scene.operator.user()
            current = await scene.operator.session(user)
            origins = [ClientInfo(str(IPv4Address(random.randrange(2**24, 2**31)))) for _ in range(4)]

            async def admitted(origin: ClientInfo) -> LoginAttempt:
                attempt = await throttle.register_attempt(user.username, origin.ip, SystemClock().now())
                assert isinstance(attempt, LoginAttempt)
                return attempt

            for origin in origins[:2]:
                attempt = await admitted(origin)
                assert await sign_in.open_session(user, None, origin, SystemClock().now(), attempt=attempt)
            # The old password was found right. Now the new one is stored.
            attempts = [await admitted(origin) for origin in origins]
            stored, *_ = await asyncio.gather(
                late(scene.store_password(user, current if by_owner else None)),
                *(
                    late(sign_in.open_session(user, None, origin, SystemClock().now(), attempt=attempt))
                    for attempt, origin in zip(attempts, origins, strict=True)
                ),
            )
            assert stored, round
            async with scene.operator.services.db.read() as conn:
                assert await familiar_networks.list_for_user(conn, user.id) == network_of_owner, round
            assert await scene.live_families(user) == int(by_owner), round

        await in_rounds(50, play)


async def test_rot_05_a_refresh_during_a_password_change_over_graphql_leaves_no_working_token(
    scene: Scene,
) -> None:
    async def play(round: int) -> None:
        user = await scene.operator.user()
        first, other = await scene.operator.session(user), await scene.operator.session(user)
        given = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
        changed, refreshed = await asyncio.gather(
            scene.api.data(CHANGE_PASSWORD, {"input": given}, bearer=other.access),
            late(scene.endpoints[round % len(scene.endpoints)].refresh(first.refresh), jitter=0.2),
        )
        assert changed["changePassword"] == {"__typename": "ChangePasswordSuccess", "revokedCount": 1}, round
        await assert_not_live(scene, user, [refreshed.pair], round, others=1)
        assert await scene.api.is_live(other.access), round

    await in_rounds(20, play)


async def test_a_wrong_current_password_during_a_deletion_is_refused_without_an_internal_error(scene: Scene) -> None:
    async def play(round: int) -> None:
        user = await scene.operator.user()
        pair = await scene.operator.session(user)
        given = {"currentPassword": "wrong", "newPassword": NEW_PASSWORD}
        response, _ = await asyncio.gather(
            scene.api.post(CHANGE_PASSWORD, {"input": given}, pair.access),
            late(scene.operator.services.accounts.delete(user), jitter=0.2),
        )
        body = response.json()
        codes = [error["extensions"]["code"] for error in body.get("errors", [])]
        result = (body["data"] or {}).get("changePassword")
        assert codes == ["UNAUTHENTICATED"] or result == {"__typename": "InvalidCredentialsError"}, (round, body)

    await in_rounds(50, play)


NO_PAIR = Pair("", "")


def pair_of(login: Any) -> Pair | None:
    """Return the tokens of a sign-in, or None if it was refused."""
    if login["__typename"] != "LoginSuccess":
        assert login["__typename"] == "InvalidCredentialsError"
        return None
    return Pair(login["tokens"]["accessToken"], login["tokens"]["refreshToken"], login["session"]["id"])


async def assert_not_live(
    scene: Scene, user: UserRow, pairs: Sequence[Pair | None], round: int, others: int = 0
) -> None:
    """Assert that no token of these pairs works, and that the user has `others` live sessions."""
    for pair in filter(None, pairs):
        assert (await scene.endpoints[round % len(scene.endpoints)].refresh(pair.refresh)).outcome == REVOKED, round
        assert not await scene.api.is_live(pair.access), round
    assert await scene.live_families(user) == others, round
