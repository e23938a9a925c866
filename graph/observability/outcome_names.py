"""The name of each outcome in logs and metrics, and its events in the OWASP logging vocabulary.

https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
"""

from datetime import datetime
from typing import assert_never
from uuid import UUID

from auth.outcomes import (
    Expired,
    Invalid,
    NotFound,
    Outcome,
    PasswordSet,
    Replayed,
    Revoked,
    RevokeSucceeded,
    Rotated,
    SignedIn,
    StoreBehind,
    TooManyAttempts,
    WeakPassword,
    WrongCredentials,
)

Events = tuple[str, ...]
# The name, the events, and the IDs of the user and the session if they are known.
LogEntry = tuple[str, Events, tuple[UUID, UUID] | None]

# By the code of an error, for a request without the outcome of a use case.
BY_CODE: dict[str, tuple[str, Events]] = {
    "OK": ("ok", ()),
    "UNAUTHENTICATED": ("unauthenticated", ("authz_fail",)),
    "FORBIDDEN": ("forbidden", ("authz_fail",)),
    "UNAVAILABLE": ("unavailable", ()),
    "INTERNAL": ("failed", ()),
    "CUT_OFF": ("cut_off", ()),
    "BAD_USER_INPUT": ("refused", ("input_validation_fail",)),
}
_BY_OUTCOME: dict[type, tuple[str, Events]] = {
    Invalid: ("invalid", ("authz_fail",)),
    Expired: ("expired", ("session_expired",)),
    Revoked: ("revoked", ("session_use_after_expire",)),
    Replayed: ("replayed", ("authn_token_reuse",)),
    # Not in the OWASP vocabulary.
    StoreBehind: ("store_behind", ("store_behind",)),
    TooManyAttempts: ("throttled", ("excess_rate_limit_exceeded",)),
    NotFound: ("not_found", ("authz_fail",)),
    PasswordSet: ("password_set", ("authn_password_change",)),
    WeakPassword: ("weak_password", ("authn_password_change_fail",)),
}


def log_entry_for(outcome: Outcome, operation: tuple[str, ...], now: datetime) -> LogEntry:
    """Return the log entry for the outcome of a use case."""
    match outcome:
        case Rotated(_, family, repeated):
            # A repeated response carries the tokens that the first one created.
            events: Events = () if repeated else ("authn_token_created",)
            return "repeated" if repeated else "rotated", events, (family.user_id, family.id)
        case SignedIn(_, family, _):
            return "signed_in", ("authn_login_success", "authn_token_created"), (family.user_id, family.id)
        case WrongCredentials(starts_throttling, locks_account):
            failure = "authn_password_change_fail" if operation == ("changePassword",) else "authn_login_fail"
            limits = ("authn_login_lock",) if locks_account else ("authn_login_fail_max",) if starts_throttling else ()
            return "wrong_credentials", (failure, *limits), None
        case RevokeSucceeded(family):
            # Not for a session that had expired or was revoked before.
            was_active = family.revoked_at == now and family.expires_at > now
            events = ("authn_token_revoked",) if was_active else ()
            return "revoked", events, (family.user_id, family.id)
        case (
            Expired(user_id, session_id)
            | Revoked(user_id, session_id)
            | Replayed(user_id, session_id)
            | StoreBehind(user_id, session_id)
        ):
            return *_BY_OUTCOME[type(outcome)], (user_id, session_id)
        case Invalid() | TooManyAttempts() | NotFound() | PasswordSet() | WeakPassword():
            return *_BY_OUTCOME[type(outcome)], None
        case _:
            assert_never(outcome)
