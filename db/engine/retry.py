"""Retries of a whole use case, for as long as a request may wait."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from db.drivers.errors import DatabaseUnavailable, OutcomeUnknown, RolledBack, TransactionConflict
from db.engine.database import Database

P = ParamSpec("P")
T = TypeVar("T")

# How often a transaction that conflicts with another one is tried.
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
    """Retry the whole use case when the database is unavailable or another transaction is in the way.

    Work of unknown outcome is retried only if it is idempotent: done twice, it has the effect and the answer of once.
    All attempts together take no longer than the database's timeout; then `DatabaseUnavailable`.
    """

    def decorate(
        use_case: Callable[Concatenate[S, P], Awaitable[T]],
    ) -> Callable[Concatenate[S, P], Awaitable[T]]:
        @wraps(use_case)
        async def attempts(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            last: DatabaseUnavailable | None = None
            attempted, conflicts = 0, 0
            try:
                async with self.db.deadline():
                    while True:
                        try:
                            return await use_case(self, *args, **kwargs)
                        except OutcomeUnknown as error:
                            if not idempotent:
                                raise
                            last = error
                        except RolledBack as error:
                            conflicts += isinstance(error, TransactionConflict)
                            if conflicts == MAX_CONFLICTS:
                                raise
                            last = error
                        attempted += 1
                        await asyncio.sleep(_backoff(attempted, self.db.fraction()))
            except TimeoutError as timeout:
                raise DatabaseUnavailable from last or timeout

        return attempts

    return decorate


def _backoff(attempted: int, fraction: float) -> float:
    """Return the seconds to wait after so many attempts: between half of the longest pause allowed and all of it."""
    longest = min(FIRST_PAUSE * 2.0 ** (attempted - 1), LONGEST_PAUSE)
    return longest * (1 + fraction) / 2
