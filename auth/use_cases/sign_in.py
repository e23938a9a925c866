"""Signing in: a name and a password for a new family."""

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
from auth.outcomes import LoginOutcome, Origin, SignedIn, TooManyAttempts, WrongCredentials
from auth.use_cases.security_events import NEW_NETWORK, AuditLog, new_event
from auth.use_cases.sessions import revoke_sessions
from auth.use_cases.token_pairs import TokenPairFactory
from db.engine.database import Database
from db.engine.retry import retried
from db.hot_path import session_inserts
from db.hot_path.login_attempts import MatchedUser
from db.tables import families, security_events, users
from db.tables.base import RevocationReason, SecurityEventKind
from db.tables.families import FamilyRow
from db.tables.users import UserRow


@dataclass(frozen=True, slots=True)
class SignIn:
    """The use case, with what it needs."""

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
        self, username: str, password: str, device_name: str | None, origin: Origin, now: datetime
    ) -> LoginOutcome:
        """Open a new family for whoever knows the password, never one that a client names (CRED-11).

        An unknown user, a wrong password and a disabled user get the same answer after the same work (CRED-08), and
        where there were too many attempts a right password gets the answer of a wrong one.
        Raises `HashingBusy` and `DatabaseUnavailable`.
        """
        key, normalized = username_key(username), normalize_password(password)
        if key is None or normalized is None:
            # Refused by its form alone, before any lookup, so the time tells nothing of who exists.
            return WrongCredentials()
        with self.hasher.slot():
            guess = await self.throttle.register_attempt(key, origin.ip, now)
            if isinstance(guess, TooManyAttempts):
                return guess
            async with self.throttle.refund_on_outage(guess):
                user = guess.owner.user if guess.owner else None
                # No transaction is open while this hashes: a queue of passwords must not be a queue of connections.
                verified = await self.hasher.verify(normalized, user.hashed_password if user else None)
                if user is not None and verified.matches and user.is_active:
                    signed_in = await self._open(user, guess, verified.newer_hash, device_name, origin, now)
                    if signed_in is not None:
                        return signed_in
            await self._fail(key, guess, origin, now)
        return WrongCredentials(guess.starts_throttling, guess.locks_account)

    async def _fail(self, key: str, attempt: LoginAttempt, origin: Origin, now: datetime) -> None:
        kinds = [SecurityEventKind.LOGIN_FAILED]
        if attempt.starts_throttling:  # once, and not at each refusal, with which anybody could fill the table
            kinds.append(SecurityEventKind.LOGIN_THROTTLED)
        await self._record_failure(key, [new_event(self.entropy, None, kind, now, origin) for kind in kinds])

    @retried(idempotent=True)
    async def _record_failure(self, key: str, events: Sequence[dict[str, Any]]) -> None:
        async with self.db.autocommit(may_block=True) if len(events) == 1 else self.db.transaction() as conn:
            for one in events:
                await security_events.add_for_name(conn, key, one)

    async def _open(
        self,
        verified: UserRow,
        attempt: LoginAttempt,
        newer_hash: str | None,
        device_name: str | None,
        origin: Origin,
        now: datetime,
    ) -> SignedIn | None:
        jti = self.entropy.token()
        family = self._family(verified.id, jti, device_name, origin, now)
        kind = SecurityEventKind.LOGIN_SUCCEEDED
        sign_in = session_inserts.NewSession(
            family,
            new_event(self.entropy, verified.id, kind, now, origin, family_id=family["id"]),
            detail_if_new=NEW_NETWORK,
            counted=self.throttle.attempt_keys(attempt, verified, now),
            slots=self.lineage_depth,
            keep=self.max_sessions_per_user - 1,
            now=now,
        )
        is_usual = newer_hash is None and attempt.owner is not None and attempt.owner.is_familiar
        stored = await self._write(sign_in, verified, attempt.owner if is_usual else None, newer_hash, origin)
        return None if stored is None else SignedIn(self.token_pairs.create(stored, jti, now), stored, verified)

    # Idempotent: if the first attempt went in after all, the next one finds its family.
    @retried(idempotent=True)
    async def _write(
        self,
        sign_in: session_inserts.NewSession,
        verified: UserRow,
        seen: MatchedUser | None,
        newer_hash: str | None,
        origin: Origin,
    ) -> FamilyRow | None:
        if seen is not None and (stored := await session_inserts.insert_if_unchanged(self.db, sign_in, seen)):
            return stored
        async with self.db.transaction() as conn:
            user = await users.lock(conn, verified.id)
            # Hashing took long enough for a disabling or a new password to pass by. What was verified must be what
            # is true now, with the row locked until the family is in, or it would outlive what revoked its like. The
            # newer hash is this sign-in's own: its salt is nobody else's.
            if user is None or not user.is_active or user.hashed_password not in (verified.hashed_password, newer_hash):
                return None
            if stored := await families.get(conn, user.id, sign_in.family["id"]):
                return stored
            # This one included, the user has no more live sessions than the limit: the row is locked, so that of many
            # sign-ins at once each counts those before it.
            opened = await session_inserts.insert_locked(conn, sign_in)
            if newer_hash is not None:
                await users.set_password(conn, user.id, newer_hash, changed_at=None)
            for family_id in opened.over_limit:
                limit = RevocationReason.SESSION_LIMIT
                await revoke_sessions(conn, self.entropy, user.id, origin, sign_in.now, limit, only=family_id)
            if opened.from_new_network:
                await self.audit_log.notify(conn, sign_in.event | {"detail": NEW_NETWORK})
            return opened.family

    def _family(
        self, user_id: UUID, jti: str, device_name: str | None, origin: Origin, now: datetime
    ) -> dict[str, Any]:
        absolute_limit = now + self.absolute_limit
        return {
            "user_id": user_id,
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
