"""A refresh, or a sign-in, at the same time as what ends sessions: two servers and an operator, in real time."""

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
    """Everybody who takes part in the races."""

    endpoints: list[RefreshEndpoint]
    operator: Backstage
    new_hash: str

    @property
    def api(self) -> Api:
        """GraphQL, of one of the servers."""
        (rest,) = [endpoint for endpoint in self.endpoints if isinstance(endpoint, RestEndpoint)][:1]
        return Api(rest.http)

    async def store_password(self, user: UserRow, current: Pair | None) -> bool:
        """What `changePassword` (by a session) and `kindred user set-password` do once they have hashed."""
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
        """How many live sessions a user has."""
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


Ending = Callable[[Scene, UserRow, Pair, Pair], Awaitable[bool]]
# What ends sessions; in how many rounds; how many refreshes race with it in each, all of sessions that it ends; and
# whether it leaves the session that it is asked for by. 200 races of each kind, of which revoking has two ways.
ENDINGS: dict[str, tuple[Ending, int, int, bool]] = {
    "rot_04-revoked by token": (revoked_by_token, 100, 1, True),
    "rot_04-revoked by another session": (revoked_by_another_session, 100, 1, True),
    "rot_05-user disabled": (user_disabled, 50, 4, False),
    "rot_05-password changed by another session": (password_changed_by_another_session, 50, 4, True),
    "rot_05-password set by the operator": (password_set_by_the_operator, 50, 4, False),
}


async def late(work: Awaitable[T], jitter: float = JITTER) -> T:
    """Do it some moments later."""
    await asyncio.sleep(random.uniform(0, jitter))
    return await work


async def in_rounds(rounds: int, play: Callable[[int], Awaitable[None]]) -> None:
    """Play the rounds, some of them at once: each has a user of its own, and only its own race matters to it."""
    for start in range(0, rounds, AT_ONCE):
        await asyncio.gather(*(play(round) for round in range(start, min(start + AT_ONCE, rounds))))


@pytest.mark.parametrize(("end", "rounds", "racers", "other_lives"), ENDINGS.values(), ids=ENDINGS)
async def test_rot_04_rot_05_a_refresh_beside_what_ends_its_session_leaves_nothing_that_works(
    scene: Scene, end: Ending, rounds: int, racers: int, other_lives: bool
) -> None:
    endpoints, api = scene.endpoints, scene.api

    async def play(round: int) -> None:
        user = await scene.operator.user()
        pairs = [await scene.operator.session(user) for _ in range(racers)]
        other = await scene.operator.session(user)
        ended, refreshed = await asyncio.gather(
            late(end(scene, user, pairs[0], other)),
            asyncio.gather(
                *(
                    late(endpoints[(round + place) % len(endpoints)].refresh(pair.refresh))
                    for place, pair in enumerate(pairs)
                )
            ),
        )
        assert ended, round
        for place, (first, answer) in enumerate(zip(pairs, refreshed, strict=True)):
            assert answer.outcome in (ROTATED, REVOKED), (round, answer)
            for pair in [first] + ([answer.pair] if answer.pair else []):
                again = await endpoints[(round + place + 1) % len(endpoints)].refresh(pair.refresh)
                assert again.outcome == REVOKED, (round, again)
            assert not await api.is_live((answer.pair or first).access), round
        assert await api.is_live(other.access) is other_lives, round
        assert await scene.live_families(user) == int(other_lives), round

    await in_rounds(rounds, play)


LOGIN_ENDINGS = {name: end for name, (end, _, _, other_lives) in ENDINGS.items() if not other_lives}


@pytest.mark.parametrize("end", LOGIN_ENDINGS.values(), ids=LOGIN_ENDINGS)
async def test_rot_05_a_sign_in_whose_password_was_found_right_just_before_leaves_no_live_session(
    scene: Scene, fleet: Fleet, password_hash: str, end: Ending
) -> None:
    # Between finding the password right and opening the session lies the race. It is run from there, in a place of
    # its own, because 200 sign-ins take longer to hash than to race.
    async with backstage(fleet.database_url, password_hash) as elsewhere:

        async def play(round: int) -> None:
            user = await scene.operator.user()
            _, pairs = await asyncio.gather(
                late(end(scene, user, NOBODYS, NOBODYS)),
                asyncio.gather(*(late(elsewhere.sign_in(user)) for _ in range(4))),
            )
            await assert_nothing_lives(scene, user, pairs, round)

        await in_rounds(50, play)


@pytest.mark.parametrize("end", LOGIN_ENDINGS.values(), ids=LOGIN_ENDINGS)
async def test_rot_05_a_sign_in_by_the_front_endpoint_beside_it_leaves_no_live_session(
    scene: Scene, end: Ending
) -> None:
    async def play(round: int) -> None:
        user = await scene.operator.user()
        given = {"username": user.username, "password": PASSWORD}
        # Hashing takes some 25 ms; two at once for each server.
        answer, _ = await asyncio.gather(
            late(scene.api.data(LOGIN, {"input": given})),
            late(end(scene, user, NOBODYS, NOBODYS), jitter=0.2),
        )
        await assert_nothing_lives(scene, user, [pair_of(answer["login"])], round)

    await in_rounds(20, play)


@pytest.mark.parametrize("by_owner", [True, False], ids=["the owner", "an operator"])
async def test_cred_11_a_sign_in_with_the_old_password_beside_a_new_one_leaves_no_network_familiar(
    scene: Scene, fleet: Fleet, password_hash: str, by_owner: bool
) -> None:
    """An attacker who knew the old password: from one network that is familiar already, and from another one."""
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
            # From here on the old password was found right, and the new one is being stored.
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


async def test_rot_05_a_refresh_beside_a_password_changed_by_the_front_endpoint_leaves_nothing_that_works(
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
        await assert_nothing_lives(scene, user, [refreshed.pair], round, but=1)
        assert await scene.api.is_live(other.access), round

    await in_rounds(20, play)


async def test_a_wrong_current_password_beside_a_deletion_is_refused_and_never_an_internal_error(scene: Scene) -> None:
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


NOBODYS = Pair("", "")


def pair_of(login: Any) -> Pair | None:
    """The tokens of a sign-in that came to something."""
    if login["__typename"] != "LoginSuccess":
        assert login["__typename"] == "InvalidCredentialsError"
        return None
    return Pair(login["tokens"]["accessToken"], login["tokens"]["refreshToken"], login["session"]["id"])


async def assert_nothing_lives(
    scene: Scene, user: UserRow, pairs: Sequence[Pair | None], round: int, but: int = 0
) -> None:
    """That no token of these pairs works, and that the user has no live session, or `but` so many."""
    for pair in filter(None, pairs):
        assert (await scene.endpoints[round % len(scene.endpoints)].refresh(pair.refresh)).outcome == REVOKED, round
        assert not await scene.api.is_live(pair.access), round
    assert await scene.live_families(user) == but, round
