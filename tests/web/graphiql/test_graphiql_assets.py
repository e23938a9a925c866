"""The GraphiQL page: its sources, what it may load, and what it keeps. None of these tests needs Node.js."""

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, validate
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.routing import Route

from graph.http import pages
from graph.http.middleware import SecurityHeaders
from tests.support.repository import ROOT

SOURCES = ROOT / "web" / "graphiql"
DOCUMENTS = sorted((SOURCES / "documents").glob("*.graphql"))


async def get(address: str) -> Any:
    """Request one of the page's files."""
    page = Route("/graphql", lambda _: pages.graphiql())
    transport = ASGITransport(SecurityHeaders(Starlette(routes=[page, *pages.assets()])))
    async with AsyncClient(transport=transport, base_url="http://kindred.test") as client:
        return await client.get(address)


def page() -> str:
    return bytes(pages.graphiql().body).decode()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_each_initial_document_is_valid_against_the_schema(document: Path) -> None:
    """The user's first click on Run works."""
    schema = build_schema((ROOT / "schema.graphql").read_text())
    assert validate(schema, parse(document.read_text())) == []


def test_the_page_has_nothing_inline_and_loads_only_its_own_files() -> None:
    """The page's policy blocks everything else, and a network without internet access has nothing else."""
    assert "<title>Kindred GraphiQL</title>" in page()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page()) == []
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page())
    assert [address for address in addresses if not address.startswith(("assets/graphiql.", "data:,"))] == []


async def test_web_04_web_06_web_09_the_page_is_locked_down() -> None:
    """Only its own scripts and styles, no frames, no referrer, and no copy in a cache."""
    headers = (await get("/graphql")).headers
    policy = dict(directive.split(" ", 1) for directive in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


async def test_each_file_of_the_page_may_be_cached_for_ever_under_its_versioned_url() -> None:
    """The URL changes with the content."""
    for address, media_type in zip(
        re.findall(r'"(assets/[^"]*)"', page()), ("text/css", "text/javascript"), strict=True
    ):
        answer = await get(f"/{address}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "immutable" not in (await get(f"/{address}0")).headers["cache-control"]


async def test_the_licences_of_the_packages_are_served() -> None:
    """The built files name the licence file."""
    answer = await get("/assets/graphiql.licences.txt")
    for name in ("graphiql 4.1.2 (MIT)", "graphql 16.15.0 (MIT)", "react 18.3.1 (MIT)"):
        assert name in answer.text
    assert "graphiql.licences.txt" in (await get("/assets/graphiql.js")).text[:200]


@pytest.mark.parametrize("name", ["nothing.js", "graphiql.build.json", "..%2fpages.py", "%2e%2e/pages.py"])
async def test_no_other_file_is_served(name: str) -> None:
    """Only the files that the page loads are served."""
    assert (await get(f"/assets/{name}")).status_code == 404


def test_the_page_keeps_nothing_in_the_browser_or_in_the_url() -> None:
    """Variables contain passwords. GraphiQL writes them to local storage unless the page passes another storage."""
    own = {path.name: path.read_text() for path in SOURCES.glob("*.js*") if path.suffix in {".js", ".jsx"}}
    assert "storage={memoryStorage(" in own["main.jsx"]
    assert "shouldPersistHeaders={false}" in own["main.jsx"]
    kept = r"localStorage|sessionStorage|indexedDB|document\.cookie|\blocation\b|\bhistory\."
    assert [name for name, text in own.items() if re.search(kept, text)] == []


def test_the_style_sheet_loads_nothing() -> None:
    """Fonts or icons of another server would show that server who uses the page. The policy forbids them too."""
    sheet = (pages.STATIC / "graphiql.css").read_text()
    assert "@import" not in sheet
    assert [
        address for address in re.findall(r"url\((.{0,20})", sheet) if not address.lstrip("\"'").startswith("data:")
    ] == []
