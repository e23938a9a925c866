"""What can be given, and what of it has no meaning."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar, cast
from uuid import UUID

import strawberry
from strawberry.types.arguments import InputContext
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.utils.str_converters import to_camel_case

from auth.credentials.identifiers import clean_device_name
from graph.execution.error_masking import BadUserInput

# Printable ASCII, so that a key is the same in a GraphQL string and in an HTTP header.
IDEMPOTENCY_KEY = r"^[\x21-\x7e]{16,128}$"
BAD_IDEMPOTENCY_KEY = "An idempotency key has 16 to 128 printable ASCII characters and no spaces."


def check_idempotency_key(key: str | None) -> str | None:
    """The key as it may be, or None where there is none; raises `BadUserInput`."""
    if key is not None and not re.fullmatch(IDEMPOTENCY_KEY, key):
        raise BadUserInput(BAD_IDEMPOTENCY_KEY)
    return key


def check_device_name(name: str) -> str:
    """A device's name as it is stored; raises `BadUserInput`."""
    cleaned = clean_device_name(name)
    if cleaned is None:
        raise BadUserInput("A device's name has 1 to 100 characters, none of them invisible.")
    return cleaned


def parse_id(text: str) -> UUID | None:
    """The id, in the one spelling that the API gives out; None for what can be the id of nothing."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None


@strawberry.enum(description="How a session's refresh token travels.")
class TokenDelivery(Enum):
    BODY = strawberry.enum_value("BODY", description="In the body of answers, for the client to keep.")
    COOKIE = strawberry.enum_value(
        "COOKIE",
        description="In a cookie that no script can read, and never in a body. For pages; the request needs the header "
        "`Kindred-Delivery: cookie`.",
    )


T = TypeVar("T")


def flat_input(kind: type[T]) -> type[T]:
    """An input without others in it. graphql-core has made every value what it should be: nothing is left to convert.

    Strawberry's own conversion asks what each type is each time, a twentieth of a refresh.
    """
    definition = cast(StrawberryObjectDefinition, kind.__strawberry_definition__)  # type: ignore[attr-defined]
    names = {field.graphql_name or to_camel_case(field.python_name): field.python_name for field in definition.fields}

    def build(kind: type, given: Mapping[str, Any], _context: InputContext) -> Any:
        return kind(**{names[name]: value for name, value in given.items()})

    definition.from_input = build
    return kind


@flat_input
@strawberry.input(description="Who signs in, and on what.")
class LoginInput:
    username: str = strawberry.field(description="The name the person signs in with.")
    password: str = strawberry.field(description="The person's password.")
    device_name: str | None = strawberry.field(
        default=None, description="What to call this session in the list, such as `Work laptop`."
    )
    delivery: TokenDelivery = strawberry.field(
        default=TokenDelivery.BODY, description="How the session's refresh token travels."
    )


@flat_input
@strawberry.input(description="The token to exchange, and the name of the attempt.")
class RefreshTokenInput:
    refresh_token: str | None = strawberry.field(
        default=None, description="The session's current refresh token. Null where it is in the cookie."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description=(
            "A value the client makes up before it sends the request, stores beside the token and sends again if no\n"
            "answer came: 16 to 128 characters, hard to guess. The same token with the same key yields the same\n"
            "successor, so a lost answer costs nothing; with any other key, or none, it is a replay."
        ),
    )


@flat_input
@strawberry.input(
    one_of=True,
    description="Exactly one: the ID of a session of the viewer, or any refresh token of the session, "
    "which needs no access token.",
)
class RevokeSessionInput:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The ID of a session of the viewer."
    )
    refresh_token: str | None = strawberry.field(
        default=strawberry.UNSET, description="Any refresh token of the session, current or not."
    )


@flat_input
@strawberry.input(description="The password as it is, and as it shall be.")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="The viewer's password as it is.")
    new_password: str = strawberry.field(description="What it shall be: hard to guess, at most 1,024 bytes.")


@flat_input
@strawberry.input(description="A password to judge.")
class CheckPasswordInput:
    new_password: str = strawberry.field(description="What the viewer may choose as the next one.")


@flat_input
@strawberry.input(description="A session, and what to call it.")
class RenameSessionInput:
    id: strawberry.ID = strawberry.field(description="The ID of a session of the viewer.")
    device_name: str = strawberry.field(description="What to call it in the list: 1 to 100 characters.")
