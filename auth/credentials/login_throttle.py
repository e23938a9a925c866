"""The throttle: how often a password may be guessed, under one name and from one address, and a session refreshed.

Counted in the database, so that all workers and every restart agree, and before the guess is looked at, so that
guesses made at the same time do not pass together; a right one is taken back. What it promises, and to whom, is in
docs/threat-model.md.
"""

import hashlib
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from uuid import UUID

from auth.clock_agreement import CLOCKS_MUST_AGREE
from auth.credentials.addresses import network_of, networks_of
from auth.outcomes import Origin, TooManyAttempts
from db.drivers.errors import DatabaseUnavailable
from db.engine.database import Connection, Database
from db.engine.retry import retried
from db.hot_path import login_attempts
from db.hot_path.login_attempts import Counts, Failures, MatchedUser, RateLimitRule, ThrottleKeys
from db.hot_path.rate_limit import RateLimit
from db.hot_path.session_inserts import AttemptKeys
from db.tables import familiar_networks, login_failures
from db.tables.login_failures import LoginFailuresRow
from db.tables.users import UserRow

# Under a name: so many guesses in a row are free, then each waits twice as long as the one before.
FREE_ATTEMPTS = 5
MAX_DELAY = timedelta(minutes=15)
# SP 800-63B-4 section 3.2.2: no more than a hundred consecutive failures. An operator unlocks the name.
MAX_FAILURES = 100

# From an address: so many failures within so long, under whatever names (spraying).
_ADDRESS_RULES = ((30, timedelta(minutes=5)), (300, timedelta(hours=1)))

