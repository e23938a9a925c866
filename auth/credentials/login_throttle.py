"""The login throttle: how many login attempts a name and an address have, and how many refreshes a session has.

Counts are in the database, so all workers agree and a restart forgets none. An attempt is counted before its password
is checked, so attempts at the same time do not pass together; a correct password refunds it. The limits, and the
attacks that they stop, are in docs/threat-model.md.
"""

import hashlib
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple
from uuid import UUID

from auth.clock_agreement import CLOCKS_MUST_AGREE
from auth.credentials.ip_addresses import network_of, networks_of
from auth.outcomes import ClientInfo, TooManyAttempts
from db.drivers.errors import DatabaseUnavailable
from db.engine.database import Connection, Database
from db.engine.retry import retried
from db.hot_path import login_attempts
from db.hot_path.login_attempts import Counts, FailureCount, ThrottleKeys
from db.hot_path.new_sessions import AttemptKeys
from db.hot_path.rate_limit import RateLimit
from db.tables import familiar_networks, login_failures
from db.tables.users import UserRow

# A name has so many failures in a row for free. After each further one it waits, twice as long as before.
FREE_ATTEMPTS = 5
MAX_DELAY = timedelta(minutes=15)
# SP 800-63B-4 section 3.2.2: no more than a hundred consecutive failures. An operator unlocks the name.
MAX_FAILURES = 100

# From an address, under all names together, against password spraying: so many failures within so long.
_ADDRESS_LIMITS = ((30, timedelta(minutes=5)), (300, timedelta(hours=1)))

