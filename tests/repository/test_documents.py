"""The documents: every relative link leads to a target, and every named setting and metric exists."""

import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest

from auth.config.settings import Settings
from graph.observability.metrics import Metrics
from tests.support.repository import ROOT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "web/client/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
# [text](target), and the target of an image; not in code.
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.M | re.S)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them: of two that are alike, the second ends in -1."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found: dict[str, int] = {}
    names = set()
    for heading in _HEADING.findall(text):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        kept = "".join(c for c in plain if c in " -_" or unicodedata.category(c)[0] in "LNM")
        slug = kept.replace(" ", "-")
        number = found.get(slug, 0)
        found[slug] = number + 1
        names.add(f"{slug}-{number}" if number else slug)
    return names


def links(page: Path) -> list[str]:
    """The relative links of a page."""
    targets = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return [unquote(target) for target in targets if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and (file.suffix != ".md" or anchor not in anchors(file))):
            broken.append(target)
    assert broken == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        for target in links(page):
            file = (page.parent / target.partition("#")[0]).resolve()
            if file.suffix == ".md":
                waiting.append(file)
            elif file.is_dir():  # GitHub shows the files of a folder
                waiting.extend(file.glob("*.md"))
    assert set(PAGES) - seen == set()


def test_every_setting_that_a_document_names_exists() -> None:
    known = {f"KINDRED_{name.upper()}" for name in Settings.model_fields}
    unknown = {}
    for page in PAGES:
        if page.name == "CHANGELOG.md" or "decisions" in page.parts:
            continue  # these pages also name former settings
        text = page.read_text(encoding="utf-8")
        if names := set(re.findall(r"\bKINDRED_[A-Z_]+\b", text)) - known - {"KINDRED_FUZZ_INPUTS"}:
            unknown[page.name] = names
    assert unknown == {}


def test_every_metric_that_the_operator_s_page_and_the_dashboard_name_exists() -> None:
    metrics = Metrics()
    known = {name for family in metrics._registry.collect() for name in (family.name, f"{family.name}_total")}
    for name in ("operating.md", "grafana.json", "notifications.md"):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        named = {re.sub(r"_(bucket|count|sum)$", "", metric) for metric in re.findall(r"\bkindred_[a-z_]+\b", text)}
        assert named - known == set(), name
