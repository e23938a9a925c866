"""What honest clients asked and were told while something broke, and what must be true of it."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.support.endpoints import ROTATED, UNAVAILABLE

# No answer came: the connection was refused or cut.
NOTHING = "nothing"
# For a read with an access token: it was taken.
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Request:
    """A request and what came of it. Instants are seconds of one monotonic clock."""

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
        """Clients that name their attempts, and try again with the same name, must notice no more than a delay."""
        successors: dict[tuple[int, str], str] = {}
        owners: dict[str, int] = {}
        for request in self.requests:
            # A replay here is one that was none; "invalid" and "revoked" would be a rotation that was acknowledged
            # and lost, or a session that ended by itself; 401 for a read likewise.
            assert request.outcome in (ROTATED, ACCEPTED, UNAVAILABLE, NOTHING), request
            if request.outcome == UNAVAILABLE:
                assert request.retry_after >= 1, request
            if request.outcome == ROTATED:
                first = successors.setdefault((request.session, request.token), request.successor)
                assert first == request.successor, f"a token was usable twice: {request}"
                assert owners.setdefault(request.successor, request.session) == request.session, request
                assert request.successor != request.token

    def count(self, *outcomes: str, begun_after: float = 0.0) -> int:
        """How many requests that began after an instant came to one of these."""
        return sum(request.outcome in outcomes and request.begun > begun_after for request in self.requests)

    def most_failures(self, *, begun_after: float) -> int:
        """How many requests of one session failed that began after an instant: the most of any session.

        Counted, because seconds depend on what else the machine does.
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
