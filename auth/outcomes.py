"""What can come of a use case. Typed once here; each door maps it once.

A refusal is an outcome and no exception: it is returned, so that whatever it wrote is committed.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db.tables.families import FamilyRow
from db.tables.users import UserRow


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, cut to what the store holds. None for what is not known."""

    ip: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The credentials of a session."""

    access_token: str
    access_token_expires_at: datetime
    expires_in: int  # seconds
    refresh_token: str
    refresh_token_expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    tokens: TokenPair
    family: FamilyRow
    user: UserRow


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """No such user, a wrong password, or a disabled user: nobody is told which.

    What the throttle makes of it is for the log, and for no client.
    """

    starts_throttling: bool = False
    locks_account: bool = False


@dataclass(frozen=True, slots=True)
class TooManyAttempts:
    """Nothing was looked at, so nothing is said of whether it was right."""

    retry_after: int  # seconds


@dataclass(frozen=True, slots=True)
class Rotated:
    """The presented token was exchanged for its successor, now or when the same attempt came before."""

    tokens: TokenPair
    family: FamilyRow
    # Whether it was before: for the log, and for no client.
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Invalid:
    """Not a refresh token of this service, or of a family it no longer knows."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The token's family reached a limit."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Revoked:
    """The token's family had been ended."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Replayed:
    """The token had been rotated already. Its family has been ended."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class StoreBehind:
    """The store knows less than the signed token proves: rotations, or the sign-in, are missing from it.

    A failover, a restored backup or a commit that is not yet visible does that; no thief can. Nothing was changed, so
    the answer is 503: once the store has caught up, the same token works.
    """

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class RevokedSession:
    """A session is at its end, now or since before."""

    family: FamilyRow


@dataclass(frozen=True, slots=True)
class NotFound:
    """The viewer has no session with this id."""


@dataclass(frozen=True, slots=True)
class PasswordSet:
    revoked_count: int


@dataclass(frozen=True, slots=True)
class WeakPassword:
    reason: str


LoginOutcome = SignedIn | WrongCredentials | TooManyAttempts
RefreshOutcome = Rotated | Invalid | Expired | Revoked | Replayed | StoreBehind | TooManyAttempts
RevokeOutcome = RevokedSession | NotFound | Invalid
ChangePasswordOutcome = PasswordSet | WrongCredentials | WeakPassword | TooManyAttempts
