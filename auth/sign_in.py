"""Signing in: a name and a password for a new family."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from auth.entropy import Entropy
from auth.events import NEW_NETWORK, Recorder, event
from auth.minting import Minting
from auth.names import username_key
from auth.outcomes import LoginOutcome, Origin, SignedIn, TooManyAttempts, WrongCredentials
from auth.passwords import Hasher, normalize_password
from auth.sessions import end
from auth.throttle import Guess, Throttle
from auth.tokens import digest
from db import security_events, sign_ins, users
from db.base import RevocationReason, SecurityEventKind
from db.engine import Database
from db.retries import retried
from db.users import User


@dataclass(frozen=True, slots=True)
class SignIn:
    """The use case, with what it needs."""

    db: Database
    minting: Minting
    entropy: Entropy
    recorder: Recorder
    hasher: Hasher
    throttle: Throttle
    idle_limit: timedelta
    absolute_limit: timedelta
    lineage_depth: int
    sessions_per_user: int

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
        with self.hasher.place():
            guess = await self.throttle.admit(key, origin.ip, now)
            if isinstance(guess, TooManyAttempts):
                return guess
            async with self.throttle.looking_at(guess):
                user = guess.user
                # No transaction is open while this hashes: a queue of passwords must not be a queue of connections.
                verified = await self.hasher.verify(normalized, user.hashed_password if user else None)
                if user is not None and verified.matches and user.is_active:
                    signed_in = await self._open(user, guess, verified.newer_hash, device_name, origin, now)
                    if signed_in is not None:
                        return signed_in
            await self._fail(key, guess, origin, now)
        return WrongCredentials(guess.begins_waits, guess.locks)

    @retried(idempotent=False)
    async def _fail(self, key: str, guess: Guess, origin: Origin, now: datetime) -> None:
        kinds = [SecurityEventKind.LOGIN_FAILED]
        if guess.begins_waits:  # once, and not at each refusal, with which anybody could fill the table
            kinds.append(SecurityEventKind.LOGIN_THROTTLED)
        async with self.db.transaction() as conn:
            for kind in kinds:
                await security_events.add_for_name(conn, key, event(self.entropy, None, kind, now, origin))

    @retried(idempotent=False)
    async def _open(
        self,
        verified: User,
        guess: Guess,
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
            family = self._family(user, jti, device_name, origin, now)
            kind = SecurityEventKind.LOGIN_SUCCEEDED
            signed_in = event(self.entropy, user.id, kind, now, origin, family_id=family["id"])
            # This one included, the user has no more live sessions than the limit: the row is locked, so that of many
            # sign-ins at once each counts those before it.
            opened = await sign_ins.open_family(
                conn,
                family,
                signed_in,
                self.throttle.counted(guess, user, now),
                detail_if_new=NEW_NETWORK,
                slots=self.lineage_depth,
                keep=self.sessions_per_user - 1,
                now=now,
            )
            for family_id in opened.surplus:
                await end(conn, self.entropy, user.id, origin, now, RevocationReason.SESSION_LIMIT, only=family_id)
            if opened.from_new_network:
                await self.recorder.tell(conn, signed_in | {"detail": NEW_NETWORK})
        return SignedIn(self.minting.pair(opened.family, jti, now), opened.family, user)

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
