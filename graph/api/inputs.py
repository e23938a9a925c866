"""Input types of the mutations, and checks of their values."""

import re
from enum import Enum
from uuid import UUID

import strawberry

from auth.credentials.identifiers import clean_device_name
from graph.execution.strawberry_internals import flat_input
from graph.problems import BadUserInput

# Printable ASCII, so that a key is the same text in a GraphQL string and in an HTTP header.
IDEMPOTENCY_KEY = r"^[\x21-\x7e]{16,128}$"
BAD_IDEMPOTENCY_KEY = "The idempotency key is invalid. Use 16 to 128 printable ASCII characters without spaces."


def check_idempotency_key(key: str | None) -> str | None:
    """Return the key, or None if there is none. Raises `BadUserInput`."""
    if key is not None and not re.fullmatch(IDEMPOTENCY_KEY, key):
        raise BadUserInput(BAD_IDEMPOTENCY_KEY)
    return key


def check_device_name(name: str) -> str:
    """Return a device's name in the form that is stored. Raises `BadUserInput`."""
    cleaned = clean_device_name(name)
    if cleaned is None:
        raise BadUserInput("The device name is invalid. Use 1 to 100 characters, none of them invisible.")
    return cleaned


def parse_id(text: str) -> UUID | None:
    """Return the ID; None for text that is no ID, or spells one differently than the API does."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None


@strawberry.enum(description="How a session's refresh token is delivered.")
class TokenDelivery(Enum):
    BODY = strawberry.enum_value("BODY", description="In the response body. The client stores it.")
    COOKIE = strawberry.enum_value(
        "COOKIE",
        description="In a cookie that scripts cannot read, and never in a response body. For browsers. The request "
        "needs the header `Kindred-Delivery: cookie`.",
    )


@flat_input
@strawberry.input(description="The user's credentials, and the name of their device.")
class LoginInput:
    username: str = strawberry.field(description="The username.")
    password: str = strawberry.field(description="The password.")
    device_name: str | None = strawberry.field(
        default=None, description="The session's name in the list of sessions, such as `Work laptop`."
    )
    delivery: TokenDelivery = strawberry.field(
        default=TokenDelivery.BODY, description="How the session's refresh token is delivered."
    )


@flat_input
@strawberry.input(description="The refresh token to exchange, and the attempt's idempotency key.")
class RefreshTokenInput:
    refresh_token: str | None = strawberry.field(
        default=None, description="The session's current refresh token. Null if it is in the cookie."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description=(
            "A random value of 16 to 128 characters. Generate it and store it with the token before you send the\n"
            "request. If the response is lost, send the same token with the same key again: the response has the same\n"
            "successor. The same token with another key, or without one, is a replay."
        ),
    )


@flat_input
@strawberry.input(
    one_of=True,
    description="Exactly one of: the ID of a session of the viewer, or any refresh token of the session. "
    "A refresh token needs no access token.",
)
class RevokeSessionInput:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The ID of a session of the viewer."
    )
    refresh_token: str | None = strawberry.field(
        default=strawberry.UNSET, description="Any refresh token of the session, current or rotated."
    )


@flat_input
@strawberry.input(description="The current and the new password.")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="The viewer's current password.")
    new_password: str = strawberry.field(description="The new password: at most 1,024 bytes, and strong enough.")


@flat_input
@strawberry.input(description="A password to check.")
class CheckPasswordInput:
    new_password: str = strawberry.field(description="The password that the viewer may choose.")


@flat_input
@strawberry.input(description="A session and its new name.")
class RenameSessionInput:
    id: strawberry.ID = strawberry.field(description="The ID of a session of the viewer.")
    device_name: str = strawberry.field(description="The name in the list of sessions: 1 to 100 characters.")
