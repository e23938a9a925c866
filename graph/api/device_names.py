"""Default names of devices, derived from the User-Agent header."""

from functools import lru_cache

from ua_parser import parse

UNKNOWN = "Unknown device"


@lru_cache(maxsize=4096)
def describe_device(user_agent: str | None) -> str:
    """Return a name such as `Firefox on Linux`; `Unknown device` if the header names neither browser nor system."""
    if not user_agent:
        return UNKNOWN
    parsed = parse(user_agent)
    browser = parsed.user_agent.family if parsed.user_agent else None
    system = parsed.os.family if parsed.os else None
    match browser, system:
        case None, None:
            return UNKNOWN
        case str(), None:
            return str(browser)
        case None, str():
            return f"Unknown browser on {system}"
        case _:
            return f"{browser} on {system}"
