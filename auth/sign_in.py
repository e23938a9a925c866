"""Signing in: a name and a password for a new family."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from auth.entropy import Entropy
from auth.events import event
from auth.minting import Minting
from auth.names import username_key
from auth.outcomes import LoginOutcome, Origin, SignedIn, WrongCredentials
from auth.passwords import Hasher, normalize_password
from auth.tokens import digest
from db import families, lineage, login_failures, security_events, usernames, users
from db.base import SecurityEventKind
from db.engine import Database, retried
from db.users import User


@dataclass(frozen=True, slots=True)
class SignIn:
    """The use case, with what it needs."""

    db: Database
    minting: Minting
    entropy: Entropy
    hasher: Hasher
    idle_limit: timedelta
    absolute_limit: timedelta
    lineage_depth: int

    async def login(
        self, username: str, password: str, device_name: str | None, origin: Origin, now: datetime
    ) -> LoginOutcome:
        """Open a new family for whoever knows the password, never one that a client names (CRED-11).

        An unknown user, a wrong password and a disabled user get the same answer after the same work (CRED-08).
        Raises `HashingBusy` and `DatabaseUnavailable`.
        """
        key, normalized = username_key(username), normalize_password(password)
        if key is None or normalized is None:
            # Refused by its form alone, before any lookup, so the time tells nothing of who exists.
            return WrongCredentials()
        user = await self._find(key)
        # No transaction is open while this hashes: a queue of passwords must not be a queue of connections.
        verified = await self.hasher.verify(normalized, user.hashed_password if user else None)
        if user is None or not verified.matches or not user.is_active:
            await self._fail(key, origin, now)
            return WrongCredentials()
        signed_in = await self._open(user, key, verified.newer_hash, device_name, origin, now)
        if signed_in is None:
            await self._fail(key, origin, now)
            return WrongCredentials()
        return signed_in

    @retried(idempotent=True)
    async def _find(self, key: str) -> User | None:
        async with self.db.read() as conn:
            return await usernames.user_named(conn, key)

    # Not idempotent: counted twice is once too often.
    @retried(idempotent=False)
    async def _fail(self, key: str, origin: Origin, now: datetime) -> None:
        failure = event(self.entropy, None, SecurityEventKind.LOGIN_FAILED, now, origin)
        async with self.db.transaction() as conn:
            await login_failures.count(conn, failure_subject(key), now)
            await security_events.add_for_name(conn, key, failure)

    @retried(idempotent=False)
    async def _open(
        self,
        verified: User,
        key: str,
        newer_hash: str | None,
        device_name: str | None,
        origin: Origin,
        now: datetime,
    ) -> SignedIn | None:
        jti = self.entropy.token()
        async with self.db.transaction() as conn:
            user = await users.lock(conn, verified.id)
            # Hashing took long enough for a disabling or a new password to pass by. What was verified must be what
            # is true now, with the row locked until the family is in, or it would outlive what revoked its like.
            if user is None or not user.is_active or user.hashed_password != verified.hashed_password:
                return None
            if newer_hash is not None:
                await users.set_password(conn, user.id, newer_hash, changed_at=None)
            family = await families.insert_family(conn, self._family(user, jti, device_name, origin, now))
            await lineage.record(conn, family, user_agent=origin.user_agent, slots=self.lineage_depth)
            signed_in = event(
                self.entropy, user.id, SecurityEventKind.LOGIN_SUCCEEDED, now, origin, family_id=family.id
            )
            await security_events.add(conn, [signed_in])
            await login_failures.forget(conn, failure_subject(key))
        return SignedIn(self.minting.pair(family, jti, now), family, user)

    def _family(self, user: User, jti: str, device_name: str | None, origin: Origin, now: datetime) -> dict[str, Any]:
        absolute_limit = now + self.absolute_limit
        return {
            "user_id": user.id,
            "id": self.entropy.id(now),
            "token_digest": digest(jti),
            "generation": 1,
            "device_name": device_name,
            "user_agent": origin.user_agent,
            "ip": origin.ip,
            "created_at": now,
            "last_used_at": now,
            "expires_at": min(now + self.idle_limit, absolute_limit),
            "absolute_expires_at": absolute_limit,
        }


def failure_subject(key: str) -> bytes:
    """What failures under a name are counted under; the name itself may be a password typed into the wrong field."""
    return hashlib.sha256(key.encode()).digest()
