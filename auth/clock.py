"""The one place that reads the real clock. Everything else is told what time it is."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Read once for each request, and the instant passed down."""

    def now(self) -> datetime:
        """This instant, aware and in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """This instant, aware and in UTC."""
        return datetime.now(UTC)
