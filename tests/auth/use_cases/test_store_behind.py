"""A store that forgot what it had acknowledged: 503 and an alert, never a replay, and nothing ends.

A failover that lost commits, a restored backup and a commit that is not yet visible all look the same: the signed token
says a greater generation than the row does.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import delete, func, insert, select, update

from auth.crypto.tokens import TokenKind, decode_token
from auth.services import Services
from db.tables.families import families
from db.tables.security_events import security_events
from db.tables.users import UserRow as User
from tests.support.clocks import FakeClock
from tests.support.doors import EXPIRED, INVALID, REFRESH, REPLAYED, REVOKED, ROTATED, UNAVAILABLE, Api, Door, Pair
from tests.support.loglines import Lines, logging_to
from tests.support.sql import looking_at

pytestmark = pytest.mark.usefixtures("alice")

KEY, OTHER_KEY = "the-first-attempt-of-the-phone", "the-second-attempt-of-the-phone"
Row = dict[str, Any]


class Store:
    """What a test does to the families behind the service's back."""

    def __init__(self, services: Services) -> None:
        self.db = services.db

    async def family(self, session_id: str) -> Row:
        """The row of a session."""
        async with looking_at(self.db) as conn:
            found = await conn.execute(select(families).where(families.c.id == UUID(session_id)))
            return dict(found.one()._mapping)

    async def put_back(self, row: Row) -> None:
        """Make a row what it was, also where it is gone."""
        async with looking_at(self.db) as conn:
            known = update(families).where(families.c.user_id == row["user_id"], families.c.id == row["id"])
            if not (await conn.execute(known.values(row))).rowcount:
                await conn.execute(insert(families), row)

    async def forget(self, row: Row) -> None:
        """Lose a row, as a failover does that lost the sign-in."""
        async with looking_at(self.db) as conn:
            await conn.execute(delete(families).where(families.c.user_id == row["user_id"], families.c.id == row["id"]))

    async def alarms(self) -> int:
        """How many replays and ends the account's owner can see."""
        kinds = security_events.c.kind.in_(["REFRESH_TOKEN_REPLAYED", "SESSION_REVOKED"])
        async with looking_at(self.db) as conn:
            return int(
                (await conn.execute(select(func.count()).select_from(security_events).where(kinds))).scalar_one()
            )


@pytest.fixture
def store(services: Services) -> Store:
    """The families, as nothing but a fault changes them."""
    return Store(services)


async def rotated(door: Door, pair: Pair, times: int) -> Pair:
    """What a client holds after so many refreshes."""
    for _ in range(times):
        pair = (await door.refresh(pair.refresh)).tokens
    return pair


