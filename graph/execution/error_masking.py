"""Top-level errors of a response: which code and message a client sees, and what only the log gets."""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from graphql import GraphQLError, GraphQLSyntaxError

from auth.clock_agreement import ClocksDiffer
from auth.credentials.password_hashing import HashingQueueFull
from auth.use_cases.sessions import Unauthenticated
from db.drivers.errors import DatabaseUnavailable
from graph.execution.graphql_core_internals import without_token, without_value
from graph.execution.limits import MAX_ERRORS, IntrospectionDisabled, LimitExceeded, TooManyMutations
from graph.problems import UNAVAILABLE, BadUserInput, Code, Forbidden

logger = logging.getLogger("kindred")

AUTHENTICATION_REQUIRED = "Authentication required. Sign in and send the access token as `Authorization: Bearer`."
ACCESS_TOKEN_REJECTED = (
    "The access token is invalid or has expired, or its session was revoked. Refresh it, or sign in again."
)
INTERNAL_ERROR_WITH_ID = "Internal error. The server log has the details under this ID."
# Even the name of a field that is missing would disclose a part of the schema (GQL-11).
GENERIC_MESSAGES = {
    Code.VALIDATION_FAILED: "The document does not match the schema.",
    Code.BAD_USER_INPUT: "A variable or an argument does not match its type.",
}


def is_outage(error: BaseException | None) -> bool:
    """Return whether the same request may succeed a moment later."""
    return isinstance(error, DatabaseUnavailable | HashingQueueFull)


def log_outage(error: Exception) -> None:
    """Log why a request got 503."""
    match error:
        case ClocksDiffer():
            reason = str(error)
        case DatabaseUnavailable():
            reason = error.reason
        case _:
            reason = type(error).__name__
    logger.warning("unavailable: %s", reason)


def describe(
    error: GraphQLError, *, error_id: UUID, anonymous: bool, introspection_enabled: bool
) -> tuple[Code, dict[str, Any]]:
    """Return an error's code and its form in the response. Log an internal error under `error_id`, and mask it.

    With `introspection_enabled` False, the message has no name of the schema that the document does not have.
    """
    code, message = _code_and_message(
        error, error_id=error_id, anonymous=anonymous, introspection_enabled=introspection_enabled
    )
    extensions = {"code": code.value} | ({"id": str(error_id)} if code is Code.INTERNAL else {})
    response: dict[str, Any] = {"message": message, "extensions": extensions}
    if error.locations:
        response["locations"] = [location.formatted for location in error.locations]
    if error.path:
        response["path"] = error.path
    return code, response


def _code_and_message(
    error: GraphQLError, *, error_id: UUID, anonymous: bool, introspection_enabled: bool
) -> tuple[Code, str]:
    match cause := error.original_error:
        case None | GraphQLError():
            return _of_document(error, introspection_enabled=introspection_enabled)
        case Unauthenticated():
            return Code.UNAUTHENTICATED, AUTHENTICATION_REQUIRED if anonymous else ACCESS_TOKEN_REJECTED
        case Forbidden():
            return Code.FORBIDDEN, str(cause)
        case BadUserInput():
            return Code.BAD_USER_INPUT, str(cause)
        case ValueError() if error.path is None:
            # Python refuses to make an `int` of thousands of digits. No resolver ran, so this is not an internal error.
            return Code.BAD_USER_INPUT, GENERIC_MESSAGES[Code.BAD_USER_INPUT]
        case _ if is_outage(cause):
            log_outage(cause)
            return Code.UNAVAILABLE, UNAVAILABLE
        case _:
            logger.error("internal error %s", error_id, exc_info=cause)
            return Code.INTERNAL, INTERNAL_ERROR_WITH_ID


def _of_document(error: GraphQLError, *, introspection_enabled: bool) -> tuple[Code, str]:
    match error:
        case GraphQLSyntaxError():
            return Code.PARSE_FAILED, without_token(error.message)
        case LimitExceeded():
            return Code.LIMIT_EXCEEDED, error.message
        case TooManyMutations() | IntrospectionDisabled():
            return Code.VALIDATION_FAILED, error.message
    message, is_about_value = without_value(error.message)
    code = Code.BAD_USER_INPUT if is_about_value else Code.VALIDATION_FAILED
    return code, message.rstrip(".") + "." if introspection_enabled else GENERIC_MESSAGES[code]


def describe_all(
    errors: Sequence[GraphQLError], *, new_error_id: UUID, anonymous: bool, introspection_enabled: bool
) -> tuple[set[Code], list[Any]]:
    """Return the codes of all errors, and the first `MAX_ERRORS` errors in their form in the response."""
    described = [
        describe(error, error_id=new_error_id, anonymous=anonymous, introspection_enabled=introspection_enabled)
        for error in errors
    ]
    return {code for code, _ in described}, [response for _, response in described[:MAX_ERRORS]]
