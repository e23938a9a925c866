"""How fast a family may rotate."""

import math
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Pace:
    """`burst` rotations at once, and one more for each `interval` in seconds that passes.

    The generic cell rate algorithm: each rotation keeps the family busy for an interval, after whatever kept it busy
    before, and one that would have to wait longer than a burst lasts is not made.
    """

    burst: int
    interval: int

    def at(self, now: datetime) -> dict[str, int]:
        """What the statement that rotates compares and counts with."""
        seconds = math.floor(now.timestamp())
        patience = (self.burst - 1) * self.interval
        return {"now_in_seconds": seconds, "busy_at_most": seconds + patience, "busy_for": self.interval}

    def wait(self, busy_until: int, now: datetime) -> int:
        """Seconds until a family that is busy for so long may rotate again; 0 where it may."""
        return max(busy_until - self.at(now)["busy_at_most"], 0)
