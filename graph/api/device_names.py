"""What to call a device whose owner has not named it."""

from functools import lru_cache

from ua_parser import parse

UNKNOWN = "Unknown device"


@lru_cache(maxsize=4096)
def describe_device(user_agent: str | None) -> str:
    """A name derived from a User-Agent header, such as `Firefox on Linux`; `Unknown device` where it tells nothing."""
    if not user_agent:
        return UNKNOWN
    found = parse(user_agent)
    browser = found.user_agent.family if found.user_agent else None
    system = found.os.family if found.os else None
    match browser, system:
        case None, None:
            return UNKNOWN
        case str(), None:
            return str(browser)
        case None, str():
            return f"Unknown browser on {system}"
        case _:
            return f"{browser} on {system}"
