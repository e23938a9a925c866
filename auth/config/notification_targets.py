"""Settings that name the receivers of notifications: a webhook's URL and secrets, a mail server."""

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
    """A mail server, and the account on it. `start_tls` is None if TLS is used only if the server offers it."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls_from_the_start: bool
    start_tls: bool | None


def webhook_keys(secret_list: str) -> list[bytes]:
    """Return the keys of a list of signing secrets, separated by commas. Raises `ValueError` without the value."""
    keys = []
    for text in secret_list.split(","):
        try:
            key = base64.b64decode(text.strip().removeprefix(_SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
            raise ValueError(
                f"must be {_FEWEST_BYTES} to {_MOST_BYTES} random bytes in base64, with or without the prefix "
                f"{_SECRET_PREFIX} (try `openssl rand -base64 32`); if there are several, newest first, separated by "
                "commas"
            )
        keys.append(key)
    return keys


def mail_server(url: str, *, in_production: bool) -> MailServer:
    """Return the mail server of a URL. Raises `ValueError` without the value.

    Without TLS, an attacker on the network reads the password and the mails. So TLS is required in production and with
    a password, but not for this machine itself, because nothing crosses a network.
    """
    parts, port = _split(url, set(_SMTP_PORTS), "must look like smtp://user:password@mail.example.org:587 or smtps://…")
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("must end after the mail server's name or port")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("must have both a user and a password, or neither")
    host = parts.hostname or ""
    tls_from_the_start = parts.scheme == "smtps"
    tls_required = in_production or parts.password is not None
    return MailServer(
        host=host,
        port=port or _SMTP_PORTS[parts.scheme],
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        tls_from_the_start=tls_from_the_start,
        start_tls=False if tls_from_the_start or is_loopback(host) else True if tls_required else None,
    )


def is_safe_webhook(url: str) -> bool:
    """Whether an attacker on the network cannot read what is posted there: HTTPS, or this machine itself."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name alone, without a DNS lookup."""
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
    webhook_keys(value.get_secret_value())
    return value


def _smtp_url(value: SecretStr) -> SecretStr:
    mail_server(value.get_secret_value(), in_production=True)
    return value


def _mail_from(value: str) -> str:
    # The address goes into a mail header, so it must not contain a delimiter of headers (header injection).
    address = clean_email(value)
    if address is None or not address.isascii() or any(delimiter in address for delimiter in '<>()[],;:\\"'):
        raise ValueError("must be an address such as kindred@example.org")
    return address


WebhookUrl = Annotated[SecretStr, AfterValidator(_webhook_url)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
MailAddress = Annotated[str, AfterValidator(_mail_from)]
