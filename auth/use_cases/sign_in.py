"""Sign-in: a name and a password for a new session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from auth.credentials.identifiers import username_key
from auth.credentials.login_throttle import LoginAttempt, LoginThrottle
from auth.credentials.password_hashing import Hasher, normalize_password
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import digest
from auth.outcomes import ClientInfo, LoginOutcome, SignedIn, TooManyAttempts, WrongCredentials
from auth.use_cases.security_events import NEW_NETWORK, AuditLog, new_event
from auth.use_cases.sessions import revoke_sessions
from auth.use_cases.token_pairs import TokenPairFactory
from db.engine.database import Database
from db.engine.retry import retried
from db.hot_path import new_sessions
from db.tables import security_events, users
from db.tables.base import RevocationReason, SecurityEventKind
from db.tables.families import FamilyRow
from db.tables.users import UserRow


@dataclass(frozen=True, slots=True)
class SignIn:
    """The use case, with its dependencies and limits."""

    db: Database
    token_pairs: TokenPairFactory
    entropy: Entropy
    audit_log: AuditLog
    hasher: Hasher
    throttle: LoginThrottle
    idle_limit: timedelta
    absolute_limit: timedelta
    lineage_depth: int
    max_sessions_per_user: int

    async def login(
        self, username: str, password: str, device_name: str | None, client: ClientInfo, now: datetime
    ) -> LoginOutcome:
        """Open a session for a client that knows the password. No client names the session's id (CRED-11).

        An unknown user, a wrong password and a disabled user get the same answer after the same work (CRED-08). After
        too many attempts a correct password gets the answer of a wrong one.
        Raises `HashingQueueFull` and `DatabaseUnavailable`.
        """
        key, normalized = username_key(username), normalize_password(password)
        if key is None or normalized is None:
            # Refused by its form alone, before any lookup, so the time does not depend on whether the user exists.
            return WrongCredentials()
        with self.hasher.slot():
            attempt = await self.throttle.register_attempt(key, client.ip, now)
            if isinstance(attempt, TooManyAttempts):
                return attempt
            async with self.throttle.refund_on_outage(attempt):
                user = attempt.user
                # No transaction is open during this, or a queue of passwords would be a queue of connections.
                verified = await self.hasher.verify(normalized, user.hashed_password if user else None)
                if user is not None and verified.matches and user.is_active:
                    signed_in = await self.open_session(
                        user, device_name, client, now, attempt=attempt, newer_hash=verified.newer_hash
                    )
                    if signed_in is not None:
                        return signed_in
            await self.record_failure(key, attempt, client, now)
        return WrongCredentials(attempt.starts_throttling, attempt.locks_account)

    async def open_session(
        self,
        user: UserRow,
        device_name: str | None,
        client: ClientInfo,
        now: datetime,
        *,
        attempt: LoginAttempt | None = None,
        newer_hash: str | None = None,
    ) -> SignedIn | None:
        """Open a session for a user who is authenticated, by the password or by the caller's own means.

        Returns None, and writes nothing, if the user was disabled, deleted or given a new password since `user` was
        read: the session would outlive the revocation of all others. A correct `attempt` is refunded; `newer_hash`
        replaces the hash of the same password.
        """
        jti = self.entropy.token()
        family = self._family(user.id, jti, device_name, client, now)
        new = new_sessions.NewSession(
            family,
            new_event(self.entropy, user.id, SecurityEventKind.LOGIN_SUCCEEDED, now, client, family_id=family["id"]),
            detail_if_new=NEW_NETWORK,
            attempt=self.throttle.attempt_keys(attempt, user, client.ip, now),
            slots=self.lineage_depth,
            keep=self.max_sessions_per_user - 1,
            now=now,
        )
        stored = await self._store(new, user, newer_hash, client)
        return None if stored is None else SignedIn(self.token_pairs.create(stored, jti, now), stored, user)

    # Idempotent: if the first attempt was committed after all, the next one finds its session.
    @retried(idempotent=True)
    async def _store(
        self, new: new_sessions.NewSession, verified: UserRow, newer_hash: str | None, client: ClientInfo
    ) -> FamilyRow | None:
        if newer_hash is None and (stored := await new_sessions.insert_in_writer(self.db, new, verified)):
            return stored
        async with self.db.transaction() as conn:
            # The user may have been disabled or given a new password during the hashing. The row is locked until the
            # session is stored, so a revocation of all sessions comes before or after both. The newer hash is of this
            # sign-in alone, because its salt is random: an earlier attempt stored it.
            user = await users.lock(conn, verified.id)
            if user is None or not user.is_active or user.hashed_password not in (verified.hashed_password, newer_hash):
                return None
            created = await new_sessions.insert_locked(conn, new)
            if newer_hash is not None:
                await users.set_password(conn, user.id, newer_hash, changed_at=None)
            for family_id in created.over_limit:
                reason = RevocationReason.SESSION_LIMIT
                await revoke_sessions(conn, self.entropy, user.id, client, new.now, reason, only=family_id)
            if created.from_new_network:
                await self.audit_log.notify(conn, new.event | {"detail": NEW_NETWORK})
            return created.family

    async def record_failure(self, key: str, attempt: LoginAttempt, client: ClientInfo, now: datetime) -> None:
        """Append the events of a failed attempt, if the name exists. The statements are the same if it does not."""
        kinds = [SecurityEventKind.LOGIN_FAILED]
        if attempt.starts_throttling:  # once, because an event for each refusal would let an attacker fill the table
            kinds.append(SecurityEventKind.LOGIN_THROTTLED)
        await self._append(key, [new_event(self.entropy, None, kind, now, client) for kind in kinds])

    @retried(idempotent=True)
    async def _append(self, key: str, events: Sequence[dict[str, Any]]) -> None:
        async with self.db.autocommit(may_block=True) if len(events) == 1 else self.db.transaction() as conn:
            for event in events:
                await security_events.add_for_name(conn, key, event)

    def _family(
        self, user_id: UUID, jti: str, device_name: str | None, client: ClientInfo, now: datetime
    ) -> dict[str, Any]:
        absolute_limit = now + self.absolute_limit
        return {
            "user_id": user_id,
            "id": self.entropy.id(now),
            "token_digest": digest(jti),
            "generation": 1,
            "device_name": device_name,
            "user_agent": client.user_agent,
            "ip": client.ip,
            "created_at": now,
            "last_used_at": now,
            "expires_at": min(now + self.idle_limit, absolute_limit),
            "absolute_expires_at": absolute_limit,
        }
