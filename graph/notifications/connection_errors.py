"""Why a receiver of notices could not be reached: a few words for an operator, with nothing of its address in them."""

import socket
import ssl
from collections.abc import Iterator


def connection_error_reason(error: BaseException) -> str:
    """The reason behind an error, found among its causes; the error's name where none is known."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                # "Hostname mismatch, certificate is not valid for ...": the first half will do.
                return f"its certificate was not accepted: {cause.verify_message.partition(',')[0].lower()}"
            case ssl.SSLError():
                return "no TLS could be agreed on"
            case socket.gaierror():
                return "there is no host of that name"
            case ConnectionRefusedError():
                return "the connection was refused"
            case ConnectionResetError() | BrokenPipeError():
                return "the connection broke"
            case TimeoutError():
                return "no connection, or no answer, in time"
            case _:
                pass
    return f"it could not be reached ({type(error).__name__})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what lies behind it, the deepest first: libraries wrap what the system said in their own words."""
    if error is None:
        return
    yield from _causes(error.__cause__ or error.__context__)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    yield error
