"""What an outcome is called in logs and metrics, and which events of the OWASP logging vocabulary it is.

Each outcome is named here once, for all doors. https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from auth.outcomes import (
    Expired,
    Invalid,
    NotFound,
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
# What it is called, its events, and whose session it was where that is known.
LogEntry = tuple[str, Events, tuple[UUID, UUID] | None]

# By the code of an error, where no use case came to an outcome.
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
    # The vocabulary has no word for it.
    StoreBehind: ("store_behind", ("store_behind",)),
    TooManyAttempts: ("throttled", ("excess_rate_limit_exceeded",)),
    NotFound: ("not_found", ("authz_fail",)),
    PasswordSet: ("password_set", ("authn_password_change",)),
    WeakPassword: ("weak_password", ("authn_password_change_fail",)),
}


def log_entry_for(outcome: Any, operation: tuple[str, ...], now: datetime) -> LogEntry:
    """The meaning of an outcome of a use case."""
    match outcome:
        case Rotated(_, family, repeated):
            # A successor that is answered a second time was created the first time.
            events: Events = () if repeated else ("authn_token_created",)
            return "repeated" if repeated else "rotated", events, (family.user_id, family.id)
        case SignedIn(_, family, _):
            return "signed_in", ("authn_login_success", "authn_token_created"), (family.user_id, family.id)
        case WrongCredentials(begins_waits, locks):
            fail = "authn_password_change_fail" if operation == ("changePassword",) else "authn_login_fail"
            more = ("authn_login_lock",) if locks else ("authn_login_fail_max",) if begins_waits else ()
            return "wrong_credentials", (fail, *more), None
        case RevokeSucceeded(family):
            was_live = family.revoked_at == now and family.expires_at > now
            events = ("authn_token_revoked",) if was_live else ()
            return "revoked", events, (family.user_id, family.id)
        case (
            Expired(user_id, session_id)
            | Revoked(user_id, session_id)
            | Replayed(user_id, session_id)
            | StoreBehind(user_id, session_id)
        ):
            return *_BY_OUTCOME[type(outcome)], (user_id, session_id)
        case _:
            return *_BY_OUTCOME[type(outcome)], None
