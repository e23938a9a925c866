"""Every result that a use case returns. GraphQL and REST each map them once.

A refusal is returned, not raised, so that what it wrote is committed.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db.tables.families import FamilyRow
from db.tables.users import UserRow


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Where a request came from, cut to the lengths that the database stores. None for what is not known."""

    ip: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The credentials of a session: an access token and a refresh token."""

    access_token: str
    access_token_expires_at: datetime
    expires_in: int  # seconds
    refresh_token: str
    refresh_token_expires_at: datetime


# Sign-in and password checks.


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The password was right. A new session is open."""

    tokens: TokenPair
    family: FamilyRow
    user: UserRow


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """No such user, a wrong password, or a disabled user. The answer does not say which.

    The two flags are for the log only.
    """

    starts_throttling: bool = False
    locks_account: bool = False


@dataclass(frozen=True, slots=True)
class TooManyAttempts:
    """The attempt was refused before anything was checked, so it does not tell whether it was right."""

    retry_after: int  # seconds


@dataclass(frozen=True, slots=True)
class PasswordSet:
    """The new password is stored."""

    revoked_count: int  # sessions


@dataclass(frozen=True, slots=True)
class WeakPassword:
    """The new password is too weak. `reason` is a sentence for the user."""

    reason: str


# Refreshing a session. The names are those of the rule (auth/use_cases/rotation.py).


@dataclass(frozen=True, slots=True)
class Rotated:
    """The presented token was exchanged for its successor, by this request or an earlier one of the same attempt."""

    tokens: TokenPair
    family: FamilyRow
    # Whether it was an earlier one: for the log only.
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Invalid:
    """Not a refresh token of this service, or one of a session that the service no longer knows."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The token's session reached its idle limit or its absolute limit."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Revoked:
    """The token's session was revoked before this request."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Replayed:
    """The token had been rotated already, so two parties hold it. This request revoked its session."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class StoreBehind:
    """The signed token proves a rotation, or a sign-in, that the database does not have.

    A failover, a restored backup or a commit that is not yet visible causes this; an attacker cannot. Nothing was
    changed and the answer is 503: once the database has caught up, the same token works.
    """

    user_id: UUID
    session_id: UUID


# Revoking a session.


@dataclass(frozen=True, slots=True)
class RevokeSucceeded:
    """The session is revoked, by this call or an earlier one, or it has expired."""

    family: FamilyRow


@dataclass(frozen=True, slots=True)
class NotFound:
    """The user has no session with this id."""


LoginOutcome = SignedIn | WrongCredentials | TooManyAttempts
ChangePasswordOutcome = PasswordSet | WrongCredentials | WeakPassword | TooManyAttempts
RefreshOutcome = Rotated | Invalid | Expired | Revoked | Replayed | StoreBehind | TooManyAttempts
RevokeOutcome = RevokeSucceeded | NotFound | Invalid
Outcome = LoginOutcome | RefreshOutcome | RevokeOutcome | ChangePasswordOutcome
