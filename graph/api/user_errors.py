"""Errors that clients should expect: members of the result unions. The type of an error is its code."""

from typing import Self

import strawberry


@strawberry.interface(description="An error that a client should expect and handle. Its type is its code.")
class UserError:
    text: strawberry.Private[str]

    # A resolver on the interface, so that the types that implement it share its description.
    @strawberry.field(description="A sentence for the user. Match on the type, not on this text.")
    def message(self) -> str:
        return self.text


@strawberry.type(description="The username or the password is wrong. The API does not disclose which.")
class InvalidCredentialsError(UserError):
    text: strawberry.Private[str] = "The username or the password is wrong."


@strawberry.type(description="The rate limit of this account, of this address or of this session is reached.")
class TooManyAttemptsError(UserError):
    retry_after: int = strawberry.field(description="Seconds to wait before the next attempt.")

    @classmethod
    def after(cls, seconds: int) -> Self:
        """Return the error for an attempt that may be repeated after this many seconds."""
        return cls(text=f"Too many attempts. Try again in {_format_duration(seconds)}.", retry_after=seconds)


@strawberry.type(description="The token is not a refresh token of this server, or its session is no longer stored.")
class InvalidRefreshTokenError(UserError):
    text: strawberry.Private[str] = "The refresh token is not valid. Sign in again."


@strawberry.type(description="The session expired: the token was not used in time, or the session reached its limit.")
class RefreshTokenExpiredError(UserError):
    text: strawberry.Private[str] = "The session has expired. Sign in again."


@strawberry.type(description="The token was already rotated. Its session is now revoked.")
class RefreshTokenReplayedError(UserError):
    text: strawberry.Private[str] = (
        "This refresh token was already used, so another party may have a copy of it. "
        "The session is revoked. Sign in again."
    )


@strawberry.type(description="The token's session is revoked.")
class SessionRevokedError(UserError):
    text: strawberry.Private[str] = "The session is revoked. Sign in again."


@strawberry.type(description="The viewer has no session with this ID.")
class SessionNotFoundError(UserError):
    text: strawberry.Private[str] = "You have no session with this ID."


@strawberry.type(description="The new password is too short, too long or too weak.")
class WeakPasswordError(UserError):
    pass


def _format_duration(seconds: int) -> str:
    count, unit = (seconds, "second") if seconds < 120 else (-(-seconds // 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
