"""Settings that are spans of time: seconds, or ISO 8601 such as `PT15M` and `P30D`."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator


def _seconds(value: object) -> object:
    # What comes from the environment is text, and Pydantic reads numbers alone as seconds.
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
    # Within the leeway whoever holds the old token gets the new one: ROT-12.
    if not timedelta(0) <= value <= timedelta(seconds=10):
        raise ValueError("must be between 0 and 10 seconds")
    return value


Duration = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_positive)]
# No more than a day: what passes between two runs of pruning must be less than an outage that is believed.
OptionalDuration = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_daily_or_never)]
Leeway = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_short)]
