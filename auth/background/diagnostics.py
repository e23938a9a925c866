"""Warnings for operators that do not prevent start-up."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from auth.clock import Clock
from auth.crypto.signing_keys import ROTATION_DUE, SigningKeyStore
from db.engine import server_clock as database_clock
from db.engine.database import Database

# More than a network's delays. Access tokens tolerate thirty seconds (TOK-10).
CLOCKS_MAY_DIFFER = timedelta(seconds=5)


async def clock_difference(db: Database, clock: Clock) -> timedelta:
    """Return how far the database's clock is ahead of this machine's (negative: behind).

    A difference that the time of the query may explain counts as 0.
    """
    before = clock.now()
    async with db.read() as conn:
        database_now = await database_clock.now(conn)
    after = clock.now()
    if database_now > after:
        return database_now - after
    return min(database_now - before, timedelta(0))


def key_warnings(keys: SigningKeyStore, now: datetime) -> Iterator[str]:
    """Say what an operator should do about the signing keys, one sentence for each fault."""
    newest = max(keys.ring, key=lambda key: (key.active_from, key.kid), default=None)
    if newest is None:  # the service makes the first key when it starts
        return
    if (age := now - newest.active_from) >= ROTATION_DUE:
        yield f"The newest signing key has signed for {age.days} days. Run `kindred key rotate`."
    if outdated := sum(not key.is_sealed_with_newest for key in keys.ring):
        yield f"{outdated} of the signing keys are sealed with an older server secret. Run `kindred key reseal`."
