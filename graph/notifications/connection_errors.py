"""Why a connection failed, in a few words for an operator. The words never contain the address, which may be secret."""

import socket
import ssl
from collections.abc import Iterator


def connection_error_reason(error: BaseException) -> str:
    """Return the reason for an error from its causes, or the name of its class if none is known."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                # The part after the comma repeats the host name.
                return f"certificate not accepted: {cause.verify_message.partition(',')[0].lower()}"
            case ssl.SSLError():
                return "TLS handshake failed"
            case socket.gaierror():
                return "unknown host"
            case ConnectionRefusedError():
                return "connection refused"
            case ConnectionResetError() | BrokenPipeError():
                return "connection closed"
            case TimeoutError():
                return "timeout"
            case _:
                pass
    return f"connection failed ({type(error).__name__})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the first cause first. Libraries wrap the error of the operating system."""
    if error is None:
        return
    yield from _causes(error.__cause__ or error.__context__)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    yield error
