"""The supply chain: dependencies are locked with hashes, listed, and newer than versions with known flaws."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.version import Version

from tests.support.repository import ROOT

LOCKS = ["requirements.txt", "requirements-dev.txt", "requirements-sbom.txt"]


@pytest.mark.parametrize("name", LOCKS)
def test_sup_01_lock_files_pin_versions_and_hashes_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    pins = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n?", "", text, flags=re.M).strip())
    assert len(pins) > 30
    for pin in pins:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[\w.!+]+( ;| \\|$)", pin), pin
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", pin), pin
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host| @ ", text)


FLOORS = {"strawberry-graphql": "0.312.3", "pyjwt": "2.12.0", "starlette": "1.0.1", "python-multipart": "0.0.27"}


@pytest.mark.parametrize("package", FLOORS)
def test_sup_03_no_dependency_has_a_version_with_a_known_flaw(package: str) -> None:
    locked = re.findall(rf"^{package}(?:\[.*\])?==(\S+)", (ROOT / "requirements.txt").read_text(), re.M)
    installed = []
    try:
        installed.append(version(package))
    except PackageNotFoundError:
        assert package == "python-multipart"  # not installed, because the service reads no forms
    assert all(Version(found) >= Version(FLOORS[package]) for found in locked + installed)


def test_cred_02_passwords_are_hashed_by_libpass_and_passlib_is_not_installed() -> None:
    assert Version(version("libpass")) >= Version("1.9")
    with pytest.raises(PackageNotFoundError):
        version("passlib")
    for name in LOCKS:
        assert not re.search(r"^passlib", (ROOT / name).read_text(), re.M)


def test_sup_01_sup_05_the_installed_packages_are_compatible() -> None:
    """The development tools share the service's environment, so they must accept the versions of its packages."""
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.skipif(not shutil.which("make"), reason="the README's commands need make")
def test_sup_02_the_bill_of_materials_lists_every_locked_package(tmp_path: Path) -> None:
    made = subprocess.run(
        ["make", "sbom", f"SBOM={tmp_path / 'sbom.json'}"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert made.returncode == 0, made.stderr
    bill = json.loads((tmp_path / "sbom.json").read_bytes())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "kindred-auth"
    listed = {(component["name"], component["version"]) for component in bill["components"]}
    locked = re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==([\w.!+]+)", (ROOT / "requirements.txt").read_text(), re.M)
    assert listed == set(locked)
