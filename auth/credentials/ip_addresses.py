"""IP addresses, and the networks that failed login attempts are counted by."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# An IPv6 /48 may serve many customers, so it has ten times the limit of a /64.
_LARGE_NETWORK_FACTOR = 10


@lru_cache(maxsize=4096)
def normalize_address(text: str | None) -> str | None:
    """Return an IP address in the form that is stored and counted; None if the text is not one (NET-04)."""
    address = _parse(text)
    return None if address is None else str(address)


def _parse(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4096)
def network_of(ip: str | None, *, ipv6_prefix: int = 64) -> str:
    """Return the network of an address: for IPv6 by this prefix, for IPv4 the address itself."""
    address = _parse(ip)
    if address is None:
        return "unknown"  # all of them share one count
    prefix = ipv6_prefix if address.version == 6 else 32
    return str(ip_network((address, prefix), strict=False))


def networks_of(ip: str | None) -> list[tuple[str, int]]:
    """Return the networks that count failures from an address, largest first, each with the factor of its limit."""
    small, large = network_of(ip), network_of(ip, ipv6_prefix=48)
    return [(small, 1)] if small == large else [(large, _LARGE_NETWORK_FACTOR), (small, 1)]
