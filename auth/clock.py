"""The one place that reads the real clock. Everything else is told what time it is."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

# Where the system has it, the clock that counts on while the machine sleeps.
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Tells the time. Read once for each request, and the instant passed down."""

    def now(self) -> datetime:
        """This instant, aware and in UTC."""
        ...

    def elapsed(self) -> timedelta:
        """The time since some fixed instant, by a clock that cannot be set. Two readings tell how much time passed."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """This instant, aware and in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> timedelta:
        """The time since the machine started."""
        return timedelta(seconds=time.clock_gettime(_SINCE_BOOT))
