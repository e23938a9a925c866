"""What honest clients requested and received during a fault, and what must be true of it."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.support.endpoints import ROTATED, UNAVAILABLE

# No answer came: the connection was refused or cut.
NOTHING = "nothing"
# For a read: the access token was accepted.
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Request:
    """A request and its outcome. Instants are seconds of one monotonic clock."""

    session: int
    begun: float
    ended: float
    outcome: str
    # Empty for a read.
    token: str = ""
    key: str = ""
    successor: str = ""
    retry_after: int = 0

    @property
    def failed(self) -> bool:
        return self.outcome in (UNAVAILABLE, NOTHING)


@dataclass
class History:
    """Every request of every client, in the order in which they ended."""

    clients: int = 0
    requests: list[Request] = field(default_factory=list)

    def check(self) -> None:
        """Assert that clients which retry with the same idempotency key notice no more than a delay."""
        successors: dict[tuple[int, str], str] = {}
        owners: dict[str, int] = {}
        for request in self.requests:
            # A replay here would be a false one. "Invalid", "revoked" or a read with 401 would mean that an
            # acknowledged rotation was lost, or that a session ended without a reason.
            assert request.outcome in (ROTATED, ACCEPTED, UNAVAILABLE, NOTHING), request
            if request.outcome == UNAVAILABLE:
                assert request.retry_after >= 1, request
            if request.outcome == ROTATED:
                first = successors.setdefault((request.session, request.token), request.successor)
                assert first == request.successor, f"a token was usable twice: {request}"
                assert owners.setdefault(request.successor, request.session) == request.session, request
                assert request.successor != request.token

    def count(self, *outcomes: str, begun_after: float = 0.0) -> int:
        """Return how many requests that began after an instant had one of these outcomes."""
        return sum(request.outcome in outcomes and request.begun > begun_after for request in self.requests)

    def most_failures(self, *, begun_after: float) -> int:
        """Return the largest number of failed requests of one session that began after an instant.

        A count, because a time in seconds depends on the load of the machine.
        """
        failures = Counter(
            request.session for request in self.requests if request.failed and request.begun > begun_after
        )
        return max(failures.values(), default=0)

    async def until_each_is(self, outcome: str, *, times: int = 1) -> None:
        """Wait until every client has had so many answers of this kind to requests that began after this call."""
        instant, waits_for = time.monotonic(), set(range(self.clients))
        async with asyncio.timeout(60):
            while waits_for:
                await asyncio.sleep(0.02)
                counts = Counter(
                    request.session
                    for request in self.requests
                    if request.outcome == outcome and request.begun > instant
                )
                waits_for = {client for client in waits_for if counts[client] < times}
