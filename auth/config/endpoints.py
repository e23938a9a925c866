"""Where notices go, as settings name it: a webhook's URL and secrets, a mail server."""

import base64
import binascii
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, SecretStr

from auth.credentials.identifiers import clean_email

# Standard Webhooks 1.0.0, "Signature scheme": a signing secret has 24 to 64 random bytes.
_SECRET_PREFIX = "whsec_"
_FEWEST_BYTES, _MOST_BYTES = 24, 64
_SMTP_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, and as whom. `start_tls` is None where TLS is taken if it is offered."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls_from_the_start: bool
    start_tls: bool | None


def signing_keys(listed: str) -> list[bytes]:
    """The keys in a list of signing secrets with commas between them. Raises ValueError, which repeats none of it."""
    keys = []
    for text in listed.split(","):
        try:
            key = base64.b64decode(text.strip().removeprefix(_SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
            raise ValueError(
                f"must be {_FEWEST_BYTES} to {_MOST_BYTES} random bytes in base64, with or without {_SECRET_PREFIX} "
                "before them (try `openssl rand -base64 32`); several, newest first, with commas between them"
            )
        keys.append(key)
    return keys


def mail_server(url: str, *, in_production: bool) -> MailServer:
    """The mail server that a URL names. Raises ValueError, which repeats none of it.

    Without TLS, whoever sits on the way reads passwords and who is told what. So it is demanded in production and
    wherever there is a password, and never of this machine itself, where nobody sits on the way.
    """
    parts, port = _split(url, set(_SMTP_PORTS), "must look like smtp://user:password@mail.example.org:587 or smtps://…")
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("must end with the mail server's name or port")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("must have a user and a password, or neither")
    host = parts.hostname or ""
    from_the_start = parts.scheme == "smtps"
    demanded = in_production or parts.password is not None
    return MailServer(
        host=host,
        port=port or _SMTP_PORTS[parts.scheme],
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        tls_from_the_start=from_the_start,
        start_tls=False if from_the_start or is_loopback(host) else True if demanded else None,
    )


def is_safe_webhook(url: str) -> bool:
    """Whether what is sent there cannot be read on the way: HTTPS, or this machine itself."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, told by its name alone: no name is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str, schemes: set[str], message: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(message) from None
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or parts.scheme not in schemes or not parts.hostname or parts.fragment or port == 0:
        raise ValueError(message)
    return parts, port


def _webhook_url(value: SecretStr) -> SecretStr:
    _split(value.get_secret_value(), {"http", "https"}, "must look like https://receiver.example.org/path")
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    signing_keys(value.get_secret_value())
    return value


def _smtp_url(value: SecretStr) -> SecretStr:
    mail_server(value.get_secret_value(), in_production=True)
    return value


def _mail_from(value: str) -> str:
    # What is in a header must not end it: an address has no control characters, and this none of a header's marks.
    address = clean_email(value)
    if address is None or not address.isascii() or any(mark in address for mark in '<>()[],;:\\"'):
        raise ValueError("must be an address such as kindred@example.org")
    return address


WebhookUrl = Annotated[SecretStr, AfterValidator(_webhook_url)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
MailAddress = Annotated[str, AfterValidator(_mail_from)]
