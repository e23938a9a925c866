"""Settings that are lists, with commas between their parts: networks, hosts, origins."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

# A host as the header `Host` and an origin have it: a name, an IPv4 address, or an IPv6 address in brackets.
_NAME = r"(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])"
_HOST = re.compile(_NAME)
# Without the port that goes without saying, because browsers leave it out.
_ORIGIN = re.compile(rf"(?:http://{_NAME}(?!:80$)|https://{_NAME}(?!:443$))(?::[1-9]\d{{0,4}})?")


def _parts(value: object) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be a list with commas between its parts")
    return [part.strip() for part in parts if part.strip()]


def _networks(value: object) -> tuple[str, ...]:
    parts = _parts(value)
    try:
        return tuple(str(ip_network(part)) for part in parts)
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8, with commas between them") from None


def _hosts(value: object) -> tuple[str, ...]:
    hosts = tuple(part.lower() for part in _parts(value))
    if not all(map(_HOST.fullmatch, hosts)):
        raise ValueError("must be names without scheme and port, such as auth.example.org, with commas between them")
    return hosts


def _origins(value: object) -> tuple[str, ...]:
    # As browsers write it (RFC 6454 section 6.2), because it is compared letter by letter (WEB-03).
    origins = tuple(_parts(value))
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError("must be origins such as https://app.example.org, in lower case, with commas between them")
    return origins


Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]
