"""A use case tried again, whole, for as long as a request may wait."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from db.drivers.errors import DatabaseUnavailable, OutcomeUnknown, RolledBack, TransactionConflict
from db.engine.database import Database

P = ParamSpec("P")
T = TypeVar("T")

# How often a transaction that collided with another one is tried.
MAX_CONFLICTS = 4
# Seconds between attempts: each pause is twice the one before, up to the longest. In an outage every waiting request
# tries again, and a server that comes back must not meet all of them at once.
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 1.0


class _HasDatabase(Protocol):
    @property
    def db(self) -> Database: ...


S = TypeVar("S", bound=_HasDatabase)


def retried(
    *, idempotent: bool
) -> Callable[[Callable[Concatenate[S, P], Awaitable[T]]], Callable[Concatenate[S, P], Awaitable[T]]]:
    """Try a use case again, whole, when the database was not there or another transaction was in the way.

    Work of unknown outcome is tried again only where it is idempotent: done twice, it is as if done once and gives
    the same answer. All attempts together take no longer than the database's timeout; then `DatabaseUnavailable`.
    """

    def decorate(
        use_case: Callable[Concatenate[S, P], Awaitable[T]],
    ) -> Callable[Concatenate[S, P], Awaitable[T]]:
        @wraps(use_case)
        async def attempts(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            last: DatabaseUnavailable | None = None
            attempted, collisions = 0, 0
            try:
                async with self.db.deadline():
                    while True:
                        try:
                            return await use_case(self, *args, **kwargs)
                        except OutcomeUnknown as fault:
                            if not idempotent:
                                raise
                            last = fault
                        except RolledBack as fault:
                            collisions += isinstance(fault, TransactionConflict)
                            if collisions == MAX_CONFLICTS:
                                raise
                            last = fault
                        attempted += 1
                        await asyncio.sleep(_backoff(attempted, self.db.fraction()))
            except TimeoutError as timeout:
                raise DatabaseUnavailable from last or timeout

        return attempts

    return decorate


def _backoff(attempted: int, fraction: float) -> float:
    """Seconds to wait after so many attempts: from half of the longest that this pause may be up to all of it."""
    longest = min(FIRST_PAUSE * 2.0 ** (attempted - 1), LONGEST_PAUSE)
    return longest * (1 + fraction) / 2
