"""A database that lost committed data: the answer is 503 with an alert, no replay is recorded, nothing is revoked.

A failover that lost commits, a restored backup and a commit that is not yet visible all look the same: the signed token
says a greater generation than the row does.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import delete, func, insert, select, update

from auth.clock_agreement import CLOCKS_MUST_AGREE
from auth.crypto.tokens import TokenKind, decode_token
from auth.services import Services
from auth.use_cases.rotation import JUST_ISSUED
from db.tables.families import families
from db.tables.security_events import security_events
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import (
    EXPIRED,
    INVALID,
    REFRESH,
    REPLAYED,
    REVOKED,
    ROTATED,
    UNAVAILABLE,
    Api,
    Pair,
    RefreshEndpoint,
)
from tests.support.loglines import CapturedLog, logging_to
from tests.support.sql import looking_at

pytestmark = pytest.mark.usefixtures("alice")

KEY, OTHER_KEY = "the-first-attempt-of-the-phone", "the-second-attempt-of-the-phone"
INSTANT = timedelta(microseconds=1)  # the finest that a database stores
Row = dict[str, Any]


class Store:
    """Changes the rows of families as only a fault can."""

    def __init__(self, services: Services) -> None:
        self.db = services.db

    async def family(self, session_id: str) -> Row:
        """Return the row of a session."""
        async with looking_at(self.db) as conn:
            found = await conn.execute(select(families).where(families.c.id == UUID(session_id)))
            return dict(found.one()._mapping)

    async def put_back(self, row: Row) -> None:
        """Restore a row to an earlier state, or insert it if it is missing."""
        async with looking_at(self.db) as conn:
            known = update(families).where(families.c.user_id == row["user_id"], families.c.id == row["id"])
            if not (await conn.execute(known.values(row))).rowcount:
                await conn.execute(insert(families), row)

    async def forget(self, row: Row) -> None:
        """Delete a row, as a failover does that lost the sign-in."""
        async with looking_at(self.db) as conn:
            await conn.execute(delete(families).where(families.c.user_id == row["user_id"], families.c.id == row["id"]))

    async def alarms(self) -> int:
        """Count the replays and revocations that the account's owner can see."""
        kinds = security_events.c.kind.in_(["REFRESH_TOKEN_REPLAYED", "SESSION_REVOKED"])
        async with looking_at(self.db) as conn:
            return int(
                (await conn.execute(select(func.count()).select_from(security_events).where(kinds))).scalar_one()
            )


@pytest.fixture
def store(services: Services) -> Store:
    """The families, and the faults that change them."""
    return Store(services)


async def rotated(endpoint: RefreshEndpoint, pair: Pair, times: int) -> Pair:
    """Refresh this many times. Return the newest pair."""
    for _ in range(times):
        pair = (await endpoint.refresh(pair.refresh)).tokens
    return pair


