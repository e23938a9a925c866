"""What an operator should see to, although the service runs."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from auth.clock import Clock
from auth.crypto.signing_keys import ROTATION_DUE, SigningKeyStore
from db.engine import server_clock as database_clock
from db.engine.database import Database

# More than a network's delays; access tokens forgive thirty seconds (TOK-10).
CLOCKS_MAY_DIFFER = timedelta(seconds=5)


async def clock_difference(db: Database, clock: Clock) -> timedelta:
    """How far the database's clock is ahead of ours, negative where it is behind; 0 where it cannot be told apart."""
    before = clock.now()
    async with db.read() as conn:
        theirs = await database_clock.now(conn)
    after = clock.now()
    if theirs > after:
        return theirs - after
    return min(theirs - before, timedelta(0))


def key_warnings(keys: SigningKeyStore, now: datetime) -> Iterator[str]:
    """What to do about the signing keys that were read, a sentence for each."""
    newest = max(keys.ring, key=lambda key: (key.active_from, key.kid), default=None)
    if newest is None:  # the service makes the first one when it starts
        return
    if (age := now - newest.active_from) >= ROTATION_DUE:
        yield f"The newest signing key has signed for {age.days} days. Run `kindred key rotate`."
    if older := sum(not key.is_sealed_with_newest for key in keys.ring):
        yield f"{older} of the signing keys are sealed with an older server secret. Run `kindred key reseal`."
