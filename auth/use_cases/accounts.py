"""Accounts: adding and deleting users, setting passwords, disabling and unlocking, and security events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth.credentials.identifiers import clean_email, clean_username, username_key
from auth.credentials.login_throttle import LoginAttempt, LoginThrottle
from auth.credentials.password_hashing import Hasher, is_usable_hash, normalize_password
from auth.credentials.password_strength import PasswordStrength
from auth.crypto.entropy import Entropy
from auth.outcomes import (
    ChangePasswordOutcome,
    ClientInfo,
    PasswordSet,
    TooManyAttempts,
    WeakPassword,
    WrongCredentials,
)
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
    """The text cannot be a username. The message is for a person."""


class InvalidEmail(Exception):
    """The text cannot be an e-mail address. The message is for a person."""


class InvalidPasswordHash(Exception):
    """The text is not a password hash that sign-in can verify. The message is for a person."""


class UsernameTaken(Exception):
    """A user has this name, or one that compares equal to it."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The use cases and their dependencies."""

    db: Database
    entropy: Entropy
    audit_log: AuditLog
    hasher: Hasher
    throttle: LoginThrottle
    password_min_length: int

    async def add(self, username: str, email: str | None, password: str, now: datetime) -> UserRow | WeakPassword:
        """Add a user. Raises `InvalidUsername`, `InvalidEmail` and `UsernameTaken`."""
        (name, key), email = _clean_username(username), _clean_email(email)
        if reason := await self._weakness(password, name):
            return WeakPassword(reason)
        return await self._insert(name, key, email, await self._hash(password), now)

    async def import_user(self, username: str, email: str | None, password_hash: str, now: datetime) -> UserRow:
        """Add a user with a password hash of another system: argon2 or bcrypt, of bounded cost (CRED-14).

        The user's next sign-in replaces an older kind of hash with argon2id. Raises `InvalidPasswordHash`,
        `InvalidUsername`, `InvalidEmail` and `UsernameTaken`.
        """
        (name, key), email = _clean_username(username), _clean_email(email)
        if not is_usable_hash(password_hash):
            raise InvalidPasswordHash(
                "The password hash cannot be used. Give a whole hash of argon2id, argon2i or bcrypt whose cost is at "
                "most 256 MiB, 16 passes and 16 lanes (argon2) or 14 (bcrypt)."
            )
        return await self._insert(name, key, email, password_hash, now)

    @retried(idempotent=False)
    async def _insert(self, username: str, key: str, email: str | None, password_hash: str, now: datetime) -> UserRow:
        user = UserRow(
            id=self.entropy.id(now),
            username=username,
            email=email,
            hashed_password=password_hash,
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
        """Return the user, or None if the id is unknown."""
        async with self.db.read() as conn:
            return await users.get(conn, user_id)

    @retried(idempotent=True)
    async def find_by_username(self, username: str) -> UserRow | None:
        """Return the user, or None if the name is unknown."""
        if (key := username_key(username)) is None:
            return None
        async with self.db.read() as conn:
            return await usernames.get_by_username_key(conn, key)

    @retried(idempotent=True)
    async def list_all(self) -> Sequence[UserRow]:
        """Return every user, sorted by name."""
        async with self.db.read() as conn:
            return await users.list_all(conn)

    @retried(idempotent=False)
    async def disable(self, user_id: UUID, now: datetime) -> int:
        """Disable a user and revoke all their sessions in one transaction. Returns how many were live."""
        async with self.db.transaction() as conn:
            user = await users.lock(conn, user_id)
            if user is not None and user.is_active:
                await users.set_active(conn, user_id, is_active=False)
                event = new_event(self.entropy, user_id, SecurityEventKind.USER_DISABLED, now, ClientInfo())
                await self.audit_log.record(conn, [event])
            return await revoke_sessions(conn, self.entropy, user_id, ClientInfo(), now, RevocationReason.USER_DISABLED)

    @retried(idempotent=True)
    async def enable(self, user_id: UUID) -> None:
        """Let a disabled user sign in again. Their revoked sessions stay revoked."""
        async with self.db.transaction() as conn:
            await users.set_active(conn, user_id, is_active=True)

    @retried(idempotent=True)
    async def delete(self, user: UserRow) -> None:
        """Delete a user with their sessions, networks, events and name. Tokens issued to them become invalid."""
        async with self.db.transaction() as conn:
            # The lock order of decision 25. A replay or a revocation locks a session, and then checks that the user
            # exists. Only the last of these locks blocks that check, and by then no replay holds a session.
            await users.lock(conn, user.id)
            await self.throttle.reset(conn, _key_of(user))
            await families.lock_all(conn, user.id)
            await users.lock_for_deletion(conn, user.id)
            await users.delete_user(conn, user.id)

    async def set_password(self, user: UserRow, password: str, now: datetime) -> PasswordSet | WeakPassword | None:
        """Set a user's password for an operator. Revokes all their sessions and forgets their familiar networks.

        None if the user no longer exists.
        """
        if reason := await self._weakness(password, user.username):
            return WeakPassword(reason)
        new_hash = await self._hash(password)
        revoked_count = await self._store_password(user.id, new_hash, ClientInfo(), now, current=None, verified=None)
        return None if revoked_count is None else PasswordSet(revoked_count)

    async def change_password(
        self, current: FamilyRow, current_password: str, new_password: str, client: ClientInfo, now: datetime
    ) -> ChangePasswordOutcome:
        """Change the caller's own password. Revokes all their sessions except `current`.

        Of their familiar networks, only the one of the request stays. Raises `Unauthenticated` if the session or the
        user no longer exists, `HashingQueueFull` and `DatabaseUnavailable`.
        """
        with self.hasher.slot():
            return await self._change_password(current, current_password, new_password, client, now)

    async def _change_password(
        self, current: FamilyRow, current_password: str, new_password: str, client: ClientInfo, now: datetime
    ) -> ChangePasswordOutcome:
        user = await self.get(current.user_id)
        if user is None:
            raise Unauthenticated  # deleted since the access token was checked
        if (normalized := normalize_password(current_password)) is None:
            return WrongCredentials()
        attempt = await self.throttle.register_attempt(_key_of(user), client.ip, now)
        if isinstance(attempt, TooManyAttempts):
            return attempt
        async with self.throttle.refund_on_outage(attempt):
            verified = await self.hasher.verify(normalized, user.hashed_password)
        if not verified.matches:
            await self._record_failure(user, client, now)
            return WrongCredentials(attempt.starts_throttling, attempt.locks_account)
        await self._record_success(attempt)
        if reason := await self._weakness(new_password, user.username):
            return WeakPassword(reason)
        new_hash = await self._hash(new_password)
        revoked_count = await self._store_password(
            user.id, new_hash, client, now, current=current.id, verified=user.hashed_password
        )
        return WrongCredentials() if revoked_count is None else PasswordSet(revoked_count)

    async def check_password(self, current: FamilyRow, password: str) -> PasswordStrength:
        """Estimate a password as the caller's next one. Raises `Unauthenticated` and `HashingQueueFull`."""
        with self.hasher.strength_check_slot(), self.hasher.slot():
            user = await self.get(current.user_id)
            if user is None:
                raise Unauthenticated
            return await self._check_strength(password, user.username)

    @retried(idempotent=False)
    async def _store_password(
        self,
        user_id: UUID,
        new_hash: str,
        client: ClientInfo,
        now: datetime,
        *,
        current: UUID | None,
        verified: str | None,
    ) -> int | None:
        """Store a hash and revoke all sessions except `current`. Returns how many.

        None if the user no longer exists, or if `verified`, the hash that was checked, is no longer theirs.
        """
        async with self.db.transaction() as conn:
            user = await users.lock(conn, user_id)
            if user is None and current is not None:
                raise Unauthenticated  # their sessions were deleted with them
            # As at sign-in: while this request hashed, another request may have set a new password.
            if user is None or (verified is not None and user.hashed_password != verified):
                return None
            if current is not None:
                family = await families.get(conn, user_id, current)
                if family is None or state_of(family, now) is not SessionState.ACTIVE:
                    raise Unauthenticated
            await users.set_password(conn, user_id, new_hash, changed_at=now)
            # If an operator set it, the request's network is not one of the user's.
            only_from = client if current is not None else None
            await self.throttle.forget_after_new_password(conn, user_id, _key_of(user), now, only_from=only_from)
            event = new_event(self.entropy, user_id, SecurityEventKind.PASSWORD_CHANGED, now, client, family_id=current)
            await self.audit_log.record(conn, [event])
            return await revoke_sessions(
                conn, self.entropy, user_id, client, now, RevocationReason.PASSWORD_CHANGED, except_=current
            )

    @retried(idempotent=False)
    async def _record_success(self, attempt: LoginAttempt) -> None:
        async with self.db.transaction() as conn:
            await self.throttle.record_success(conn, attempt)

    @retried(idempotent=True)
    async def unlock(self, user: UserRow) -> None:
        """Forget the failed login attempts under a user's name, from every network."""
        async with self.db.transaction() as conn:
            await self.throttle.reset(conn, _key_of(user))

    @retried(idempotent=False)
    async def _record_failure(self, user: UserRow, client: ClientInfo, now: datetime) -> None:
        event = new_event(self.entropy, user.id, SecurityEventKind.LOGIN_FAILED, now, client)
        async with self.db.transaction() as conn:
            # The lock orders this against a deletion of the user: no event is stored for a user who does not exist.
            if await users.lock(conn, user.id) is None:
                raise Unauthenticated
            await self.audit_log.record(conn, [event])

    @retried(idempotent=True)
    async def events(self, user_id: UUID, *, after: UUID | None, limit: int) -> Sequence[SecurityEventRow]:
        """Return a user's security events, newest first, starting after the event with the id `after`."""
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


def _clean_username(username: str) -> tuple[str, str]:
    """Return the name in its stored form, and the key it is compared by."""
    name, key = clean_username(username), username_key(username)
    if name is None or key is None:
        raise InvalidUsername("The username is not valid. Use 1 to 128 characters, none of them invisible.")
    return name, key


def _clean_email(email: str | None) -> str | None:
    if email is not None and (email := clean_email(email)) is None:
        raise InvalidEmail("The e-mail address is not valid. Use the form name@example.org.")
    return email


def _key_of(user: UserRow) -> str:
    return username_key(user.username) or ""  # every stored username has a key
