"""The rate limit of a family's rotations: the generic cell rate algorithm (GCRA)."""

import math
from dataclasses import dataclass
from datetime import datetime

# Seconds that the clocks of two workers may differ by. A theoretical arrival time further ahead than any burst and this
# comes from a clock that was set back since, and counts for nothing.
_CLOCKS_DIFFER = 60


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`burst` rotations at once, and one more for each `interval` in seconds that passes.

    Each rotation moves the family's theoretical arrival time (TAT) ahead by an interval. A rotation is refused while
    the TAT is further ahead than the burst allows.
    """

    burst: int
    interval: int

    def parameters_at(self, now: datetime) -> dict[str, int]:
        """Return the parameters of `rotation_statement` that hold the limit."""
        seconds = math.floor(now.timestamp())
        tolerance = (self.burst - 1) * self.interval
        return {
            "now_in_seconds": seconds,
            "too_busy_from": seconds + tolerance + 1,
            "too_busy_to": seconds + tolerance + self.interval + _CLOCKS_DIFFER,
        }

    def retry_after(self, tat: int, now: datetime) -> int:
        """Return the seconds until a family with this TAT may rotate again; 0 if it may now."""
        return max(tat - self.parameters_at(now)["too_busy_from"] + 1, 0)
