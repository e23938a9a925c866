"""The security checklist's IDs, and which of them the names of tests carry."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "security-checklist.md").read_text(encoding="utf-8")
_REQUIREMENTS, _NOT_TESTED = PAGE.split("\n## Not tested, and why\n")
_ROW = re.compile(r"^\| ([A-Z]+-\d\d) \| .{20}", re.M)
ROWS = _ROW.findall(_REQUIREMENTS)
IDS = set(ROWS)
GROUPS = {name.partition("-")[0] for name in IDS}

_NAME = re.compile(r"^\s*(?:async )?def (test_\w+)", re.M)
_ID = re.compile(rf"(?:^|_)({'|'.join(GROUPS).lower()})_(\d\d)(?=_|$)")
_CITED = re.compile(rf"\b(?:{'|'.join(GROUPS)})-\d\d\b")
_TEXT = {".css", ".graphql", ".html", ".js", ".json", ".md", ".mjs", ".py", ".toml", ".ts", ".yaml", ".yml", ""}


def ids_of(names: Iterable[str]) -> set[str]:
    """The IDs in names of tests, such as ROT-02 in `test_rot_02_...`."""
    return {f"{group.upper()}-{number}" for name in names for group, number in _ID.findall(name)}


def named() -> set[str]:
    """The IDs that a test has in its name. Whether it ran and passed is another question."""
    return ids_of(name for path in (ROOT / "tests").rglob("test_*.py") for name in _NAME.findall(path.read_text()))


def not_tested() -> set[str]:
    """IDs with a row that says why there is no test."""
    return set(_ROW.findall(_NOT_TESTED))


def cited() -> dict[str, set[str]]:
    """The IDs that each tracked text file cites, by the file's path."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.splitlines() if Path(name).suffix in _TEXT]
    found = {path: set(_CITED.findall(path.read_text(encoding="utf-8"))) for path in paths if path.is_file()}
    return {str(path.relative_to(ROOT)): ids for path, ids in found.items() if ids}
