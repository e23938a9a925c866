"""Which clock is believed where rows are deleted, or sessions and keys end for good.

One machine's clock may be a year wrong, for a minute, and what was deleted meanwhile does not come back. So whatever
cannot be undone asks a second witness first: the database's clock, and the time that was seen to pass.
"""

import logging
from datetime import datetime, timedelta

from db.drivers.errors import DatabaseUnavailable
from db.engine import server_clock as database_clock
from db.engine.database import Connection

logger = logging.getLogger("kindred")

# More than NTP and a slow request explain, and far less than any lifetime.
CLOCKS_MUST_AGREE = timedelta(minutes=2)
# For how long the service may have been stopped before an operator has to confirm that so much time has passed.
# A day more than a week, for those who prune weekly.
LONGEST_OUTAGE = timedelta(days=8)


class ClocksDiffer(DatabaseUnavailable):
    """Something that cannot be undone was not done, because two clocks differ. The message is for an operator."""


class ImplausibleClock(Exception):
    """The clock is too far ahead of the last run. The message is for an operator."""


async def require_agreement(conn: Connection, now: datetime, *, undone: str) -> None:
    """Raise `ClocksDiffer` unless the database's clock agrees with `now`. `undone` says what was not done.

    The database of SQLite has this machine's clock, and always agrees.
    """
    ahead = await database_clock.now(conn) - now
    if abs(ahead) > CLOCKS_MUST_AGREE:
        raise ClocksDiffer(f"{describe_difference(ahead)}, so {undone}. Set both by NTP.")


def describe_difference(ahead: timedelta) -> str:
    """How far the database's clock is ahead of this machine's (behind where negative), without a full stop."""
    way = "ahead of" if ahead > timedelta(0) else "behind"
    return f"The database's clock is {round(abs(ahead).total_seconds())} s {way} this machine's"


class PlausibleTime:
    """How far this process believes its clock, which may have been set wrong together with the database's.

    Between two readings in one process no more time passed than a clock says that cannot be set. Across a start
    nothing can tell, so an outage of up to `LONGEST_OUTAGE` since the last run is believed.
    """

    def __init__(self) -> None:
        # The believed instant at which `elapsed` was 0; None before the first reading.
        self._zero: datetime | None = None
        self._warned = False

    def is_plausible(self, now: datetime, elapsed: timedelta, last_run_at: datetime) -> datetime:
        """The latest instant, up to `now`, that time is believed to have reached.

        `elapsed` is what `Clock.elapsed` says, and `last_run_at` what an earlier call returned, in any process.
        """
        if self._zero is None or now < last_run_at:  # the second: the clock was ahead, and has been put right
            self._zero = (last_run_at if now - last_run_at > LONGEST_OUTAGE else now) - elapsed
        # The last run may have reached further: another process saw a start, or an operator confirmed the clock.
        self._zero = max(self._zero, min(now, last_run_at) - elapsed - CLOCKS_MUST_AGREE)
        believed = min(now, self._zero + elapsed + CLOCKS_MUST_AGREE)
        is_far = now - believed >= timedelta(days=1)
        if is_far and not self._warned:
            logger.warning("Pruning does not follow the clock. %s", describe_distrust(now - last_run_at))
        self._warned = is_far
        return believed


def describe_distrust(ahead: timedelta) -> str:
    """What an operator should know of a clock that is so far ahead of the last run."""
    return (
        f"This machine's clock is {ahead.days} days ahead of the last pruning. If it is right, run "
        "`kindred prune --clock-is-right`; else set it by NTP."
    )
