"""GraphiQL in a real browser: what it shows, and where its requests go."""

from pathlib import Path

from playwright.async_api import Browser, expect

from tests.support.servers import serving


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