# Of one session: as many refreshes at once as somebody opens tabs, and six a minute in the long run. A client that
# refreshes in a loop is slowed down, and spends nothing meanwhile.
REFRESH_RATE_LIMIT = RateLimit(burst=20, interval=10)
NO_RATE_LIMIT = RateLimit(burst=10**9, interval=1)


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A guess that may be made, and has been counted."""

    name: bytes
    addresses: tuple[bytes, ...]
    network: bytes
    # Its count under the name, the first one being 1; 0 where nothing is counted.
    attempt_number: int
    # Whose password it is a guess at, as found before it was counted; None where nobody has the name.
    owner: MatchedUser | None = None

    @property
    def starts_throttling(self) -> bool:
        """Whether the name will be throttled if this guess is wrong, and was not before."""
        return self.attempt_number in (FREE_ATTEMPTS, MAX_FAILURES)

    @property
    def locks_account(self) -> bool:
        """Whether it is the last one under the name, if it is wrong, until an operator unlocks that."""
        return self.attempt_number == MAX_FAILURES


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    """The throttle, with what it needs. `on` is False for benchmarks only; `memory` is how long networks are kept."""

    db: Database
    enabled: bool
    network_retention: timedelta

    # Where the connection breaks in the middle of it, a guess is counted once too often rather than not at all.
    @retried(idempotent=True)
    async def register_attempt(self, name_key: str, ip: str | None, now: datetime) -> LoginAttempt | TooManyAttempts:
        """Count a guess at the password of whoever has that name, if it may be made now.

        The same for names that exist and names that do not. What is refused is not counted.
        """
        network, quotas = _digest("network", network_of(ip)), _address_rules(ip)
        names = ThrottleKeys(_name(name_key), _name(name_key, network))
        if not self.enabled:
            owner = await login_attempts.match_user(self.db, name_key, network)
            return LoginAttempt(names.for_user(owner), (), network, 0, owner)
        try:
            owner, counts = await login_attempts.record_attempt(
                self.db, name_key, network, names, quotas, now, partial(apply_limits, quotas, now)
            )
        except LimitReached as refused:
            return TooManyAttempts(math.ceil(refused.wait.total_seconds()))
        name = names.for_user(owner)
        return LoginAttempt(name, tuple(subject for subject, _, _ in quotas), network, counts[name][0], owner)

    async def record_success(self, conn: Connection, attempt: LoginAttempt) -> None:
        """The guess was the password: the row of failures ends.

        From an address only this guess is taken back: whoever has an account must not be able to reset the count
        of their guesses at others.
        """
        if self.enabled:
            await login_failures.refund(conn, attempt.addresses, deleted=attempt.name)

    def attempt_keys(self, attempt: LoginAttempt, user: UserRow, now: datetime) -> AttemptKeys | None:
        """What a guess was counted under, for the sign-in that does what `was_right` does; None where nothing is.

        The first network of all is not new. But where a user is older than what is remembered, or has another password
        than the first one, no network known means that all were forgotten, and the next one may be an attacker's.
        """
        if not self.enabled:
            return None
        were_forgotten = now - user.created_at > self.network_retention or user.password_changed_at != user.created_at
        return AttemptKeys(attempt.name, attempt.addresses, attempt.network, were_forgotten, self._precision)

    @property
    def _precision(self) -> timedelta:
        # When a network was seen last decides how long it is kept, and nothing else. To write that down at each
        # sign-in would be an update and two entries of indexes for nothing.
        return self.network_retention / 100

    @asynccontextmanager
    async def refund_on_outage(self, attempt: LoginAttempt) -> AsyncIterator[None]:
        """While a guess is looked at: where the database did not let it be, it is taken back."""
        try:
            yield
        except DatabaseUnavailable:
            if self.enabled:
                await self._refund(attempt)
            raise

    @retried(idempotent=False)
    async def _refund(self, attempt: LoginAttempt) -> None:
        async with self.db.transaction() as conn:
            await login_failures.refund(conn, [*attempt.addresses, attempt.name])

    async def reset(self, conn: Connection, name_key: str) -> None:
        """Forget every failure under a name, from wherever."""
        networks = await familiar_networks.list_for_username(conn, name_key)
        await login_failures.delete_keys(conn, [_name(name_key), *(_name(name_key, network) for network in networks)])

    async def start_over(
        self, conn: Connection, user_id: UUID, name_key: str, now: datetime, *, only_from: Origin | None
    ) -> None:
        """After a new password: forget every failure, and every familiar network but that of `only_from`.

        An attacker who knew the old password has signed in with it, so their network is among the familiar ones. Left
        there, it would keep its own hundred attempts, and no sign-in from it would be notified. The caller holds the
        user's row, so no sign-in with the old password can add its network afterwards.
        """
        await self.reset(conn, name_key)  # first: it needs the networks that are forgotten next
        await familiar_networks.delete_for_user(conn, user_id)
        if self.enabled and only_from is not None:
            network = _digest("network", network_of(only_from.ip))
            await familiar_networks.remember(conn, user_id, network, now, precision=self._precision)

    @retried(idempotent=True)
    async def reset_address(self, address: str) -> list[str]:
        """Forget every failure from an IP address, under whatever names. Returns the networks it is counted with."""
        async with self.db.transaction() as conn:
            await login_failures.delete_keys(conn, [subject for subject, _, _ in _address_rules(address)])
        return [network for network, _ in networks_of(address)]


@lru_cache(maxsize=4096)
def _address_rules(ip: str | None) -> tuple[RateLimitRule, ...]:
    """What guesses from there are counted under: how many within how long. The largest network comes first."""
    return tuple(
        (_digest(f"address, {window}", network), most * factor, window)
        for network, factor in networks_of(ip)
        for most, window in _ADDRESS_RULES
    )


class LimitReached(Exception):
    """Not now: raised, because what was taken for a guess that is not made must be rolled back."""

    def __init__(self, wait: timedelta) -> None:
        self.wait = wait


def apply_limits(rules: Sequence[RateLimitRule], now: datetime, name: bytes, before: Failures) -> Counts:
    """How many failures since when, with this guess. Raises `_Refused` where what was before leaves no room for it."""
    counts = {}
    for subject, most, window in rules:
        failures, since = failures_in_window(before.get(subject), now)
        # Over, or begun in the future, which a wrong clock wrote: it would be over no sooner than then.
        if not -CLOCKS_MUST_AGREE <= now - since < window:
            failures, since = 0, now
        if failures >= most:
            raise LimitReached(since + window - now)
        counts[subject] = (failures + 1, since)
    failures, since = failures_in_window(before.get(name), now)
    if failures and (wait := backoff_delay(failures, before[name].last_failed_at, now)):
        raise LimitReached(wait)
    counts[name] = (failures + 1, min(since, now))
    return counts


def failures_in_window(row: LoginFailuresRow | None, now: datetime) -> tuple[int, datetime]:
    return (row.failures, row.first_failed_at) if row is not None and row.failures else (0, now)


def backoff_delay(failures: int, last: datetime, now: datetime) -> timedelta:
    if failures >= MAX_FAILURES:
        return MAX_DELAY
    # A failure in the future is a wrong clock's, and waits for nothing. It is counted all the same, as is the next.
    if failures < FREE_ATTEMPTS or last > now + CLOCKS_MUST_AGREE:
        return timedelta(0)
    wait = min(timedelta(seconds=2 ** min(failures - FREE_ATTEMPTS, 10)), MAX_DELAY)
    return max(last + wait - now, timedelta(0))


def _name(key: str, familiar: bytes | None = None) -> bytes:
    """What failures under a name are counted under: from strangers, or from one network that its owner uses."""
    return _digest("name", key) if familiar is None else _digest("name, from where its owner is", key, familiar.hex())


def _digest(kind: str, *parts: str) -> bytes:
    # No part can have a NUL in it, so no two lists of parts look the same.
    return hashlib.sha256("\0".join([kind, *parts]).encode()).digest()
