"""The page docs/settings.md, generated from the descriptions of the settings."""

import re
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum

from pydantic import SecretStr, TypeAdapter

from auth.config.settings import GROUPS, Settings

_DURATION = TypeAdapter(timedelta)
_INTRODUCTION = """\
# Settings

Settings are environment variables, read once at the start. Durations are seconds, or ISO 8601 such as `PT15M` and
`P30D`. Switches are `on` or `off`. `kindred check` says which setting is wrong, and never prints its value.

This page is generated: change the descriptions in `auth/config/settings.py`, then run `make settings`.
"""


def settings_page() -> str:
    """Return the page in Markdown: a table of settings for each group."""
    return "".join([_INTRODUCTION, *_tables()])


def _tables() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            yield f"\n## {GROUPS[name]}\n\n| setting | default | meaning |\n| --- | --- | --- |\n"
        is_switch = field.annotation == bool | None
        default = "on in development" if is_switch else _as_text(field.default)
        meaning = re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", field.description or "")
        yield f"| `KINDRED_{name.upper()}` | {default} | {meaning} |\n"


def _as_text(default: object) -> str:
    """Return a default as an operator would write it into the environment."""
    match default:
        case None | ():
            return "not set"
        case bool():
            return "`on`" if default else "`off`"
        case timedelta():
            return f"`{_DURATION.dump_python(default, mode='json')}`" if default else "`0`"
        case SecretStr():
            return f"`{default.get_secret_value()}`"
        case Enum():
            return f"`{default.value}`"
        case _:
            return f"`{default}`"
