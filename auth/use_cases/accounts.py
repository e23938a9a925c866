"""Accounts: making them, their passwords, letting them in or not, and what happened to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth.credentials.identifiers import clean_email, clean_username, username_key
from auth.credentials.login_throttle import LoginAttempt, LoginThrottle
from auth.credentials.password_hashing import Hasher, PasswordStrength, normalize_password
from auth.crypto.entropy import Entropy
from auth.outcomes import ChangePasswordOutcome, Origin, PasswordSet, TooManyAttempts, WeakPassword, WrongCredentials
from auth.use_cases.security_events import AuditLog, new_event
from auth.use_cases.sessions import Unauthenticated, revoke_sessions
from db.engine.database import Database
from db.engine.retry import retried
from db.tables import families, security_events, usernames, users
from db.tables.base import RevocationReason, SecurityEventKind, SessionState
from db.tables.families import FamilyRow, state_of
from db.tables.security_events import SecurityEventRow
from db.tables.users import UserRow


class InvalidUsername(Exception):
    """What was given cannot be a username. The message is for a person."""


class InvalidEmail(Exception):
    """What was given cannot be an e-mail address. The message is for a person."""


class UsernameTaken(Exception):
    """There is a user of that name, or of one that is compared as the same."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The use cases, with what they need."""

    db: Database
    entropy: Entropy
    audit_log: AuditLog
    hasher: Hasher
    throttle: LoginThrottle
    password_min_length: int

    async def add(self, username: str, email: str | None, password: str, now: datetime) -> UserRow | WeakPassword:
        """Make a user. Raises `UnfitUsername`, `UnfitEmail` and `UsernameTaken`."""
        name, key = clean_username(username), username_key(username)
        if name is None or key is None:
            raise InvalidUsername("A username has 1 to 128 characters, none of them invisible.")
        if email is not None and (email := clean_email(email)) is None:
            raise InvalidEmail("This cannot be an e-mail address.")
        if reason := await self._weakness(password, name):
            return WeakPassword(reason)
        return await self._add(name, key, email, await self._hash(password), now)

    @retried(idempotent=False)
    async def _add(self, name: str, key: str, email: str | None, hashed: str, now: datetime) -> UserRow:
        user = UserRow(
            id=self.entropy.id(now),
            username=name,
            email=email,
            hashed_password=hashed,
            is_active=True,
            created_at=now,
            password_changed_at=now,
        )
        async with self.db.transaction() as conn:
            if not await usernames.claim(conn, key, user.id):
                raise UsernameTaken
            await users.insert_user(conn, user)
        return user

    @retried(idempotent=True)
    async def get(self, user_id: UUID) -> UserRow | None:
        """The user, or None."""
        async with self.db.read() as conn:
            return await users.get(conn, user_id)

    @retried(idempotent=True)
    async def find_by_username(self, username: str) -> UserRow | None:
        """The user of that name, or None."""
        if (key := username_key(username)) is None:
            return None
        async with self.db.read() as conn:
            return await usernames.get_by_username_key(conn, key)

    @retried(idempotent=True)
    async def list_all(self) -> Sequence[UserRow]:
        """Every user, by name."""
        async with self.db.read() as conn:
            return await users.list_all(conn)

    @retried(idempotent=False)
    async def disable(self, user_id: UUID, now: datetime) -> int:
        """Let a user in no more, and end every session in the same transaction. Returns how many were live."""
        async with self.db.transaction() as conn:
            user = await users.lock(conn, user_id)
            if user is not None and user.is_active:
                await users.set_active(conn, user_id, is_active=False)
                disabled = new_event(self.entropy, user_id, SecurityEventKind.USER_DISABLED, now, Origin())
                await self.audit_log.record(conn, [disabled])
            return await revoke_sessions(conn, self.entropy, user_id, Origin(), now, RevocationReason.USER_DISABLED)

    @retried(idempotent=True)
    async def enable(self, user_id: UUID) -> None:
        """Let a user sign in again. What was revoked stays revoked."""
        async with self.db.transaction() as conn:
            await users.set_active(conn, user_id, is_active=True)

    @retried(idempotent=True)
    async def delete(self, user: UserRow) -> None:
        """Forget a user: sessions, where they were used from, events, the name. What was issued to them is invalid."""
        async with self.db.transaction() as conn:
            # The order of decision 25. A replay or a revocation holds a session and then checks that the user exists.
            # Of these locks only the last one keeps that check waiting, and no replay can hold a session by then.
            await users.lock(conn, user.id)
            await self.throttle.reset(conn, _key(user))
            await families.lock_all(conn, user.id)
            await users.lock_for_deletion(conn, user.id)
            await users.delete_user(conn, user.id)

    async def set_password(self, user: UserRow, password: str, now: datetime) -> PasswordSet | WeakPassword:
        """An operator sets a password: every session of the user ends with it, and no network is familiar any more."""
        if reason := await self._weakness(password, user.username):
            return WeakPassword(reason)
        hashed = await self._hash(password)
        revoked = await self._store_password(user.id, hashed, Origin(), now, current=None, verified=None)
        return PasswordSet(revoked or 0)

    async def change_password(
        self, current: FamilyRow, current_password: str, new_password: str, origin: Origin, now: datetime
    ) -> ChangePasswordOutcome:
        """Somebody sets their own password, knowing the old one: every session ends but the one they use.

        Of their familiar networks only that of the request is left.
        Raises `Unauthenticated` where that session or the user is gone, `HashingBusy` and `DatabaseUnavailable`.
        """
        with self.hasher.slot():
            return await self._change_password(current, current_password, new_password, origin, now)

    async def _change_password(
        self, current: FamilyRow, current_password: str, new_password: str, origin: Origin, now: datetime
    ) -> ChangePasswordOutcome:
        user = await self.get(current.user_id)
        if user is None:
            raise Unauthenticated  # deleted since the access token was checked
        if (given := normalize_password(current_password)) is None:
            return WrongCredentials()
        guess = await self.throttle.register_attempt(_key(user), origin.ip, now)
        if isinstance(guess, TooManyAttempts):
            return guess
        async with self.throttle.refund_on_outage(guess):
            verified = await self.hasher.verify(given, user.hashed_password)
        if not verified.matches:
            await self._record_failure(user, origin, now)
            return WrongCredentials(guess.starts_throttling, guess.locks_account)
        await self._record_success(guess)
        if reason := await self._weakness(new_password, user.username):
            return WeakPassword(reason)
        hashed = await self._hash(new_password)
        revoked = await self._store_password(
            user.id, hashed, origin, now, current=current.id, verified=user.hashed_password
        )
        return WrongCredentials() if revoked is None else PasswordSet(revoked)

    async def check_password(self, current: FamilyRow, password: str) -> PasswordStrength:
        """What a password would be worth as the next one of whoever asks. Raises `Unauthenticated`, `HashingBusy`."""
        with self.hasher.strength_check_slot(), self.hasher.slot():
            user = await self.get(current.user_id)
            if user is None:
                raise Unauthenticated
            return await self._check_strength(password, user.username)

    @retried(idempotent=False)
    async def _store_password(
        self,
        user_id: UUID,
        hashed: str,
        origin: Origin,
        now: datetime,
        *,
        current: UUID | None,
        verified: str | None,
    ) -> int | None:
        """Returns how many sessions ended, or None where the user is gone or `verified` is no longer their hash."""
        async with self.db.transaction() as conn:
            user = await users.lock(conn, user_id)
            if user is None and current is not None:
                raise Unauthenticated  # their sessions were deleted with them
            # As at sign-in: what was verified before the hashing must be what is true now.
            if user is None or (verified is not None and user.hashed_password != verified):
                return None
            if current is not None:
                family = await families.get(conn, user_id, current)
                if family is None or state_of(family, now) is not SessionState.ACTIVE:
                    raise Unauthenticated
            await users.set_password(conn, user_id, hashed, changed_at=now)
            # An operator is elsewhere: the origin of their change is not a network of the user.
            only_from = origin if current is not None else None
            await self.throttle.start_over(conn, user_id, _key(user), now, only_from=only_from)
            changed = new_event(
                self.entropy, user_id, SecurityEventKind.PASSWORD_CHANGED, now, origin, family_id=current
            )
            await self.audit_log.record(conn, [changed])
            return await revoke_sessions(
                conn, self.entropy, user_id, origin, now, RevocationReason.PASSWORD_CHANGED, except_=current
            )

    @retried(idempotent=False)
    async def _record_success(self, attempt: LoginAttempt) -> None:
        async with self.db.transaction() as conn:
            await self.throttle.record_success(conn, attempt)

    @retried(idempotent=True)
    async def unlock(self, user: UserRow) -> None:
        """Let everybody try the user's password again who has tried it too often."""
        async with self.db.transaction() as conn:
            await self.throttle.reset(conn, _key(user))

    @retried(idempotent=False)
    async def _record_failure(self, user: UserRow, origin: Origin, now: datetime) -> None:
        failure = new_event(self.entropy, user.id, SecurityEventKind.LOGIN_FAILED, now, origin)
        async with self.db.transaction() as conn:
            # Held until the event is stored, so that a deletion comes before or after both.
            if await users.lock(conn, user.id) is None:
                raise Unauthenticated
            await self.audit_log.record(conn, [failure])

    @retried(idempotent=True)
    async def events(self, user_id: UUID, *, after: UUID | None, limit: int) -> Sequence[SecurityEventRow]:
        """What happened to a user's account, newest first, from behind the event with the id `after`."""
        async with self.db.read() as conn:
            return await security_events.page(conn, user_id, after=after, limit=limit)

    async def _weakness(self, password: str, username: str) -> str | None:
        return (await self._check_strength(password, username)).weakness

    async def _check_strength(self, password: str, username: str) -> PasswordStrength:
        normalized = normalize_password(password)
        if normalized is None:
            return PasswordStrength(0, "The password is empty, or longer than 1,024 bytes.")
        return await self.hasher.check_strength(normalized, at_least=self.password_min_length, known=(username,))

    async def _hash(self, password: str) -> str:
        return await self.hasher.hash(normalize_password(password) or "")


def _key(user: UserRow) -> str:
    return username_key(user.username) or ""  # a stored name has a key
