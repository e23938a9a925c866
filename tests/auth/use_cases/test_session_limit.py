"""The limit of live sessions: a sign-in beyond it revokes the least recently used session."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from auth.outcomes import ClientInfo, SignedIn
from auth.services import Services
from db.tables.families import families
from db.tables.security_events import security_events
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import REVOKED, ROTATED, SESSIONS, Api, RefreshEndpoint
from tests.support.servers import Backstage, Fleet, backstage, fleet_on
from tests.support.sql import looking_at
from tests.support.statements import statements

MINUTE = timedelta(minutes=1)
at_most = [
    pytest.mark.parametrize("more_settings", [{"max_sessions_per_user": most}], ids=[f"{most}"]) for most in (1, 3)
]


async def open_session(services: Services, user: UserRow, clock: FakeClock) -> SignedIn:
    """Open a session, as a sign-in does after the password check."""
    signed_in = await services.sign_in.open_session(user, None, ClientInfo(), clock.now())
    assert signed_in is not None
    return signed_in


async def live_sessions(services: Services, user: UserRow, clock: FakeClock) -> list[Any]:
    async with looking_at(services.db) as conn:
        live = select(families).where(families.c.user_id == user.id, families.c.revoked_at.is_(None))
        found = (await conn.execute(live.where(families.c.expires_at > clock.now()))).all()
    return [family.id for family in sorted(found, key=lambda family: (family.last_used_at, family.id))]


@at_most[1]
async def test_sess_08_the_least_recently_used_session_is_revoked_and_its_owner_sees_the_reason(
    api: Api, alice: UserRow, bob: UserRow, endpoint: RefreshEndpoint, clock: FakeClock, services: Services
) -> None:
    bobs = await api.login("bob")
    pairs = []
    for _ in range(3):
        clock.advance(MINUTE)
        pairs.append(await api.login())
    # The first session is refreshed, so the second is now the least recently used one.
    clock.advance(MINUTE)
    first = (await endpoint.refresh(pairs[0].refresh)).tokens
    clock.advance(MINUTE)
    newest = await api.login()
    assert not await api.is_live(pairs[1].access)
    assert (await endpoint.refresh(pairs[1].refresh)).outcome == REVOKED
    for access in (first.access, pairs[2].access, newest.access, bobs.access):
        assert await api.is_live(access)
    edges = (await api.data(SESSIONS, {"state": "REVOKED"}, newest.access))["sessions"]["edges"]
    assert [(edge["node"]["id"], edge["node"]["revocationReason"]) for edge in edges] == [
        (pairs[1].session_id, "SESSION_LIMIT")
    ]
    async with looking_at(services.db) as conn:
        ended = security_events.c.kind == "SESSION_REVOKED"
        (event,) = (await conn.execute(select(security_events).where(ended))).all()
    assert (str(event.family_id), event.detail, event.ip) == (pairs[1].session_id, "SESSION_LIMIT", "127.0.0.1")
    assert event.occurred_at == clock.now()


@at_most[0]
async def test_sess_08_with_a_limit_of_one_each_sign_in_revokes_the_session_before(
    api: Api, alice: UserRow, endpoint: RefreshEndpoint
) -> None:
    pairs = [await api.login() for _ in range(3)]
    assert [await api.is_live(pair.access) for pair in pairs] == [False, False, True]
    assert (await endpoint.refresh(pairs[2].refresh)).outcome == ROTATED


@at_most[1]
async def test_sess_08_revoked_and_expired_sessions_do_not_count(
    api: Api, alice: UserRow, clock: FakeClock, services: Services
) -> None:
    for _ in range(3):
        await open_session(services, alice, clock)
    await services.sessions.revoke_all(alice.id, ClientInfo(), clock.now())
    for _ in range(3):
        await open_session(services, alice, clock)
    clock.advance(timedelta(days=30))
    kept = [(await open_session(services, alice, clock)).family.id for _ in range(3)]
    assert set(await live_sessions(services, alice, clock)) == set(kept)
    async with looking_at(services.db) as conn:
        reasons = (await conn.execute(select(families.c.revocation_reason))).scalars().all()
    assert "SESSION_LIMIT" not in reasons


@at_most[1]
async def test_sess_08_a_failed_sign_in_revokes_no_session(api: Api, alice: UserRow) -> None:
    pairs = [await api.login() for _ in range(3)]
    assert (await api.try_login("alice", "not her password"))["__typename"] == "InvalidCredentialsError"
    assert all([await api.is_live(pair.access) for pair in pairs])


async def test_sess_08_the_default_limit_is_a_hundred_live_sessions(
    alice: UserRow, clock: FakeClock, services: Services
) -> None:
    opened = []
    for _ in range(105):
        clock.advance(MINUTE)
        opened.append((await open_session(services, alice, clock)).family.id)
    assert await live_sessions(services, alice, clock) == opened[5:]


@at_most[1]
async def test_sess_08_a_lowered_limit_applies_at_the_next_sign_in(
    alice: UserRow, clock: FakeClock, services: Services
) -> None:
    now = clock.now()
    row = {
        "user_id": alice.id,
        "token_digest": b"x" * 32,
        "generation": 1,
        "created_at": now,
        "expires_at": now + timedelta(days=1),
        "absolute_expires_at": now + timedelta(days=1),
    }
    rows = [row | {"id": uuid4(), "last_used_at": now - number * MINUTE} for number in range(10)]
    async with looking_at(services.db) as conn:
        await conn.execute(insert(families), rows)
    newest = (await open_session(services, alice, clock)).family.id
    assert set(await live_sessions(services, alice, clock)) == {newest, rows[0]["id"], rows[1]["id"]}


@at_most[1]
async def test_sess_08_concurrent_sign_ins_do_not_exceed_the_limit(
    alice: UserRow, clock: FakeClock, services: Services
) -> None:
    opened = await asyncio.gather(*(open_session(services, alice, clock) for _ in range(20)))
    live = await live_sessions(services, alice, clock)
    assert len(live) == 3
    assert set(live) < {signed_in.family.id for signed_in in opened}


@at_most[1]
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_sess_08_a_sign_in_beyond_the_limit_sends_two_more_statements(
    alice: UserRow, clock: FakeClock, services: Services
) -> None:
    for _ in range(2):
        await open_session(services, alice, clock)
    with statements(services) as below:
        await open_session(services, alice, clock)
    with statements(services) as beyond:
        await open_session(services, alice, clock)
    assert len([statement for statement in below if "ORDER BY token_families.last_used_at" in statement]) == 1
    assert len(beyond) == len(below) + 2


async def test_sess_08_a_sign_in_is_not_slower_with_a_hundred_live_and_a_thousand_revoked_sessions(
    alice: UserRow, bob: UserRow, clock: FakeClock, services: Services
) -> None:
    """Compared with a user without sessions, on the same machine at the same time."""
    now = clock.now()
    row = {
        "user_id": alice.id,
        "token_digest": b"x" * 32,
        "generation": 1,
        "created_at": now,
        "last_used_at": now,
        "expires_at": now + timedelta(days=1),
        "absolute_expires_at": now + timedelta(days=1),
    }
    ended = {"revoked_at": now, "revocation_reason": "REVOKED_BY_USER"}
    async with looking_at(services.db) as conn:
        await conn.execute(insert(families), [row | {"id": uuid4()} for _ in range(100)])
        await conn.execute(insert(families), [row | ended | {"id": uuid4()} for _ in range(1000)])

    async def took(user: UserRow) -> float:
        before = time.perf_counter()
        await open_session(services, user, clock)
        return time.perf_counter() - before

    taken = [(await took(alice), await took(bob)) for _ in range(30)]
    # The minimum of thirty is the time of the work itself, without delays by other processes.
    alices, bobs = min(alice_s for alice_s, _ in taken), min(bob_s for _, bob_s in taken)
    assert alices < bobs + 0.02, (alices, bobs)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two servers, on a database of either kind."""
    with fleet_on(request.param, postgres, tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
async def behind(fleet: Fleet, password_hash: str) -> AsyncIterator[Backstage]:
    """The use cases over the database of both servers."""
    async with backstage(fleet.database_url, password_hash) as behind:
        yield behind


async def test_sess_08_ops_05_a_session_that_the_limit_revokes_during_its_refresh_has_no_live_token(
    fleet: Fleet, behind: Backstage
) -> None:
    """The least recently used session is refreshed while a sign-in on another server revokes it."""
    user = await behind.user()
    oldest = await behind.session(user)
    for _ in range(99):
        await behind.session(user)
    async with fleet.endpoints() as endpoints:
        for turn in range(10):
            refreshed, newest = await asyncio.gather(endpoints[turn % 4].refresh(oldest.refresh), behind.session(user))
            page = await behind.services.sessions.page(
                user.id, state=None, after=None, limit=500, now=user.created_at + timedelta(hours=1)
            )
            live = [family for family in page if family.revoked_at is None]
            assert len(live) == 100
            assert newest.session_id in {str(family.id) for family in live}
            if oldest.session_id not in {str(family.id) for family in live}:
                token = refreshed.pair.refresh if refreshed.pair else oldest.refresh
                assert (await endpoints[0].refresh(token)).outcome == REVOKED
                return
            # The refresh came first, so the session is now the newest. The next round makes it the oldest again.
            assert refreshed.outcome == ROTATED
            for _ in range(98):
                await behind.session(user)
            oldest = replace(refreshed.tokens, session_id=oldest.session_id)
