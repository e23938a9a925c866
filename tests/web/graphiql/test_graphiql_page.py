"""GraphiQL in a real browser: what it shows, and where it sends requests."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from auth.clock import SystemClock
from tests.support.endpoints import PASSWORD
from tests.support.servers import backstage, serving


@asynccontextmanager
async def graphiql(browser: Browser, url: str) -> AsyncIterator[Page]:
    """Open GraphiQL in a tab. Until the block ends it may send requests to the service only, and report no error."""
    page = await browser.new_page()
    requested: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    await page.goto(f"{url}/graphql")
    yield page
    assert [address for address in requested if not address.startswith((url, "data:"))] == []
    # From the previous operation, which the tab does not contain: see `executed`.
    assert [text for text in errors if "400 (Bad Request)" not in text] == []


async def executed(page: Page, sign: str) -> None:
    """Execute the tab's operation until its answer contains this text.

    For a moment after a change, GraphiQL still sends the name of the previous operation.
    """
    answer = page.locator(".result-window")
    for _ in range(20):
        await page.get_by_role("button", name="Execute query").click()
        await page.wait_for_timeout(250)
        if sign in await answer.inner_text():
            break
    await expect(answer).to_contain_text(sign)


async def typed(page: Page, editor: str, text: str) -> None:
    """Replace the content of an editor, by the keyboard."""
    await page.get_by_role("region", name=editor).locator(".CodeMirror").first.click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(text)


async def test_web_05_graphiql_works_with_requests_to_the_service_only(
    browser: Browser, sqlite_url: str, tmp_path: Path, password_hash: str
) -> None:
    async with backstage(sqlite_url, password_hash) as behind:
        await behind.services.accounts.import_user("alice", None, password_hash, SystemClock().now())
    async with (
        serving(sqlite_url, tmp_path, KINDRED_ENVIRONMENT="development") as server,
        graphiql(browser, server.url) as page,
    ):
        await expect(page.get_by_text("Access token: none")).to_be_visible()

        await page.get_by_role("button", name="Show Documentation Explorer").click()
        await page.get_by_role("link", name="Mutation", exact=True).click()
        await expect(page.get_by_text("Exchange a refresh token for its successor")).to_be_visible()
        await page.get_by_role("button", name="Hide Documentation Explorer").click()

        who = {"input": {"username": "alice", "password": PASSWORD, "deviceName": "GraphiQL"}}
        await typed(page, "Variables", json.dumps(who))
        await executed(page, '"LoginSuccess"')
        await expect(page.get_by_text("Access token: sent")).to_be_visible()

        await page.get_by_role("tab").nth(1).click()
        await executed(page, '"isCurrent": true')

        await typed(page, "Query Editor", "{ sess")
        await page.keyboard.press("Control+Space")
        await expect(page.locator(".CodeMirror-hints")).to_contain_text("sessions")


async def test_web_05_a_user_of_the_account_page_is_signed_in_in_graphiql(
    browser: Browser, sqlite_url: str, tmp_path: Path, password_hash: str
) -> None:
    async with backstage(sqlite_url, password_hash) as behind:
        await behind.services.accounts.import_user("alice", None, password_hash, SystemClock().now())
    async with serving(sqlite_url, tmp_path, KINDRED_ENVIRONMENT="development") as server:
        page = await browser.new_page()
        await page.goto(f"{server.url}/account")
        await page.get_by_label("Username").fill("alice")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("heading", name="Your account")).to_be_visible(timeout=15_000)
        await page.goto(f"{server.url}/graphql")
        await expect(page.get_by_text("Access token: from the account page")).to_be_visible(timeout=15_000)
        await page.get_by_role("tab").nth(1).click()
        await executed(page, '"isCurrent": true')
        kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
        assert "eyJ" not in kept
