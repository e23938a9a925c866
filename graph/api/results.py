"""What comes of each mutation: success, or one of the refusals that a client should expect."""

from typing import Annotated

import strawberry

from graph.api.types import Session, TokenPair, User
from graph.api.user_errors import (
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    RefreshTokenExpiredError,
    RefreshTokenReplayedError,
    SessionNotFoundError,
    SessionRevokedError,
    TooManyAttemptsError,
    WeakPasswordError,
)


def _outcome_of(mutation: str) -> str:
    return f"The outcome of `{mutation}`. Match `... on UserError` too: members may be added."


@strawberry.type(description="The person is signed in.")
class LoginSuccess:
    tokens: TokenPair = strawberry.field(description="The credentials of the new session.")
    session: Session = strawberry.field(description="The new session.")
    viewer: User = strawberry.field(description="The person who signed in.")


LoginResult = Annotated[
    LoginSuccess | InvalidCredentialsError | TooManyAttemptsError,
    strawberry.union("LoginResult", description=_outcome_of("login")),
]


@strawberry.type(description="The token was exchanged for its successor.")
class RefreshTokenSuccess:
    tokens: TokenPair = strawberry.field(description="The session's new credentials.")
    session: Session = strawberry.field(description="The session.")


RefreshTokenResult = Annotated[
    RefreshTokenSuccess
    | InvalidRefreshTokenError
    | RefreshTokenExpiredError
    | RefreshTokenReplayedError
    | SessionRevokedError
    | TooManyAttemptsError,
    strawberry.union("RefreshTokenResult", description=_outcome_of("refreshToken")),
]


@strawberry.type(description="The session is at its end.")
class RevokeSessionSuccess:
    session: Session = strawberry.field(description="The session, as it now is.")


RevokeSessionResult = Annotated[
    RevokeSessionSuccess | SessionNotFoundError | InvalidRefreshTokenError,
    strawberry.union("RevokeSessionResult", description=_outcome_of("revokeSession")),
]


@strawberry.type(description="Several sessions were ended.")
class RevokeSessionsPayload:
    revoked_count: int = strawberry.field(description="How many sessions were active and now are not.")


@strawberry.type(description="The password was changed.")
class ChangePasswordSuccess:
    revoked_count: int = strawberry.field(description="How many other sessions were ended.")


ChangePasswordResult = Annotated[
    ChangePasswordSuccess | InvalidCredentialsError | WeakPasswordError | TooManyAttemptsError,
    strawberry.union("ChangePasswordResult", description=_outcome_of("changePassword")),
]


@strawberry.type(description="The session has its new name.")
class RenameSessionSuccess:
    session: Session = strawberry.field(description="The session, as it now is.")


RenameSessionResult = Annotated[
    RenameSessionSuccess | SessionNotFoundError,
    strawberry.union("RenameSessionResult", description=_outcome_of("renameSession")),
]