@pytest.mark.parametrize("back", [1, 2, 17])
async def test_a_token_newer_than_the_database_gets_503_and_revokes_nothing(
    api: Api, endpoint: RefreshEndpoint, store: Store, back: int
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(endpoint, first, back)
    caught_up = await store.family(first.session_id)
    await store.put_back(before)
    for key in (None, KEY, KEY, OTHER_KEY):
        refused = await endpoint.refresh(newest.refresh, key)
        assert (refused.outcome, refused.retry_after) == (UNAVAILABLE, 1)
    assert await store.family(first.session_id) == before
    assert await store.alarms() == 0
    # Once the database has caught up, the client continues as usual.
    await store.put_back(caught_up)
    assert (await endpoint.refresh(newest.refresh, KEY)).outcome == ROTATED


async def test_the_client_s_own_attempt_survives_a_database_that_lost_it(
    api: Api, endpoint: RefreshEndpoint, store: Store
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    answered = (await endpoint.refresh(first.refresh, KEY)).tokens
    await store.put_back(before)
    assert (await endpoint.refresh(answered.refresh, OTHER_KEY)).outcome == UNAVAILABLE
    # The repeated attempt rotates again, and brings the database to where the client is.
    assert (await endpoint.refresh(first.refresh, KEY)).tokens.refresh == answered.refresh
    assert (await endpoint.refresh(answered.refresh, OTHER_KEY)).outcome == ROTATED
    assert await store.alarms() == 0


async def test_an_attacker_gains_nothing_from_a_database_that_is_behind(
    api: Api, endpoint: RefreshEndpoint, store: Store
) -> None:
    """Below the database's generation every token is a replay; at it, every token except the current one."""
    first = await api.login()
    second = await rotated(endpoint, first, 1)
    before = await store.family(first.session_id)
    third = await rotated(endpoint, second, 1)
    await store.put_back(before)
    # Two histories from here on: the second token is current again, and gets a new successor.
    other_third = (await endpoint.refresh(second.refresh, OTHER_KEY)).tokens
    assert other_third.refresh != third.refresh
    assert (await endpoint.refresh(third.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(other_third.refresh)).outcome == REVOKED
    assert not await api.is_live(other_third.access)


async def test_an_attacker_who_continues_from_a_used_token_is_detected_by_the_owner_s_next_refresh(
    api: Api, endpoint: RefreshEndpoint, store: Store, clock: FakeClock
) -> None:
    """The database lost six rotations. The attacker is detected at once by the owner, not six rotations later."""
    stolen = await api.login()
    before = await store.family(stolen.session_id)
    newest = await rotated(endpoint, stolen, 6)
    await store.put_back(before)
    assert (await endpoint.refresh(newest.refresh)).outcome == UNAVAILABLE
    clock.advance(CLOCKS_MUST_AGREE + INSTANT)
    attacker_pair = (await endpoint.refresh(stolen.refresh)).tokens
    assert (await endpoint.refresh(newest.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(attacker_pair.refresh)).outcome == REVOKED
    assert not await api.is_live(attacker_pair.access)
    assert await store.alarms() == 1


async def test_a_use_of_the_session_within_two_minutes_of_the_token_is_not_a_replay(
    api: Api, endpoint: RefreshEndpoint, store: Store, clock: FakeClock
) -> None:
    """Clocks may differ by two minutes, so such a use does not prove that it came after the token was issued."""
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(endpoint, first, 2)
    await store.put_back(before)
    clock.advance(CLOCKS_MUST_AGREE)
    assert (await endpoint.refresh(first.refresh)).outcome == ROTATED
    assert (await endpoint.refresh(newest.refresh)).outcome == UNAVAILABLE
    assert await store.alarms() == 0


@pytest.mark.parametrize("back", [1, 3])
async def test_a_consumed_token_is_a_replay_even_if_the_database_is_far_behind(
    api: Api, endpoint: RefreshEndpoint, store: Store, back: int
) -> None:
    first = await api.login()
    second = await rotated(endpoint, first, 1)
    before = await store.family(first.session_id)
    newest = await rotated(endpoint, second, back)
    await store.put_back(before)
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    for pair in (second, newest):
        assert (await endpoint.refresh(pair.refresh)).outcome == REVOKED


async def test_a_just_opened_session_that_is_missing_gets_503_for_two_minutes(
    api: Api, endpoint: RefreshEndpoint, store: Store, clock: FakeClock
) -> None:
    pair = await api.login()
    row = await store.family(pair.session_id)
    await store.forget(row)
    clock.advance(JUST_ISSUED - INSTANT)
    assert (await endpoint.refresh(pair.refresh)).outcome == UNAVAILABLE
    await store.put_back(row)
    assert (await endpoint.refresh(pair.refresh, KEY)).outcome == ROTATED
    await store.forget(row)
    clock.advance(INSTANT)
    # The session is lost, so the user has to sign in again.
    assert (await endpoint.refresh(pair.refresh)).outcome == INVALID
    assert await store.alarms() == 0


async def test_a_deleted_user_s_tokens_are_invalid_at_once(
    api: Api, endpoint: RefreshEndpoint, services: Services, alice: UserRow
) -> None:
    pair = await api.login()
    await services.accounts.delete(alice)
    assert (await endpoint.refresh(pair.refresh)).outcome == INVALID


async def test_an_expired_token_is_expired_even_if_the_database_lost_its_rotation(
    api: Api, endpoint: RefreshEndpoint, store: Store, clock: FakeClock
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(endpoint, first, 2)
    await store.put_back(before)
    clock.advance(timedelta(days=30))
    assert (await endpoint.refresh(newest.refresh)).outcome == EXPIRED
    assert await store.alarms() == 0


@pytest.mark.parametrize("more_settings", [{"refresh_token_ttl": timedelta(days=7)}], ids=[""])
async def test_a_session_is_not_expired_because_the_database_lost_its_later_limit(
    api: Api, endpoint: RefreshEndpoint, store: Store, clock: FakeClock
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    clock.advance(timedelta(days=6))
    second = await rotated(endpoint, first, 1)
    await store.put_back(before)
    clock.advance(timedelta(days=2))  # by now the first token has expired, and the second has not
    assert (await endpoint.refresh(second.refresh)).outcome == UNAVAILABLE


async def test_a_stored_revocation_applies_to_a_newer_token_too(
    api: Api, endpoint: RefreshEndpoint, store: Store, clock: FakeClock
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(endpoint, first, 2)
    await store.put_back(before | {"revoked_at": clock.now(), "revocation_reason": "REVOKED_BY_OPERATOR"})
    assert (await endpoint.refresh(newest.refresh)).outcome == REVOKED


@pytest.mark.parametrize("more_settings", [{"environment": "production"}], ids=[""])
@pytest.mark.parametrize("through", ["graphql", "rest"])
async def test_the_refresh_cookie_is_kept_while_the_database_is_behind(
    http: AsyncClient, api: Api, store: Store, through: str
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)

    async def refresh(token: str) -> Response:
        headers = {
            "cookie": f"__Host-kindred-refresh={token}",
            "kindred-delivery": "cookie",
            "origin": "https://kindred.test",
        }
        if through == "rest":
            return await http.post("/auth/token/refresh", json={}, headers=headers)
        return await http.post("/graphql", json={"query": REFRESH, "variables": {"input": {}}}, headers=headers)

    newest = (await refresh(first.refresh)).headers["set-cookie"].partition("=")[2].partition(";")[0]
    await store.put_back(before)
    refused = await refresh(newest)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "set-cookie" not in refused.headers
    if through == "graphql":
        assert refused.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_operators_are_alerted_by_the_log_and_by_a_metric(
    api: Api, endpoint: RefreshEndpoint, store: Store, http: AsyncClient
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(endpoint, first, 1)
    await store.put_back(before)
    with logging_to(CapturedLog()) as lines:
        await endpoint.refresh(newest.refresh)
    line = lines.last()
    assert (line["outcome"], line["level"], line["status"]) == ("store_behind", "error", 503)
    assert (line["security_events"], line["session_id"]) == (["store_behind"], first.session_id)
    assert newest.refresh not in lines.text
    assert 'kindred_refreshes_total{outcome="store_behind"} 1.0' in (await http.get("/metrics")).text


async def test_a_forged_generation_is_refused(
    api: Api, endpoint: RefreshEndpoint, services: Services, clock: FakeClock, store: Store
) -> None:
    """A token whose claims were changed has a wrong signature."""
    pair = await api.login()
    newest = await rotated(endpoint, pair, 1)
    issuer = services.rotation.token_pairs.issuer
    assert decode_token(issuer, newest.refresh, TokenKind.REFRESH, clock.now()).generation == 2
    head, _, signature = newest.refresh.split(".")
    _, claims, _ = pair.refresh.split(".")
    assert (await endpoint.refresh(f"{head}.{claims}.{signature}")).outcome == INVALID
    assert await store.alarms() == 0
