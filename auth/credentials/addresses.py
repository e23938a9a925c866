"""IP addresses, and the networks that failures from them are counted under."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# A network of IPv6 that is handed to many customers has ten times as many failures.
_LARGE_NETWORK = 10


@lru_cache(maxsize=4096)
def normalize_address(text: str | None) -> str | None:
    """An IP address as it is stored and counted under; None for what is none (NET-04)."""
    address = _address(text)
    return None if address is None else str(address)


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4096)
def network_of(ip: str | None, *, ipv6_prefix: int = 64) -> str:
    """The network that an address belongs to: of IPv6 by that prefix, of IPv4 itself."""
    address = _address(ip)
    if address is None:
        return "unknown"  # one count for all of them together
    prefix = ipv6_prefix if address.version == 6 else 32
    return str(ip_network((address, prefix), strict=False))


def networks_of(ip: str | None) -> list[tuple[str, int]]:
    """The networks that failures from there are counted under, with how many times as many each has. Largest first."""
    small, large = network_of(ip), network_of(ip, ipv6_prefix=48)
    return [(small, 1)] if small == large else [(large, _LARGE_NETWORK), (small, 1)]
