"""Settings that are lists, separated by commas: networks, hosts, origins."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

# A host as in the header `Host` and in an origin: a name, an IPv4 address, or an IPv6 address in brackets.
_NAME = r"(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])"
_HOST = re.compile(_NAME)
# Without the scheme's default port, because browsers leave it out.
_ORIGIN = re.compile(rf"(?:http://{_NAME}(?!:80$)|https://{_NAME}(?!:443$))(?::[1-9]\d{{0,4}})?")


def _parts(value: object) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be a list, separated by commas")
    return [part.strip() for part in parts if part.strip()]


def _networks(value: object) -> tuple[str, ...]:
    parts = _parts(value)
    try:
        return tuple(str(ip_network(part)) for part in parts)
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8, separated by commas") from None


def _hosts(value: object) -> tuple[str, ...]:
    hosts = tuple(part.lower() for part in _parts(value))
    if not all(map(_HOST.fullmatch, hosts)):
        raise ValueError("must be host names such as auth.example.org, without scheme or port, separated by commas")
    return hosts


def _origins(value: object) -> tuple[str, ...]:
    # As browsers write an origin (RFC 6454 section 6.2), because it is compared letter by letter (WEB-03).
    origins = tuple(_parts(value))
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError("must be origins such as https://app.example.org, in lower case, separated by commas")
    return origins


Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]
