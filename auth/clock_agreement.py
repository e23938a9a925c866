"""Checks of the clock before anything that cannot be undone: deleting rows, expiring sessions, retiring keys.

A machine's clock may be wrong by a year for a minute, and deleted rows do not come back. So an irreversible action
needs a second witness: the database's clock, and the time that this process saw pass.
"""

import logging
from datetime import datetime, timedelta

from db.drivers.errors import DatabaseUnavailable
from db.engine import server_clock as database_clock
from db.engine.database import Connection

logger = logging.getLogger("kindred")

# More than NTP and a slow request explain, and far less than any lifetime.
CLOCKS_MUST_AGREE = timedelta(minutes=2)
# After a longer outage, an operator has to confirm that so much time has passed. One day more than a week, for
# operators who prune weekly.
LONGEST_OUTAGE = timedelta(days=8)


class ClocksDiffer(DatabaseUnavailable):
    """An irreversible action was refused, because two clocks differ. The message is for an operator."""


class ImplausibleClock(Exception):
    """The clock is too far ahead of the last pruning. The message is for an operator."""


async def require_agreement(conn: Connection, now: datetime, *, undone: str) -> None:
    """Raise `ClocksDiffer` unless the database's clock agrees with `now`. `undone` says what was not done.

    A SQLite database uses this machine's clock, so it always agrees.
    """
    ahead = await database_clock.now(conn) - now
    if abs(ahead) > CLOCKS_MUST_AGREE:
        raise ClocksDiffer(f"{describe_difference(ahead)}, so {undone}. Set both by NTP.")


def describe_difference(ahead: timedelta) -> str:
    """Say how far the database's clock is ahead of this machine's (negative: behind), without a full stop."""
    direction = "ahead of" if ahead > timedelta(0) else "behind"
    return f"The database's clock is {round(abs(ahead).total_seconds())} s {direction} this machine's"


class PlausibleTime:
    """A bound on the clock, for the case that it was set wrong together with the database's.

    Within one process, no more time passes than a clock that cannot be set counts. Across a restart there is no such
    measure, so an outage of up to `LONGEST_OUTAGE` since the last run is plausible.
    """

    def __init__(self) -> None:
        # The plausible instant at which `elapsed` was 0; None before the first reading.
        self._zero: datetime | None = None
        self._warned = False

    def latest(self, now: datetime, elapsed: timedelta, last_run_at: datetime) -> datetime:
        """Return the latest plausible instant, which is `now` unless the clock jumped ahead.

        `elapsed` comes from `Clock.elapsed`, and `last_run_at` from an earlier call, in any process.
        """
        if self._zero is None or now < last_run_at:  # the second: the clock was ahead, and an operator corrected it
            self._zero = (last_run_at if now - last_run_at > LONGEST_OUTAGE else now) - elapsed
        # The last run may have reached further: another process restarted, or an operator confirmed the clock.
        self._zero = max(self._zero, min(now, last_run_at) - elapsed - CLOCKS_MUST_AGREE)
        plausible = min(now, self._zero + elapsed + CLOCKS_MUST_AGREE)
        is_far = now - plausible >= timedelta(days=1)
        if is_far and not self._warned:
            logger.warning("Pruning does not follow the clock. %s", describe_distrust(now - last_run_at))
        self._warned = is_far
        return plausible


def describe_distrust(ahead: timedelta) -> str:
    """Say what an operator should do about a clock that is so far ahead of the last pruning."""
    return (
        f"This machine's clock is {ahead.days} days ahead of the last pruning. If it is right, run "
        "`kindred prune --clock-is-right`; else set it by NTP."
    )
