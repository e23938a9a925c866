"""The files in graph/static match their sources. None of these tests needs Node.js."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from graph.http import pages
from tests.support.repository import ROOT

WEB = ROOT / "web"
BUNDLES = sorted(path.parent for path in WEB.glob("*/bundle.mjs"))
EVERY_BUNDLE = pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)


def record_of(bundle: Path) -> dict[str, dict[str, str]]:
    """The digests of a bundle's sources and of its built files."""
    record: dict[str, dict[str, str]] = json.loads((pages.STATIC / f"{bundle.name}.build.json").read_bytes())
    return record


def digests(directory: Path, paths: Any) -> dict[str, str]:
    return {path.relative_to(directory).as_posix(): sha256(path.read_bytes()).hexdigest() for path in paths}


@EVERY_BUNDLE
def test_the_built_files_match_the_current_sources(bundle: Path) -> None:
    """If this fails, run `make web`."""
    recorded = record_of(bundle)["sources"]
    assert digests(ROOT, [ROOT / name for name in recorded]) == recorded
    assert {path.relative_to(ROOT).as_posix() for path in bundle.rglob("*") if path.is_file()} <= set(recorded)


@EVERY_BUNDLE
def test_the_built_files_are_unchanged_since_they_were_built(bundle: Path) -> None:
    """No file was edited by hand, and none is missing."""
    built = record_of(bundle)["built"]
    assert digests(pages.STATIC, [pages.STATIC / name for name in built]) == built


def test_the_folder_contains_nothing_but_built_files() -> None:
    recorded = {name for bundle in BUNDLES for name in (*record_of(bundle)["built"], f"{bundle.name}.build.json")}
    assert {path.name for path in pages.STATIC.iterdir()} == recorded


@pytest.mark.parametrize(
    "lock", [WEB / "package-lock.json", *WEB.glob("*/package-lock.json")], ids=lambda lock: lock.parent.name
)
def test_a_lock_file_pins_hashes_and_names_no_registry(lock: Path) -> None:
    """npm then installs from its configured registry."""
    packages = json.loads(lock.read_bytes())["packages"]
    installed = {
        name: package for name, package in packages.items() if "node_modules" in name and not package.get("link")
    }
    assert [name for name, package in installed.items() if "resolved" in package] == []
    assert [name for name, package in installed.items() if "integrity" not in package] == []
