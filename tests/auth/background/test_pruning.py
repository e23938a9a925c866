"""Pruning deletes old rows in batches, and nothing that a live session needs."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from auth.background import pruning
from auth.background.pruning import Pruned
from auth.services import Services
from db.tables.familiar_networks import familiar_networks
from db.tables.families import families
from db.tables.login_failures import login_failures
from db.tables.outbox import outbox
from db.tables.refresh_tokens import refresh_tokens
from db.tables.security_events import security_events
from db.tables.signing_keys import signing_keys
from db.tables.users import UserRow, users
from tests.support.clocks import FakeClock
from tests.support.endpoints import INVALID, REPLAYED, REVOKE, REVOKED, ROTATED, Api, RefreshEndpoint
from tests.support.sql import looking_at
from tests.support.statements import statements

pytestmark = pytest.mark.usefixtures("alice")

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
NOTHING = Pruned(0, 0, 0, 0, 0)

# Idle limit a week, absolute limit two months; ended sessions are kept for 30 days, events for 180.
short_idle = pytest.mark.parametrize(
    "more_settings", [{"refresh_token_ttl": 7 * DAY, "session_ttl": 60 * DAY}], ids=["idle-7-days"]
)


async def count(services: Services, table: Any) -> int:
    async with looking_at(services.db) as conn:
        return len((await conn.execute(select(table))).all())


@short_idle
async def test_data_03_a_live_session_and_its_lineage_are_never_pruned(
    api: Api, endpoint: RefreshEndpoint, services: Services, clock: FakeClock
) -> None:
    pair = await api.login()
    for _ in range(11):
        clock.advance(5 * DAY)
        pair = (await endpoint.refresh(pair.refresh)).tokens
        assert await services.pruning.prune(clock.now()) == NOTHING
    assert await count(services, refresh_tokens) == 12
    assert await api.is_live(pair.access)


@short_idle
async def test_rot_09_a_replay_is_detected_after_pruning_at_31_days(
    api: Api, endpoint: RefreshEndpoint, services: Services, clock: FakeClock
) -> None:
    first = pair = await api.login()
    for _ in range(6):
        clock.advance(5 * DAY)
        pair = (await endpoint.refresh(pair.refresh)).tokens
        await services.pruning.prune(clock.now())
    clock.advance(DAY)
    await services.pruning.prune(clock.now())
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(pair.refresh)).outcome == REVOKED


async def test_rot_09_attack_8_no_pruning_at_any_hour_makes_a_rotated_token_work_again(
    api: Api, endpoint: RefreshEndpoint, services: Services, clock: FakeClock
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens
    start = clock.now()
    for hours in range(0, 30 * 24, 8):
        clock.instant = start + timedelta(hours=hours)
        assert await services.pruning.prune(clock.now()) == NOTHING
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    # Once the family is pruned, its tokens are invalid.
    clock.advance(31 * DAY)
    assert (await services.pruning.prune(clock.now())).sessions == 1
    for token in (first.refresh, second.refresh):
        assert (await endpoint.refresh(token)).outcome == INVALID


async def test_data_03_a_revoked_session_is_pruned_after_the_retention(
    api: Api, services: Services, clock: FakeClock
) -> None:
    ended, live = await api.login(), None
    clock.advance(DAY)
    await api.data(REVOKE, {"input": {"refreshToken": ended.refresh}})
    clock.advance(20 * DAY)
    live = await api.login()
    clock.advance(10 * DAY)
    assert await services.pruning.prune(clock.now()) == NOTHING
    clock.advance(SECOND)
    assert await services.pruning.prune(clock.now()) == Pruned(1, 0, 0, 0, 0)
    assert [family.id for family in await every(services, families)] == [
        family.family_id for family in await every(services, refresh_tokens)
    ]
    assert str((await every(services, families))[0].id) == live.session_id
    # Its events are kept.
    kinds = {event.kind for event in await every(services, security_events) if str(event.family_id) == ended.session_id}
    assert kinds == {"LOGIN_SUCCEEDED", "SESSION_REVOKED"}


@short_idle
async def test_data_03_an_expired_session_is_pruned_a_retention_after_its_absolute_limit(
    api: Api, endpoint: RefreshEndpoint, services: Services, clock: FakeClock
) -> None:
    pair = await api.login()
    start = clock.now()
    clock.instant = start + 90 * DAY
    assert await services.pruning.prune(clock.now()) == NOTHING
    assert (await endpoint.refresh(pair.refresh)).outcome != ROTATED
    clock.advance(SECOND)
    assert (await services.pruning.prune(clock.now())).sessions == 1
    assert await count(services, families) == await count(services, refresh_tokens) == 0


async def test_data_03_events_and_failed_attempts_are_pruned_by_age(
    api: Api, services: Services, clock: FakeClock
) -> None:
    start = clock.now()
    await api.try_login("alice", "not her password")
    await api.try_login("unknown", "wrong password")
    clock.advance(10 * DAY)
    await api.try_login("alice", "still not her password")  # the count is as old as its last failure
    nobodys = Pruned(sessions=0, events=0, login_failures=1, familiar_networks=0, notifications=0)
    alices = Pruned(
        sessions=0, events=0, login_failures=3, familiar_networks=0, notifications=0
    )  # two rows count the address
    an_event = Pruned(sessions=0, events=1, login_failures=0, familiar_networks=0, notifications=0)
    for age, pruned in ((30, nobodys), (40, alices), (180, an_event), (190, an_event)):
        clock.instant = start + age * DAY
        assert await services.pruning.prune(clock.now()) == NOTHING
        clock.instant += SECOND
        assert await services.pruning.prune(clock.now()) == pruned


async def test_users_and_signing_keys_are_not_pruned(services: Services, clock: FakeClock) -> None:
    clock.advance(3650 * DAY)
    await services.pruning.prune(clock.now())
    assert await count(services, users) == await count(services, signing_keys) == 1


async def test_each_batch_is_pruned_in_its_own_transaction(
    api: Api, services: Services, alice: UserRow, clock: FakeClock
) -> None:
    """So that no refresh waits long for one."""
    live = await api.login()
    now, long_ago = clock.now(), clock.now() - 400 * DAY
    number = 2 * pruning.BATCH + 10
    async with looking_at(services.db) as conn:
        # Half of them are revoked, half of them expired.
        await conn.execute(insert(families), [ended_family(alice, long_ago, revoked=n % 2 == 0) for n in range(number)])
        event = {"user_id": alice.id, "kind": "LOGIN_FAILED", "occurred_at": long_ago}
        await conn.execute(insert(security_events), [event | {"id": uuid4()} for _ in range(number)])
        failure = {"failures": 1, "first_failed_at": long_ago, "last_failed_at": long_ago}
        subjects = [number.to_bytes(32, "big") for number in range(number)]
        await conn.execute(insert(login_failures), [failure | {"subject": subject} for subject in subjects])
        network = {"user_id": alice.id, "last_seen_at": long_ago}
        await conn.execute(insert(familiar_networks), [network | {"network": subject} for subject in subjects])
        notification = {"user_id": alice.id, "channel": "mail", "kind": "user.disabled", "attempts": 1}
        notification |= {"occurred_at": long_ago, "next_attempt_at": None, "delivered_at": long_ago}
        await conn.execute(insert(outbox), [notification | {"id": uuid4()} for _ in range(number)])
    sizes: list[int] = []
    prune_batch = pruning.Pruning._prune_batch

    async def counted(self: Any, batch: Any) -> int:
        sizes.append(await prune_batch(self, batch))
        return sizes[-1]

    with pytest.MonkeyPatch.context() as patch, statements(services) as sent:
        patch.setattr(pruning.Pruning, "_prune_batch", counted)
        assert await services.pruning.prune(now) == Pruned(number, number, number, number, number)
    # For each of the five tables: two full batches, the rest, and one that finds nothing.
    assert sizes == [pruning.BATCH, pruning.BATCH, 10, 0] * 5
    assert all(statement.startswith("DELETE") for statement in sent)
    assert await api.is_live(live.access)
    assert await count(services, families) == 1


def ended_family(user: UserRow, long_ago: datetime, *, revoked: bool) -> dict[str, Any]:
    return {
        "user_id": user.id,
        "id": uuid4(),
        "token_digest": b"x" * 32,
        "generation": 1,
        "created_at": long_ago,
        "last_used_at": long_ago,
        "expires_at": long_ago + 7 * DAY,
        "absolute_expires_at": long_ago + (3650 * DAY if revoked else 30 * DAY),
        "revoked_at": long_ago + DAY if revoked else None,
        "revocation_reason": "REVOKED_BY_USER" if revoked else None,
    }


async def every(services: Services, table: Any) -> list[Any]:
    async with looking_at(services.db) as conn:
        return list((await conn.execute(select(table))).all())
