"""Clocks that tests control."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock that moves only when the test moves it. It starts at the real time, so that real clients accept tokens.

    The database's clock follows it, ahead by `database_ahead`.
    """

    def __init__(self) -> None:
        self.instant = datetime.now(UTC).replace(microsecond=0)
        self.database_ahead = timedelta(0)
        self._elapsed = timedelta(0)

    def now(self) -> datetime:
        return self.instant

    def elapsed(self) -> timedelta:
        return self._elapsed

    def advance(self, by: timedelta) -> None:
        """Let time pass. A negative `by` sets the clock back."""
        self.instant += by
        self._elapsed += max(by, timedelta(0))

    def step(self, by: timedelta) -> None:
        """Set the clock by this much; no time passes."""
        self.instant += by


@dataclass(frozen=True)
class OffsetClock:
    """The clock of another machine: `by` ahead of the first machine's."""

    clock: FakeClock
    by: timedelta

    def now(self) -> datetime:
        return self.clock.now() + self.by

    def elapsed(self) -> timedelta:
        return self.clock.elapsed()
