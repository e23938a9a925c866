"""How fast a family may rotate."""

import math
from dataclasses import dataclass
from datetime import datetime

# Seconds that the clocks of two workers may differ by. Who is busy for longer than any burst, and this on top, was so
# by a clock that has been put back since, and is not kept waiting for it.
_CLOCKS_DIFFER = 60


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`burst` rotations at once, and one more for each `interval` in seconds that passes.

    The generic cell rate algorithm: each rotation keeps the family busy for an interval, after whatever kept it busy
    before, and one that would have to wait longer than a burst lasts is not made.
    """

    burst: int
    interval: int

    def parameters_at(self, now: datetime) -> dict[str, int]:
        """What the statement that rotates compares and counts with."""
        seconds = math.floor(now.timestamp())
        patience = (self.burst - 1) * self.interval
        return {
            "now_in_seconds": seconds,
            "too_busy_from": seconds + patience + 1,
            "too_busy_to": seconds + patience + self.interval + _CLOCKS_DIFFER,
        }

    def retry_after(self, tat: int, now: datetime) -> int:
        """Seconds until a family that is busy for so long may rotate again; 0 where it may."""
        return max(tat - self.parameters_at(now)["too_busy_from"] + 1, 0)
