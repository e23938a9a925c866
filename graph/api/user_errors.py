"""The refusals that are members of a result. Their type is their code."""

from typing import Self

import strawberry


@strawberry.interface(description="A refusal that a client should expect and handle. Its type is its code.")
class UserError:
    text: strawberry.Private[str]

    # A resolver on the interface, so that the types that implement it share its description.
    @strawberry.field(description="A sentence for a person. Match on the type, not on this.")
    def message(self) -> str:
        return self.text


@strawberry.type(description="The username or the password is wrong; which of them is not said.")
class InvalidCredentialsError(UserError):
    text: strawberry.Private[str] = "The username or the password is wrong."


@strawberry.type(description="Too many attempts for this account or from this address.")
class TooManyAttemptsError(UserError):
    retry_after: int = strawberry.field(description="Seconds to wait.")

    @classmethod
    def after(cls, seconds: int) -> Self:
        """The refusal that asks to wait for so long."""
        return cls(text=f"Too many attempts. Try again in {_format_duration(seconds)}.", retry_after=seconds)


@strawberry.type(description="Not a refresh token of this server, or no longer one it can tell anything about.")
class InvalidRefreshTokenError(UserError):
    text: strawberry.Private[str] = "This is not a valid refresh token. Sign in again."


@strawberry.type(description="The token was issued here, and was not used in time.")
class RefreshTokenExpiredError(UserError):
    text: strawberry.Private[str] = "The session was not used in time and has expired. Sign in again."


@strawberry.type(description="The token had been rotated already. Its session has been ended.")
class RefreshTokenReplayedError(UserError):
    text: strawberry.Private[str] = (
        "This refresh token had been used already, so somebody else may hold a copy of it. "
        "The session has been ended. Sign in again."
    )


@strawberry.type(description="The token's session had been ended.")
class SessionRevokedError(UserError):
    text: strawberry.Private[str] = "The session has been ended. Sign in again."


@strawberry.type(description="The viewer has no session with this ID.")
class SessionNotFoundError(UserError):
    text: strawberry.Private[str] = "You have no session with this ID."


@strawberry.type(description="The new password is too short or too easy to guess.")
class WeakPasswordError(UserError):
    pass


def _format_duration(seconds: int) -> str:
    count, unit = (seconds, "second") if seconds < 120 else (-(-seconds // 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
