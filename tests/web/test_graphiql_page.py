"""GraphiQL in a real browser: what it shows, and where its requests go."""

from pathlib import Path

from playwright.async_api import Browser, expect

from auth.clock import SystemClock
from tests.support.doors import PASSWORD
from tests.support.servers import backstage, serving


async def test_web_05_graphiql_loads_from_the_service_alone(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    async with serving(sqlite_url, tmp_path, KINDRED_ENVIRONMENT="development") as server:
        page = await browser.new_page()
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        await page.goto(f"{server.url}/graphql")
        await expect(page.get_by_text("Access token: none")).to_be_visible()
        await expect(page.get_by_role("button", name="Execute query")).to_be_visible()
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []
    assert wrong == []


async def test_web_05_who_signed_in_on_the_account_page_asks_in_graphiql_without_copying_tokens(
    browser: Browser, sqlite_url: str, tmp_path: Path, password_hash: str
) -> None:
    async with backstage(sqlite_url, password_hash) as behind:
        await behind.kindred.accounts._add("alice", "alice", None, password_hash, SystemClock().now())
    async with serving(sqlite_url, tmp_path, KINDRED_ENVIRONMENT="development") as server:
        page = await browser.new_page()
        await page.goto(f"{server.url}/account")
        await page.get_by_label("Username").fill("alice")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("heading", name="Your account")).to_be_visible(timeout=15_000)
        await page.goto(f"{server.url}/graphql")
        await expect(page.get_by_text("Access token: of the account page")).to_be_visible(timeout=15_000)
        await page.get_by_role("tab").nth(1).click()
        # GraphiQL takes a moment to see which operation a tab has, and asks for the one before until then.
        answer = page.locator(".result-window")
        for _ in range(20):
            await page.get_by_role("button", name="Execute query").click()
            await page.wait_for_timeout(250)
            if "isCurrent" in await answer.inner_text():
                break
        await expect(answer).to_contain_text('"isCurrent": true')
        kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
        assert "eyJ" not in kept
