"""Error codes, HTTP statuses and messages that GraphQL and REST share."""

from enum import StrEnum

RETRY_AFTER = 1  # seconds
INTERNAL_ERROR = "Internal error. The server log has the details."
UNAVAILABLE = "The service is temporarily unavailable. Try again in a moment."


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


# Codes whose HTTP status differs from the usual one of GraphQL.
STATUS = {Code.UNAUTHENTICATED: 401, Code.FORBIDDEN: 403, Code.UNAVAILABLE: 503}

# From the least to the most severe. Other codes are less severe than all of these.
_BY_SEVERITY = (Code.BAD_USER_INPUT, Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.UNAVAILABLE, Code.INTERNAL)


class BadUserInput(Exception):
    """An argument has a value that its type allows and the operation does not.

    The message is for the client's developer. It never repeats the value, which may be a password (LOG-02).
    """


class Forbidden(Exception):
    """The request sent the refresh cookie twice, or without proof that an allowed page meant to send it (WEB-02).

    The message is for the client's developer.
    """


def severity(code: Code) -> int:
    """Rank of an error code; the log shows the code of the highest rank in a response."""
    return _BY_SEVERITY.index(code) + 1 if code in _BY_SEVERITY else 0
