"""The only module that reads the machine's clock. All other code receives the time as an argument."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

# Linux: this clock keeps counting while the machine is suspended.
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """A source of time. A request reads it once and passes the instant down."""

    def now(self) -> datetime:
        """Return the current instant, aware and in UTC."""
        ...

    def elapsed(self) -> timedelta:
        """Return the time since a fixed instant, by a clock that cannot be set.

        The difference of two readings is the time that passed between them.
        """
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the current instant, aware and in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> timedelta:
        """Return the time since the machine started."""
        return timedelta(seconds=time.clock_gettime(_SINCE_BOOT))
