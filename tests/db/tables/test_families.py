"""The state of a family, to the instant: in Python for one row, and in SQL for a list, by the same rules."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from auth.services import Services
from db.tables import families
from db.tables.base import SessionState
from db.tables.families import state_of
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.sql import looking_at

INSTANT = timedelta(microseconds=1)  # the finest that a database stores
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("expires_in", "revoked_in", "state"),
    [
        (INSTANT, None, SessionState.ACTIVE),
        (timedelta(0), None, SessionState.EXPIRED),
        (-INSTANT, None, SessionState.EXPIRED),
        (timedelta(0), -INSTANT, SessionState.REVOKED),
        (-HOUR, -HOUR, SessionState.EXPIRED),  # revoked at the instant of its expiry, and later
        (-HOUR, -HOUR + INSTANT, SessionState.EXPIRED),
        (HOUR, timedelta(0), SessionState.REVOKED),
    ],
)
async def test_a_row_and_a_list_agree_on_the_state_at_each_boundary(
    services: Services,
    alice: UserRow,
    clock: FakeClock,
    expires_in: timedelta,
    revoked_in: timedelta | None,
    state: SessionState,
) -> None:
    now = clock.now()
    row = {
        "user_id": alice.id,
        "id": uuid4(),
        "token_digest": b"x" * 32,
        "generation": 1,
        "created_at": now - 2 * HOUR,
        "last_used_at": now - 2 * HOUR,
        "expires_at": now + expires_in,
        "absolute_expires_at": now + expires_in,
        "revoked_at": None if revoked_in is None else now + revoked_in,
        "revocation_reason": None if revoked_in is None else "REVOKED_BY_USER",
    }
    async with looking_at(services.db) as conn:
        await conn.execute(insert(families.families), [families.DEFAULTS | row])

    async def listed(chosen: SessionState | None) -> list[UUID]:
        async with services.db.read() as conn:
            page = await families.page(conn, alice.id, state=chosen, now=now, after=None, limit=10)
        assert all(state_of(family, now) is state for family in page)
        return [family.id for family in page]

    assert await listed(None) == [row["id"]]
    assert {chosen: await listed(chosen) for chosen in SessionState} == {
        chosen: [row["id"]] if chosen is state else [] for chosen in SessionState
    }
