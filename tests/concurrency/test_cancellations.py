"""Requests that are cancelled at any moment: no connection is lost, and no answer goes to another request."""

import asyncio
import random
from datetime import timedelta

import pytest

from auth.credentials.login_throttle import REFRESH_RATE_LIMIT
from auth.outcomes import ClientInfo, Rotated, SignedIn
from auth.services import Services
from db.tables.users import UserRow
from tests.support.clocks import FakeClock

FAMILIES, ROUNDS = 12, 25
# Seconds. Cancellations come at any moment, from before the request has a connection until after its answer.
MAX_DELAY = 0.012


@pytest.mark.parametrize("more_settings", [{"database_pool_size": 6}], ids=[""])
async def test_requests_cancelled_at_any_moment_leave_no_connection_open_and_consume_no_token_twice(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    rng = random.Random(1)
    opened = [await services.sign_in.open_session(alice, None, ClientInfo(), clock.now()) for _ in range(FAMILIES)]
    tokens = [signed_in.tokens.refresh_token for signed_in in opened if isinstance(signed_in, SignedIn)]
    ids = [signed_in.family.id for signed_in in opened if isinstance(signed_in, SignedIn)]
    cancelled = 0

    async def refresh(number: int, key: str) -> None:
        outcome = await services.rotation.refresh(tokens[number], key, ClientInfo(), clock.now())
        assert isinstance(outcome, Rotated), outcome
        assert outcome.family.id == ids[number]
        tokens[number] = outcome.tokens.refresh_token

    async def look(number: int) -> None:
        found = await services.sessions.get_many(alice.id, [ids[number]])
        assert list(found) == [ids[number]]
        assert (await services.sessions.get_many(alice.id, [])) == {}

    async def cancel_later(request: "asyncio.Task[None]") -> bool:
        await asyncio.sleep(rng.uniform(0, MAX_DELAY))
        return request.cancel()

    for round in range(ROUNDS):
        clock.advance(timedelta(seconds=2 * REFRESH_RATE_LIMIT.interval))
        keys = [f"round-{round:04}-family-{number:04}" for number in range(FAMILIES)]
        requests = [asyncio.create_task(refresh(number, keys[number])) for number in range(FAMILIES)]
        requests += [asyncio.create_task(look(number)) for number in range(FAMILIES)]
        cancelled += sum(await asyncio.gather(*(cancel_later(request) for request in requests)))
        for result in await asyncio.gather(*requests, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError), result
        # Cancelled or not: a retry with the same key gets the successor, and the next round refreshes it.
        await asyncio.gather(*(refresh(number, keys[number]) for number in range(FAMILIES)))
        assert services.db.connections[0] == 0

    assert cancelled > 100
    assert services.db.connections[0] == 0
