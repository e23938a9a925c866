"""Limits of a session to the second: no access token outlives its session, and a limit itself is already too late."""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from auth.outcomes import ClientInfo, Expired, RevokeSucceeded, Rotated
from auth.services import Services
from db.tables.base import SessionState
from db.tables.families import FamilyRow, state_of
from db.tables.users import User
from tests.support.clocks import FakeClock
from tests.support.endpoints import EXPIRED, REVOKED, ROTATED, SESSIONS, Api, RefreshEndpoint

pytestmark = pytest.mark.usefixtures("alice")

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)  # the finest that a database stores
KEY = "the-first-attempt-of-the-phone"

# The absolute limit comes first: ten minutes for an access token, fifteen for a session.
short_session = pytest.mark.parametrize(
    "more_settings", [{"access_token_ttl": 10 * MINUTE, "session_ttl": 15 * MINUTE}], ids=[""]
)
# The idle limit comes first, before the end of an access token as well.
short_idle_limit = pytest.mark.parametrize(
    "more_settings", [{"access_token_ttl": 20 * MINUTE, "refresh_token_ttl": 10 * MINUTE}], ids=[""]
)


def claims_of(access_token: str) -> dict[str, Any]:
    """Return the claims that another service reads, which never asks whether the session is live."""
    payload = access_token.split(".")[1]
    claims: dict[str, Any] = orjson.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


@short_session
async def test_an_access_token_never_outlives_its_session(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    opened_at = clock.now()
    session_ends = int((opened_at + 15 * MINUTE).timestamp())
    first = await api.login()
    assert claims_of(first.access)["exp"] == int((opened_at + 10 * MINUTE).timestamp())
    clock.advance(9 * MINUTE)
    second = await endpoint.refresh(first.refresh, KEY)
    assert claims_of(second.tokens.access)["exp"] == session_ends
    clock.advance(5 * MINUTE)
    repeated = await endpoint.refresh(first.refresh, KEY)
    third = await endpoint.refresh(second.tokens.refresh)
    assert claims_of(repeated.tokens.access)["exp"] == claims_of(third.tokens.access)["exp"] == session_ends
    assert await api.is_live(third.tokens.access)
    clock.advance(MINUTE)
    assert not await api.is_live(third.tokens.access)


@short_session
async def test_the_answer_says_when_the_shortened_access_token_expires(
    services: Services, alice: User, clock: FakeClock, api: Api
) -> None:
    session_ends = clock.now() + 15 * MINUTE
    first = await api.login()
    clock.advance(9 * MINUTE + timedelta(milliseconds=400))
    outcome = await services.rotation.refresh(first.refresh, None, ClientInfo(), clock.now())
    assert isinstance(outcome, Rotated)
    assert outcome.tokens.access_token_expires_at == session_ends
    issued_at, expires_at = (claims_of(outcome.tokens.access_token)[name] for name in ("iat", "exp"))
    assert outcome.tokens.expires_in == expires_at - issued_at == 6 * 60


@short_idle_limit
async def test_rot_11_a_session_is_live_until_its_idle_limit_and_expired_at_it(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    early, late = await api.login(), await api.login()
    clock.advance(10 * MINUTE - INSTANT)
    assert await api.is_live(early.access)
    assert (await endpoint.refresh(early.refresh)).outcome == ROTATED
    clock.advance(INSTANT)
    assert not await api.is_live(late.access)
    assert (await endpoint.refresh(late.refresh)).outcome == EXPIRED


@short_session
async def test_rot_10_a_session_is_live_until_its_absolute_limit_and_expired_at_it(
    api: Api, endpoint: RefreshEndpoint, clock: FakeClock
) -> None:
    first = await api.login()
    clock.advance(9 * MINUTE)
    second = (await endpoint.refresh(first.refresh)).tokens
    clock.advance(6 * MINUTE - INSTANT)
    third = await endpoint.refresh(second.refresh)
    assert third.outcome == ROTATED
    clock.advance(INSTANT)
    assert (await endpoint.refresh(third.tokens.refresh)).outcome == EXPIRED


@short_idle_limit
async def test_a_list_of_sessions_and_a_refresh_agree_at_the_idle_limit(
    services: Services, alice: User, clock: FakeClock, api: Api
) -> None:
    pair = await api.login()
    clock.advance(10 * MINUTE - INSTANT)
    assert await states(services, alice, clock.now()) == {SessionState.ACTIVE: 1, SessionState.EXPIRED: 0}
    clock.advance(INSTANT)
    assert await states(services, alice, clock.now()) == {SessionState.ACTIVE: 0, SessionState.EXPIRED: 1}
    assert isinstance(await services.rotation.refresh(pair.refresh, None, ClientInfo(), clock.now()), Expired)


@short_idle_limit
async def test_revoking_counts_no_session_that_is_at_its_idle_limit(
    services: Services, alice: User, clock: FakeClock, api: Api
) -> None:
    await api.login()
    clock.advance(10 * MINUTE)
    assert await services.sessions.revoke_all(alice.id, ClientInfo(), clock.now()) == 0
    current = await api.login()
    page = (await api.data(SESSIONS, {"state": "EXPIRED"}, current.access))["sessions"]["edges"]
    assert len(page) == 1


@short_idle_limit
@pytest.mark.parametrize(
    ("before_limit", "outcome", "state"),
    [(INSTANT, REVOKED, SessionState.REVOKED), (timedelta(0), EXPIRED, SessionState.EXPIRED)],
    ids=["before the limit", "at the limit"],
)
async def test_a_revocation_at_the_idle_limit_comes_too_late_to_count(
    services: Services,
    alice: User,
    clock: FakeClock,
    api: Api,
    endpoint: RefreshEndpoint,
    before_limit: timedelta,
    outcome: str,
    state: SessionState,
) -> None:
    """The session had expired by then. A list of sessions and a refresh say the same."""
    pair = await api.login()
    clock.advance(10 * MINUTE - before_limit)
    revoked = await services.sessions.revoke(alice.id, UUID(pair.session_id), ClientInfo(), clock.now())
    assert isinstance(revoked, RevokeSucceeded)
    assert state_of(revoked.family, clock.now()) is state
    assert (await endpoint.refresh(pair.refresh)).outcome == outcome
    (listed,) = await services.sessions.page(alice.id, state=state, after=None, limit=10, now=clock.now())
    assert str(listed.id) == pair.session_id


async def states(services: Services, user: User, now: datetime) -> dict[SessionState, int]:
    """Count the user's sessions that are active, and those that are expired."""

    async def page(state: SessionState) -> Sequence[FamilyRow]:
        return await services.sessions.page(user.id, state=state, after=None, limit=10, now=now)

    return {state: len(await page(state)) for state in (SessionState.ACTIVE, SessionState.EXPIRED)}
