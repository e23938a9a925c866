"""The security checklist's IDs, and which of them are tested or argued."""

import re

from tests.support.repository import ROOT

# How many attacks each group of the checklist has.
GROUPS = {
    "CRED": 16,
    "TOK": 15,
    "ROT": 22,
    "SESS": 12,
    "GQL": 24,
    "WEB": 10,
    "NET": 9,
    "LOG": 6,
    "DOS": 7,
    "DATA": 5,
    "OPS": 8,
    "SUP": 5,
}
IDS = {f"{group}-{number:02d}" for group, count in GROUPS.items() for number in range(1, count + 1)}

_NAME = re.compile(r"^\s*(?:async )?def (test_\w+)", re.M)
_ID = re.compile(rf"(?:^|_)({'|'.join(GROUPS).lower()})_(\d\d)(?=_|$)")
_ROW = re.compile(r"^\| ([A-Z]+-\d\d) \| .{20}", re.M)


def tested() -> set[str]:
    """IDs that a test carries in its name."""
    names = [name for path in (ROOT / "tests").rglob("test_*.py") for name in _NAME.findall(path.read_text())]
    return {f"{group.upper()}-{number}" for name in names for group, number in _ID.findall(name)}


def argued() -> set[str]:
    """IDs that docs/threat-model.md has a row for, which says why there is no test."""
    return set(_ROW.findall((ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")))
