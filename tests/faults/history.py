"""What honest clients asked and were told while something broke, and what must be true of it."""

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

    def downtime_after(self, instant: float) -> float:
        """Seconds from an instant until the last failure that began after it had ended; 0 where none failed."""
        return max(
            (request.ended - instant for request in self.requests if request.failed and request.begun > instant),
            default=0.0,
        )

    def longest(self) -> float:
        """Seconds that the slowest request took."""
        return max(request.ended - request.begun for request in self.requests)
