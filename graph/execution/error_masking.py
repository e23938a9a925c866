"""Top-level errors: what is said of a request that could not be answered, and what is not."""

import logging
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from graphql import GraphQLError, GraphQLSyntaxError

from auth.clock_agreement import ClocksDiffer
from auth.credentials.password_hashing import HashingQueueFull
from auth.use_cases.sessions import Unauthenticated
from db.drivers.errors import DatabaseUnavailable
from graph.execution.limits import MAX_ERRORS, IntrospectionDisabled, LimitExceeded, TooManyMutations

logger = logging.getLogger("kindred")

RETRY_AFTER = 1  # seconds
INTERNAL_ERROR = "Something went wrong here. It has been logged."


class Code(StrEnum):
    """`extensions.code` of a top-level error."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    BAD_REQUEST = "BAD_REQUEST"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"
    PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"


STATUS = {Code.UNAUTHENTICATED: 401, Code.FORBIDDEN: 403, Code.UNAVAILABLE: 503}

# Of several codes in one answer, the last of these is what the log tells.
_BY_SEVERITY = (Code.BAD_USER_INPUT, Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.UNAVAILABLE, Code.INTERNAL)

AUTHENTICATION_REQUIRED = "Sign in first, and send the access token as `Authorization: Bearer`."
ACCESS_TOKEN_REJECTED = "The access token is invalid or has expired, or its session has been ended."
UNAVAILABLE = "The service cannot answer right now. Try again in a moment."


class BadUserInput(Exception):
    """An argument that no value of its type should have. The message is for a developer, and does not repeat it."""


class Forbidden(Exception):
    """A cookie came more than once, or with a request that no page of ours meant to send.

    The message is for a developer.
    """


def severity(code: Code) -> int:
    """How grave an error with that code is, among others in one answer."""
    return _BY_SEVERITY.index(code) + 1 if code in _BY_SEVERITY else 0


def is_outage(error: BaseException | None) -> bool:
    """Whether the same request may be answered a moment later."""
    return isinstance(error, DatabaseUnavailable | HashingQueueFull)


def log_outage(error: Exception) -> None:
    """Log why a request got 503: by the name of the cause alone, as its text may have the database's address."""
    why = str(error) if isinstance(error, ClocksDiffer) else type(error.__cause__ or error).__name__
    logger.warning("unavailable: %s", why)


def describe(
    error: GraphQLError, *, error_id: UUID, anonymous: bool, introspection_enabled: bool
) -> tuple[Code, dict[str, Any]]:
    """An error as it is answered. What is not meant for the caller is logged under `incident`, and masked.

    With `introspection_enabled` False no name of the schema is told that the document does not have.
    """
    cause = error.original_error
    extensions: dict[str, Any] = {}
    match cause:
        case Unauthenticated():
            code, message = Code.UNAUTHENTICATED, AUTHENTICATION_REQUIRED if anonymous else ACCESS_TOKEN_REJECTED
        case Forbidden():
            code, message = Code.FORBIDDEN, str(cause)
        case BadUserInput():
            code, message = Code.BAD_USER_INPUT, str(cause)
        case None if isinstance(error, GraphQLSyntaxError):
            code, message = Code.PARSE_FAILED, _FOUND.sub(r"\1", error.message)
        case None if isinstance(error, LimitExceeded):
            code, message = Code.LIMIT_EXCEEDED, error.message
        case None if isinstance(error, TooManyMutations | IntrospectionDisabled):
            code, message = Code.VALIDATION_FAILED, error.message
        case None | GraphQLError():
            code, message = _of_the_document(error)
            message = message if introspection_enabled else GENERIC_MESSAGES[code]
        case ValueError() if error.path is None:
            # Of a number with thousands of digits Python makes no `int`; nothing was executed, so it is no bug of ours.
            code = Code.BAD_USER_INPUT
            message = GENERIC_MESSAGES[code]
        case _ if is_outage(cause):
            code, message = Code.UNAVAILABLE, UNAVAILABLE
            log_outage(cause)
        case _:
            code, message = Code.INTERNAL, "Something went wrong here. It has been logged under this ID."
            extensions["id"] = str(error_id)
            logger.error("internal error %s", error_id, exc_info=cause)
    answer: dict[str, Any] = {"message": message, "extensions": {"code": code.value} | extensions}
    if error.locations:
        answer["locations"] = [location.formatted for location in error.locations]
    if error.path:
        answer["path"] = error.path
    return code, answer


# graphql-core repeats the value that it could not take, and what was put in the wrong place may be a password.
_REPEATED = re.compile(
    r"(?s)(?<=value): (?!(?:Enum '\w+'|\w+) cannot represent).*|, found:? .*|(?<=Value) '.*'(?= does not exist in)"
)
_ABOUT_A_VALUE = re.compile(
    r"Variable '\$?\w+' (?!is )|OneOf Input Object|Expected value of|Value for member field"
    r"|Field '\w+\.\w+' must be non-null"
)
# The same where the syntax is wrong; the place of it is told beside the message.
_FOUND = re.compile(r"(?s)\b(Name|Int|Float|String|BlockString|sequence)(?: |: )'.*'")


def _of_the_document(error: GraphQLError) -> tuple[Code, str]:
    message = _REPEATED.sub("", error.message)
    about_a_value = message != error.message or _ABOUT_A_VALUE.match(message) is not None
    return Code.BAD_USER_INPUT if about_a_value else Code.VALIDATION_FAILED, message.rstrip(".") + "."


# Even what a name has to have besides would tell of the schema (GQL-11).
GENERIC_MESSAGES = {
    Code.VALIDATION_FAILED: "The document does not fit the schema.",
    Code.BAD_USER_INPUT: "A variable or an argument does not fit its type.",
}


def describe_all(
    errors: Sequence[GraphQLError], *, new_error_id: UUID, anonymous: bool, introspection_enabled: bool
) -> tuple[set[Code], list[Any]]:
    """The first few errors as they are answered, and the codes that are among all of them."""
    described = [
        describe(error, error_id=new_error_id, anonymous=anonymous, introspection_enabled=introspection_enabled)
        for error in errors
    ]
    return {code for code, _ in described}, [answer for _, answer in described[:MAX_ERRORS]]
