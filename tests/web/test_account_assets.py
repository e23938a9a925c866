"""The account page: what it is built from, what it may load, and that it can be left out. None of it needs Node."""

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, validate
from httpx2 import ASGITransport, AsyncClient

from auth.settings import Settings
from db.base import RevocationReason, SecurityEventKind
from graph import pages
from graph.app import create_app
from tests.support.servers import SECRET

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "web" / "account"
DOCUMENTS = sorted((SOURCES / "documents").glob("*.graphql"))


async def get(address: str, **settings: Any) -> Any:
    """What the service answers."""
    transport = ASGITransport(create_app(Settings(secret=SECRET, **settings)))
    async with AsyncClient(transport=transport, base_url="http://kindred.test") as client:
        return await client.get(address)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_each_document_fits_the_schema(document: Path) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())
    assert validate(schema, parse(document.read_text())) == []


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_the_page_is_there_unless_it_is_turned_off(environment: str) -> None:
    assert (await get("/account", environment=environment)).status_code == 200
    for address in ("/account", "/assets/account.js", "/assets/account.css"):
        assert (await get(address, environment=environment, account_page=False)).status_code == 404
    assert (await get("/assets/kindred-client.js", account_page=False)).status_code == 200


async def test_the_page_has_nothing_inline_and_loads_only_our_files() -> None:
    """Its policy would block anything else, and a network that has no internet would miss it."""
    page = (await get("/account")).text
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page) == []
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert [address for address in addresses if not address.startswith(("assets/account.", "#main"))] == []


async def test_web_04_web_06_web_09_the_page_is_locked_down() -> None:
    """No scripts or styles but ours, no frames, no referrer, and no copy of it in a cache."""
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


async def test_each_file_of_the_page_may_be_kept_for_good_at_the_address_that_the_page_gives() -> None:
    """That address changes with the content."""
    media_types = {"svg": "image/svg+xml", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
    addresses = set(re.findall(r'"(assets/[^"]*)"', (await get("/account")).text))
    assert len(addresses) == len(media_types)
    for address in addresses:
        answer = await get(f"/{address}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media_types[address.partition("?")[0].rpartition(".")[2]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "immutable" not in (await get(f"/{address}0")).headers["cache-control"]


async def test_the_page_tells_how_long_a_password_has_to_be() -> None:
    assert 'data-password-min-length="15"' in (await get("/account", password_min_length=15)).text


def test_the_page_stays_small() -> None:
    """It has no framework, and needs none."""
    sizes = {kind: (pages.STATIC / f"account.{kind}").stat().st_size for kind in ("js", "css")}
    assert sizes["js"] < 50_000
    assert sizes["css"] < 20_000


def test_no_markup_is_made_of_strings_and_no_style_is_written_into_the_page() -> None:
    """A session's name is what somebody else may have chosen."""
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|\bstyle:|\"style\"|\.cssText"
    assert [path.name for path in SOURCES.rglob("*.ts") if re.search(unsafe, path.read_text())] == []


def test_the_sheet_loads_nothing() -> None:
    sheet = (pages.STATIC / "account.css").read_text()
    assert "@import" not in sheet
    assert "url(" not in sheet


def test_every_reason_and_every_kind_of_event_has_plain_words() -> None:
    words = (SOURCES / "texts.ts").read_text()
    assert [code for code in (*RevocationReason, *SecurityEventKind) if f"  {code.value}:" not in words] == []


def test_nothing_on_the_page_is_shouted() -> None:
    """Text in plain English has no exclamation marks; in the sources they are operators, never before a quote."""
    assert [path.name for path in SOURCES.rglob("*.ts") if re.search(r"\w![\"`]", path.read_text())] == []