@pytest.mark.parametrize("back", [1, 2, 17])
async def test_a_token_that_is_newer_than_the_store_is_answered_with_503_and_ends_nothing(
    api: Api, door: Door, store: Store, back: int
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(door, first, back)
    caught_up = await store.family(first.session_id)
    await store.put_back(before)
    for key in (None, KEY, KEY, OTHER_KEY):
        refused = await door.refresh(newest.refresh, key)
        assert (refused.outcome, refused.retry_after) == (UNAVAILABLE, 1)
    assert await store.family(first.session_id) == before
    assert await store.alarms() == 0
    # Once the store has caught up, the client goes on as if nothing had been.
    await store.put_back(caught_up)
    assert (await door.refresh(newest.refresh, KEY)).outcome == ROTATED


async def test_the_client_s_own_attempt_survives_a_store_that_forgot_it(api: Api, door: Door, store: Store) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    answered = (await door.refresh(first.refresh, KEY)).tokens
    await store.put_back(before)
    assert (await door.refresh(answered.refresh, OTHER_KEY)).outcome == UNAVAILABLE
    # The same attempt, repeated, is made again and brings the store to where the client is.
    assert (await door.refresh(first.refresh, KEY)).tokens.refresh == answered.refresh
    assert (await door.refresh(answered.refresh, OTHER_KEY)).outcome == ROTATED
    assert await store.alarms() == 0


async def test_a_thief_gains_nothing_by_a_store_that_is_behind(api: Api, door: Door, store: Store) -> None:
    """Below the store's generation every token is a replay, and at it every token but the current one."""
    first = await api.login()
    second = await rotated(door, first, 1)
    before = await store.family(first.session_id)
    third = await rotated(door, second, 1)
    await store.put_back(before)
    # Two histories from here on: the second token is current again, and its new successor is not the third.
    other_third = (await door.refresh(second.refresh, OTHER_KEY)).tokens
    assert other_third.refresh != third.refresh
    assert (await door.refresh(third.refresh)).outcome == REPLAYED
    assert (await door.refresh(other_third.refresh)).outcome == REVOKED
    assert not await api.is_live(other_third.access)


async def test_a_thief_who_goes_on_from_a_used_token_is_found_by_the_owner_s_next_refresh(
    api: Api, door: Door, store: Store, clock: FakeClock
) -> None:
    """The store forgot six rotations, so the thief has six to go before the generations meet. Nobody waits for that."""
    stolen = await api.login()
    before = await store.family(stolen.session_id)
    newest = await rotated(door, stolen, 6)
    await store.put_back(before)
    assert (await door.refresh(newest.refresh)).outcome == UNAVAILABLE
    clock.advance(timedelta(minutes=3))
    thief_s = (await door.refresh(stolen.refresh)).tokens
    assert (await door.refresh(newest.refresh)).outcome == REPLAYED
    assert (await door.refresh(thief_s.refresh)).outcome == REVOKED
    assert not await api.is_live(thief_s.access)
    assert await store.alarms() == 1


@pytest.mark.parametrize("back", [1, 3])
async def test_a_spent_token_is_a_replay_however_far_the_store_is_behind(
    api: Api, door: Door, store: Store, back: int
) -> None:
    first = await api.login()
    second = await rotated(door, first, 1)
    before = await store.family(first.session_id)
    newest = await rotated(door, second, back)
    await store.put_back(before)
    assert (await door.refresh(first.refresh)).outcome == REPLAYED
    for pair in (second, newest):
        assert (await door.refresh(pair.refresh)).outcome == REVOKED


async def test_a_session_that_was_just_opened_and_is_gone_is_503_until_it_is_certain(
    api: Api, door: Door, store: Store, clock: FakeClock
) -> None:
    pair = await api.login()
    row = await store.family(pair.session_id)
    await store.forget(row)
    clock.advance(timedelta(seconds=119))
    assert (await door.refresh(pair.refresh)).outcome == UNAVAILABLE
    await store.put_back(row)
    assert (await door.refresh(pair.refresh, KEY)).outcome == ROTATED
    await store.forget(row)
    clock.advance(timedelta(seconds=121))
    # It does not come back: the person signs in again.
    assert (await door.refresh(pair.refresh)).outcome == INVALID
    assert await store.alarms() == 0


async def test_a_deleted_user_s_tokens_are_invalid_at_once(
    api: Api, door: Door, services: Services, alice: User
) -> None:
    pair = await api.login()
    await services.accounts.delete(alice)
    assert (await door.refresh(pair.refresh)).outcome == INVALID


async def test_a_token_that_is_over_has_expired_whatever_the_store_forgot(
    api: Api, door: Door, store: Store, clock: FakeClock
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(door, first, 2)
    await store.put_back(before)
    clock.advance(timedelta(days=30))
    assert (await door.refresh(newest.refresh)).outcome == EXPIRED
    assert await store.alarms() == 0


@pytest.mark.parametrize("more_settings", [{"refresh_token_ttl": timedelta(days=7)}], ids=[""])
async def test_a_session_that_the_forgetful_store_holds_for_expired_has_not_expired(
    api: Api, door: Door, store: Store, clock: FakeClock
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    clock.advance(timedelta(days=6))
    second = await rotated(door, first, 1)
    await store.put_back(before)
    clock.advance(timedelta(days=2))  # the first token has expired by now, and the second has not
    assert (await door.refresh(second.refresh)).outcome == UNAVAILABLE


async def test_a_revocation_that_the_store_remembers_is_told_to_a_newer_token_too(
    api: Api, door: Door, store: Store, clock: FakeClock
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(door, first, 2)
    await store.put_back(before | {"revoked_at": clock.now(), "revocation_reason": "REVOKED_BY_OPERATOR"})
    assert (await door.refresh(newest.refresh)).outcome == REVOKED


@pytest.mark.parametrize("more_settings", [{"environment": "production"}], ids=[""])
@pytest.mark.parametrize("through", ["graphql", "rest"])
async def test_a_token_in_the_cookie_stays_there_while_the_store_is_behind(
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
    api: Api, door: Door, store: Store, http: AsyncClient
) -> None:
    first = await api.login()
    before = await store.family(first.session_id)
    newest = await rotated(door, first, 1)
    await store.put_back(before)
    with logging_to(Lines()) as lines:
        await door.refresh(newest.refresh)
    line = lines.last()
    assert (line["outcome"], line["level"], line["status"]) == ("store_behind", "error", 503)
    assert (line["security_events"], line["session_id"]) == (["store_behind"], first.session_id)
    assert newest.refresh not in lines.text
    assert 'kindred_refreshes_total{outcome="store_behind"} 1.0' in (await http.get("/metrics")).text


async def test_the_token_s_generation_is_what_counts_and_not_what_a_client_says(
    api: Api, door: Door, services: Services, clock: FakeClock, store: Store
) -> None:
    """A token whose claims were changed by hand has a wrong signature, and is worth nothing."""
    pair = await api.login()
    newest = await rotated(door, pair, 1)
    issuer = services.rotation.token_pairs.issuer
    assert decode_token(issuer, newest.refresh, TokenKind.REFRESH, clock.now()).generation == 2
    head, _, signature = newest.refresh.split(".")
    _, claims, _ = pair.refresh.split(".")
    assert (await door.refresh(f"{head}.{claims}.{signature}")).outcome == INVALID
    assert await store.alarms() == 0
