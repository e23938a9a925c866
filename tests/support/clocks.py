"""Clocks that tests own."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Stands still until it is told to move. Starts at the real time, so that tokens look right to real clients.

    The database's clock goes with it, `database_ahead` of it.
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
        """Time passes; where `by` is negative, the clock is set back instead."""
        self.instant += by
        self._elapsed += max(by, timedelta(0))

    def step(self, by: timedelta) -> None:
        """Somebody sets the clock, and no time passes."""
        self.instant += by


@dataclass(frozen=True)
class Ahead:
    """The clock of another machine, which is ahead of the first one's by so much."""

    clock: FakeClock
    by: timedelta

    def now(self) -> datetime:
        return self.clock.now() + self.by

    def elapsed(self) -> timedelta:
        return self.clock.elapsed()