# Of one session: as many refreshes at once as a user opens tabs, and six a minute in the long run. A client that
# refreshes in a loop is slowed down, and consumes no token while it waits.
REFRESH_RATE_LIMIT = RateLimit(burst=20, interval=10)
NO_RATE_LIMIT = RateLimit(burst=10**9, interval=1)


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A login attempt that is allowed and counted, and the keys that it is counted under."""

    name_digest: bytes
    addresses: tuple[bytes, ...]
    # How many the name has with this one; 0 if the throttle is off.
    attempt_number: int
    # As found before the attempt was counted; None if the name is unknown.
    user: UserRow | None = None

    @property
    def starts_throttling(self) -> bool:
        """Whether the name must wait, or wait for an operator, from this attempt on if it fails."""
        return self.attempt_number in (FREE_ATTEMPTS, MAX_FAILURES)

    @property
    def locks_account(self) -> bool:
        """Whether the name is locked until an operator unlocks it, if this attempt fails."""
        return self.attempt_number == MAX_FAILURES


class AddressLimit(NamedTuple):
    """How many failures a network may have within a time."""

    key: bytes
    limit: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    """The throttle. `enabled` is False in benchmarks only; `network_retention` is how long networks stay familiar."""

    db: Database
    enabled: bool
    network_retention: timedelta

    # If the connection breaks in the middle, an attempt is counted once too often rather than not at all.
    @retried(idempotent=True)
    async def register_attempt(
        self, username_key: str, ip: str | None, now: datetime
    ) -> LoginAttempt | TooManyAttempts:
        """Count a login attempt, or refuse it. A refused attempt is not counted.

        Unknown names are treated as known ones (CRED-08).
        """
        network, rules = _network_digest(ip), _address_rules(ip)
        keys = ThrottleKeys(
            _name_digest(username_key, None), _name_digest(username_key, network), tuple(rule.key for rule in rules)
        )
        if not self.enabled:
            matched = await login_attempts.match_user(self.db, username_key, network)
            return LoginAttempt(keys.name_digest(matched), (), 0, matched.user if matched else None)
        matched, counts = await login_attempts.record_attempt(
            self.db, username_key, network, keys, now, partial(apply_limits, rules, now)
        )
        if isinstance(counts, timedelta):
            return TooManyAttempts(math.ceil(counts.total_seconds()))
        name = keys.name_digest(matched)
        return LoginAttempt(name, keys.addresses, counts[name].failures, matched.user if matched else None)

    async def record_success(self, conn: Connection, attempt: LoginAttempt) -> None:
        """Refund an attempt whose password was correct: forget all failures of the name, and this one of the address.

        The address keeps its other failures, or an attacker with an account could reset the count of their attempts
        at other names.
        """
        if self.enabled:
            await login_failures.refund(conn, attempt.addresses, deleted=attempt.name_digest)

    def attempt_keys(self, attempt: LoginAttempt | None, user: UserRow, ip: str | None, now: datetime) -> AttemptKeys:
        """Return what a sign-in writes to the throttle: the refund of its attempt, if any, and the user's network.

        A user's first network is not new. If the user is older than the retention period, or has changed the password,
        and no network is stored, all were forgotten: treat this one as new, because it may be an attacker's.
        """
        if not self.enabled:
            return AttemptKeys()
        all_forgotten = now - user.created_at > self.network_retention or user.password_changed_at != user.created_at
        name, addresses = (attempt.name_digest, attempt.addresses) if attempt else (None, ())
        return AttemptKeys(name, addresses, _network_digest(ip), all_forgotten, self._precision)

    @property
    def _precision(self) -> timedelta:
        # `last_seen_at` only decides when a network is forgotten. Writing it at each sign-in would cost an update and
        # two index entries.
        return self.network_retention / 100

    @asynccontextmanager
    async def refund_on_outage(self, attempt: LoginAttempt) -> AsyncIterator[None]:
        """Refund the attempt if the database fails while its password is checked."""
        try:
            yield
        except DatabaseUnavailable:
            if self.enabled:
                await self._refund(attempt)
            raise

    @retried(idempotent=False)
    async def _refund(self, attempt: LoginAttempt) -> None:
        async with self.db.transaction() as conn:
            await login_failures.refund(conn, [*attempt.addresses, attempt.name_digest])

    async def reset(self, conn: Connection, username_key: str) -> None:
        """Forget every failure of a name, from every network."""
        networks = await familiar_networks.list_for_username(conn, username_key)
        await login_failures.delete_keys(conn, [_name_digest(username_key, network) for network in (None, *networks)])

    async def forget_after_new_password(
        self, conn: Connection, user_id: UUID, username_key: str, now: datetime, *, only_from: ClientInfo | None
    ) -> None:
        """After a new password, forget every failure, and every familiar network except that of `only_from`.

        An attacker who knew the old password has signed in with it, so their network is familiar. If it stayed so, it
        would keep its own hundred attempts, and sign-ins from it would cause no notification. The caller holds the
        user's row, so no sign-in with the old password can add its network afterwards.
        """
        await self.reset(conn, username_key)  # first, because it needs the networks
        await familiar_networks.delete_for_user(conn, user_id)
        if self.enabled and only_from is not None:
            network = _network_digest(only_from.ip)
            await familiar_networks.remember(conn, user_id, network, now, precision=self._precision)

    @retried(idempotent=True)
    async def reset_address(self, address: str) -> list[str]:
        """Forget every failure from an IP address. Return the networks that its failures are counted under."""
        async with self.db.transaction() as conn:
            await login_failures.delete_keys(conn, [rule.key for rule in _address_rules(address)])
        return [network for network, _ in networks_of(address)]


@lru_cache(maxsize=4096)
def _address_rules(ip: str | None) -> tuple[AddressLimit, ...]:
    """Return the rules for attempts from an address. The largest network comes first."""
    return tuple(
        AddressLimit(_digest(f"address, {window}", network), limit * factor, window)
        for network, factor in networks_of(ip)
        for limit, window in _ADDRESS_LIMITS
    )


def apply_limits(rules: Sequence[AddressLimit], now: datetime, name: bytes, before: Counts) -> Counts | timedelta:
    """Decide on an attempt: return the counts with it, or how long the client must wait."""
    none = FailureCount(0, now, now)
    counts = {}
    for key, limit, window in rules:
        count = failures_in_window(before.get(key, none), window, now)
        if count.failures >= limit:
            return count.first_failed_at + window - now
        counts[key] = FailureCount(count.failures + 1, count.first_failed_at, now)
    count = before.get(name, none)
    if delay := backoff_delay(count, now):
        return delay
    counts[name] = FailureCount(count.failures + 1, min(count.first_failed_at, now), now)
    return counts


def failures_in_window(count: FailureCount, window: timedelta, now: datetime) -> FailureCount:
    """Return the count, or none where its window is over.

    A window that begins in the future was written by a wrong clock. It is over too, or it would last until then.
    """
    begun = now - count.first_failed_at
    return count if count.failures and -CLOCKS_MUST_AGREE <= begun < window else FailureCount(0, now, now)


def backoff_delay(count: FailureCount, now: datetime) -> timedelta:
    """Return how long a name must still wait after its failures."""
    failures, last = count.failures, count.last_failed_at
    if failures >= MAX_FAILURES:
        return MAX_DELAY
    # A wrong clock wrote a failure in the future: it is counted, but the name does not wait for it.
    if failures < FREE_ATTEMPTS or last > now + CLOCKS_MUST_AGREE:
        return timedelta(0)
    delay = min(timedelta(seconds=2 ** min(failures - FREE_ATTEMPTS, 10)), MAX_DELAY)
    return max(last + delay - now, timedelta(0))


def _name_digest(name: str, familiar_network: bytes | None) -> bytes:
    """Return the key for failures of a name: from unfamiliar networks, or from one familiar network."""
    if familiar_network is None:
        return _digest("name", name)
    return _digest("name, from where its owner is", name, familiar_network.hex())


def _network_digest(ip: str | None) -> bytes:
    return _digest("network", network_of(ip))


def _digest(kind: str, *parts: str) -> bytes:
    # No part contains NUL, so different lists of parts have different digests.
    return hashlib.sha256("\0".join([kind, *parts]).encode()).digest()
