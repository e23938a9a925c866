"""Settings that are durations: seconds, or ISO 8601 such as `PT15M` and `P30D`."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator


def _seconds(value: object) -> object:
    # The environment holds text, and Pydantic reads only numbers as seconds.
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _positive(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("must be at least one second")
    return value


def _daily_or_never(value: timedelta) -> timedelta:
    if value and not timedelta(seconds=1) <= value <= timedelta(days=1):
        raise ValueError("must be between one second and one day, or 0 for never")
    return value


def _short(value: timedelta) -> timedelta:
    # Within the leeway, an attacker who holds the old token gets the new one (ROT-12).
    if not timedelta(0) <= value <= timedelta(seconds=10):
        raise ValueError("must be between 0 and 10 seconds")
    return value


Duration = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_positive)]
# At most a day: the time between two prunings must be far below the longest plausible outage (auth.clock_agreement).
OptionalDuration = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_daily_or_never)]
Leeway = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_short)]
