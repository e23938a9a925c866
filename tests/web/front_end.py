"""A front end that uses the client module: pages in a real browser, with the service behind a relay."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from graph.http.pages import POLICY
from tests.support import databases
from tests.support.endpoints import PASSWORD
from tests.support.relay import Answer, Relay, RelayedRequest, answer
from tests.support.servers import UNKNOWN_PASSWORD_HASH, Process, backstage, serving

# The page has the Content-Security-Policy of the service's own pages.
_PAGE = answer(
    200,
    "<!doctype html><title>A front end</title><link rel=icon href=data:,>",
    Content_Type="text/html",
    Content_Security_Policy=POLICY,
)

START = """async ({delivery, ...options}) => {
    const {createClient} = await import("/assets/kindred-client.js");
    if (delivery === "body") options.storage = localStorage;
    window.ended = [];
    window.kindred = createClient({delivery, ...options});
    kindred.onSessionEnded((reason) => ended.push(reason));
}"""
"""Script that creates the client in a page."""
_ASK = """([url, times]) => Promise.all(Array.from({length: times}, async () => {
    const response = await kindred.fetch(`${url}/graphql`, {
        method: "POST",
        headers: {"content-type": "application/json"},
        body: JSON.stringify({query: "{ viewer { username } }"}),
    });
    return (await response.json()).data?.viewer?.username ?? response.status;
}))"""
_STORED = """JSON.parse(Object.entries(localStorage).find(([name]) => name.startsWith("kindred "))?.[1] ?? "null")"""

DELIVERIES = ["body", "cookie"]
"""The ways to deliver refresh tokens. The last is the default in browsers."""
ANY_DELIVERY = pytest.mark.parametrize("site", DELIVERIES[-1:], indirect=True)
"""For tests that do not depend on the delivery of refresh tokens. They run with the default only."""
HIDDEN = "Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'})"
"""Script for pages that must not refresh by themselves."""
NO_LOCKS = "delete Navigator.prototype.locks"
"""Script for pages of a browser without Web Locks."""

FAST_TIME = """
    const [slow, now] = [setTimeout, performance.now.bind(performance)];
    window.setTimeout = (work, ms) => slow(work, ms / 5);
    performance.now = () => 5 * now();
"""
"""Script for pages whose time passes five times as fast."""


@dataclass(frozen=True)
class Servers:
    """Two servers of one database. Access tokens of `fleeting` live for a second, those of `lasting` for 15 minutes."""

    database_url: str
    fleeting: Process
    lasting: Process


@contextmanager
def servers_in(folder: Path) -> Iterator[Servers]:
    """Run both servers until the block ends. A fixture that outlives a test also outlives the test's event loop."""
    database_url = databases.migrated_sqlite(folder / "kindred.db")
    with asyncio.Runner() as runner:
        both = AsyncExitStack()

        async def start() -> list[Process]:
            # A development server creates a demo user if the database has no user.
            async with backstage(database_url, UNKNOWN_PASSWORD_HASH) as behind:
                await behind.user()
            # Some tests refresh a session more often than the rate limit allows.
            settings: dict[str, Any] = {"KINDRED_ENVIRONMENT": "development", "KINDRED_RATE_LIMITS": "off"}
            fleeting = settings | {"KINDRED_ACCESS_TOKEN_TTL": "1"}
            starting = [serving(database_url, folder, **each) for each in (fleeting, settings)]
            return list(await asyncio.gather(*map(both.enter_async_context, starting)))

        try:
            yield Servers(database_url, *runner.run(start()))
        finally:
            runner.run(both.aclose())


@dataclass
class FrontEnd:
    """A front end with one user, and its tabs in browsers."""

    browser: Browser
    servers: Servers
    relay: Relay
    username: str
    delivery: str
    # The service's URL, if the front end has another origin.
    url: str = ""

    def __post_init__(self) -> None:
        """Let the relay serve the front end's page."""
        self.pass_on()

    def pass_on(self) -> None:
        """Let every request reach the service, and every answer reach the page."""
        self.relay.before = serve_page
        self.relay.after = lambda request, response: response

    async def profile(self, *scripts: str, **options: Any) -> BrowserContext:
        """Create a browser profile. These scripts run first in each of its pages."""
        context = await self.browser.new_context(**options)
        for script in scripts:
            await context.add_init_script(script)
        return context

    async def copy(self, profile: BrowserContext) -> BrowserContext:
        """A profile with everything that an attacker can copy from the profile's disk."""
        return await self.profile(storage_state=await profile.storage_state())

    async def tab(self, profile: BrowserContext, **options: Any) -> Page:
        """Open the front end in a new tab. `options` are the client's."""
        page = await profile.new_page()
        await self.load(page, **options)
        return page

    async def load(self, page: Page, **options: Any) -> None:
        """Load the front end in this tab. This clears its memory."""
        await page.goto(f"{self.relay.url}/page")
        service = {"url": self.url} if self.url else {}
        await page.evaluate(START, {"delivery": self.delivery} | service | options)

    async def sign_in(self, page: Page) -> None:
        """Sign in by the client of this page."""
        who = {"username": self.username, "password": PASSWORD}
        result = await page.evaluate("(who) => kindred.login(who)", who)
        assert result["ok"], result

    async def signed_in(self, *scripts: str) -> tuple[BrowserContext, Page]:
        """A profile in which the user is signed in, and its tab."""
        profile = await self.profile(*scripts)
        tab = await self.tab(profile)
        await self.sign_in(tab)
        return profile, tab

    async def ask(self, page: Page, times: int = 1) -> list[str | int]:
        """Send this many requests at once. Return the username in each answer, or else its HTTP status."""
        answers: list[str | int] = await page.evaluate(_ASK, [self.url or self.relay.url, times])
        return answers

    async def is_signed_in(self, page: Page) -> bool:
        """Whether a request from this page is authenticated, and no session has ended for the page."""
        return await self.ask(page) == [self.username] and await page.evaluate("ended") == []


async def eventually(so: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(30):
        while not so():
            await asyncio.sleep(0.02)


async def until(page: Page, expression: str) -> None:
    """Wait until the expression is true in the page. Playwright's own function needs `eval`, which the page forbids."""
    async with asyncio.timeout(30):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)


async def ended(page: Page, reason: str) -> None:
    """Wait until the session ends for the page. Check that it ended once, for this reason."""
    await until(page, "ended.length > 0")
    assert await page.evaluate("ended") == [reason]
    assert await page.evaluate("kindred.getAccessToken()") is None


async def stored(page: Page) -> Any:
    """The content of the client's storage."""
    return await page.evaluate(_STORED)


def serve_page(request: RelayedRequest) -> Answer | None:
    """The relay's own answer, or None for a request to the service."""
    return _PAGE if request.path == "/page" else None
