"""The account page: its sources, what it may load, and how to turn it off. None of these tests needs Node.js."""

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, validate
from httpx2 import ASGITransport, AsyncClient

from auth.config.settings import Settings
from db.tables.base import RevocationReason, SecurityEventKind
from graph.app import create_app
from graph.http import pages
from tests.support.repository import ROOT
from tests.support.servers import SECRET

SOURCES = ROOT / "web" / "account"
DOCUMENTS = sorted((SOURCES / "documents").glob("*.graphql"))


async def get(address: str, **settings: Any) -> Any:
    """Request a path of the service."""
    transport = ASGITransport(create_app(Settings(secret=SECRET, **settings)))
    async with AsyncClient(transport=transport, base_url="http://kindred.test") as client:
        return await client.get(address)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_each_document_is_valid_against_the_schema(document: Path) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())
    assert validate(schema, parse(document.read_text())) == []


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_the_page_is_served_unless_it_is_turned_off(environment: str) -> None:
    assert (await get("/account", environment=environment)).status_code == 200
    for address in ("/account", "/assets/account.js", "/assets/account.css"):
        assert (await get(address, environment=environment, account_page=False)).status_code == 404
    assert (await get("/assets/kindred-client.js", account_page=False)).status_code == 200


async def test_the_page_has_nothing_inline_and_loads_only_its_own_files() -> None:
    """The page's policy blocks everything else, and a network without internet access has nothing else."""
    page = (await get("/account")).text
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page) == []
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert [address for address in addresses if not address.startswith(("assets/account.", "#main"))] == []


async def test_web_04_web_06_web_09_the_page_is_locked_down() -> None:
    """Only its own scripts and styles, no frames, no referrer, and no copy in a cache."""
    headers = (await get("/account")).headers
    policy = dict(directive.split(" ", 1) for directive in headers["content-security-policy"].split("; "))
    assert policy.pop("img-src") == "'self'"
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


async def test_each_file_of_the_page_may_be_cached_for_ever_under_its_versioned_url() -> None:
    """The URL changes with the content."""
    media_types = {"svg": "image/svg+xml", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
    addresses = set(re.findall(r'"(assets/[^"]*)"', (await get("/account")).text))
    assert len(addresses) == len(media_types)
    for address in addresses:
        answer = await get(f"/{address}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media_types[address.partition("?")[0].rpartition(".")[2]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "immutable" not in (await get(f"/{address}0")).headers["cache-control"]


async def test_the_page_knows_the_minimum_length_of_a_password() -> None:
    assert 'data-password-min-length="15"' in (await get("/account", password_min_length=15)).text


def test_the_page_stays_small() -> None:
    """It has no framework."""
    sizes = {kind: (pages.STATIC / f"account.{kind}").stat().st_size for kind in ("js", "css")}
    assert sizes["js"] < 50_000
    assert sizes["css"] < 20_000


def test_no_markup_is_made_from_strings_and_no_style_is_inline() -> None:
    """An attacker may have chosen a session's name (XSS)."""
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|\bstyle:|\"style\"|\.cssText"
    assert [path.name for path in SOURCES.rglob("*.ts") if re.search(unsafe, path.read_text())] == []


def test_the_style_sheet_loads_nothing() -> None:
    sheet = (pages.STATIC / "account.css").read_text()
    assert "@import" not in sheet
    assert "url(" not in sheet


def test_every_revocation_reason_and_every_kind_of_event_has_a_text() -> None:
    texts = (SOURCES / "texts.ts").read_text()
    assert [code for code in (*RevocationReason, *SecurityEventKind) if f"  {code.value}:" not in texts] == []


def test_no_text_has_an_exclamation_mark() -> None:
    """In the sources an exclamation mark is an operator, which never stands before a quote."""
    assert [path.name for path in SOURCES.rglob("*.ts") if re.search(r"\w![\"`]", path.read_text())] == []
