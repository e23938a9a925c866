"""Results of the mutations: success, or an error that a client should expect."""

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


def _result_of(mutation: str) -> str:
    return f"The result of `{mutation}`. Also match `... on UserError`: later versions may add members."


@strawberry.type(description="The user is signed in.")
class LoginSuccess:
    tokens: TokenPair = strawberry.field(description="The tokens of the new session.")
    session: Session = strawberry.field(description="The new session.")
    viewer: User = strawberry.field(description="The user who signed in.")


LoginResult = Annotated[
    LoginSuccess | InvalidCredentialsError | TooManyAttemptsError,
    strawberry.union("LoginResult", description=_result_of("login")),
]


@strawberry.type(description="The token was exchanged for its successor.")
class RefreshTokenSuccess:
    tokens: TokenPair = strawberry.field(description="The session's new tokens.")
    session: Session = strawberry.field(description="The session.")


RefreshTokenResult = Annotated[
    RefreshTokenSuccess
    | InvalidRefreshTokenError
    | RefreshTokenExpiredError
    | RefreshTokenReplayedError
    | SessionRevokedError
    | TooManyAttemptsError,
    strawberry.union("RefreshTokenResult", description=_result_of("refreshToken")),
]


@strawberry.type(description="The session is revoked, by this call or an earlier one.")
class RevokeSessionSuccess:
    session: Session = strawberry.field(description="The session after the change.")


RevokeSessionResult = Annotated[
    RevokeSessionSuccess | SessionNotFoundError | InvalidRefreshTokenError,
    strawberry.union("RevokeSessionResult", description=_result_of("revokeSession")),
]


@strawberry.type(description="The sessions are revoked.")
class RevokeSessionsPayload:
    revoked_count: int = strawberry.field(description="How many active sessions this call revoked.")


@strawberry.type(description="The password is changed.")
class ChangePasswordSuccess:
    revoked_count: int = strawberry.field(description="How many other sessions this call revoked.")


ChangePasswordResult = Annotated[
    ChangePasswordSuccess | InvalidCredentialsError | WeakPasswordError | TooManyAttemptsError,
    strawberry.union("ChangePasswordResult", description=_result_of("changePassword")),
]


@strawberry.type(description="The session is renamed.")
class RenameSessionSuccess:
    session: Session = strawberry.field(description="The session after the change.")


RenameSessionResult = Annotated[
    RenameSessionSuccess | SessionNotFoundError,
    strawberry.union("RenameSessionResult", description=_result_of("renameSession")),
]
