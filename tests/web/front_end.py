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
from tests.support.doors import PASSWORD
from tests.support.relay import Answer, Asked, Relay, answer
from tests.support.servers import Process, backstage, serving

# The page is strict about scripts, as the service's own are.
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
"""What makes a page one of a front end."""
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
"""How refresh tokens may be delivered; the last is the default in browsers."""
ANY_DELIVERY = pytest.mark.parametrize("site", DELIVERIES[-1:], indirect=True)
"""For tests in which it makes no difference how refresh tokens are delivered: they run with the default."""
HIDDEN = "Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'})"
"""For pages that shall not refresh by themselves."""
NO_LOCKS = "delete Navigator.prototype.locks"
"""For pages of a browser that has no Web Locks."""

HURRY = """
    const [slow, now] = [setTimeout, performance.now.bind(performance)];
    window.setTimeout = (work, ms) => slow(work, ms / 5);
    performance.now = () => 5 * now();
"""
"""For pages whose time passes five times as fast."""


@dataclass(frozen=True)
class Servers:
    """Two of one database: access tokens of the one last for a second, of the other for fifteen minutes."""

    database_url: str
    fleeting: Process
    lasting: Process


@contextmanager
def servers_in(folder: Path) -> Iterator[Servers]:
    """Both, until the block ends. For a fixture that outlives a test, and so its event loop."""
    database_url = databases.migrated_sqlite(folder / "kindred.db")
    with asyncio.Runner() as runner:
        both = AsyncExitStack()

        async def start() -> list[Process]:
            # Where there is a user, development makes none.
            async with backstage(database_url, "no hash") as behind:
                await behind.user()
            # Some tests refresh a session more often in a minute than anybody may.
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
    """A front end of the service for one of its users, and tabs of browsers on it."""

    browser: Browser
    servers: Servers
    relay: Relay
    username: str
    delivery: str
    # The service's, where it is not the front end's own.
    url: str = ""

    def __post_init__(self) -> None:
        """Serve what is not the service's."""
        self.pass_on()

    def pass_on(self) -> None:
        """Let every request reach the service, and every answer come back."""
        self.relay.before = page_of_ours
        self.relay.after = lambda asked, answered: answered

    async def profile(self, *scripts: str, **options: Any) -> BrowserContext:
        """A profile of a browser, in whose pages these scripts run first."""
        context = await self.browser.new_context(**options)
        for script in scripts:
            await context.add_init_script(script)
        return context

    async def copy(self, profile: BrowserContext) -> BrowserContext:
        """What a thief has who copied all of the profile that is on its disk."""
        return await self.profile(storage_state=await profile.storage_state())

    async def tab(self, profile: BrowserContext, **options: Any) -> Page:
        """A new tab on the front end; `options` are the client's."""
        page = await profile.new_page()
        await self.load(page, **options)
        return page

    async def load(self, page: Page, **options: Any) -> None:
        """Load the front end there; what was in memory is gone then."""
        await page.goto(f"{self.relay.url}/page")
        service = {"url": self.url} if self.url else {}
        await page.evaluate(START, {"delivery": self.delivery} | service | options)

    async def sign_in(self, page: Page) -> None:
        """Sign in there."""
        who = {"username": self.username, "password": PASSWORD}
        answered = await page.evaluate("(who) => kindred.login(who)", who)
        assert answered["ok"], answered

    async def signed_in(self, *scripts: str) -> tuple[BrowserContext, Page]:
        """A profile in which the user is signed in, and a tab of it."""
        profile = await self.profile(*scripts)
        tab = await self.tab(profile)
        await self.sign_in(tab)
        return profile, tab

    async def ask(self, page: Page, times: int = 1) -> list[str | int]:
        """Who the service takes us for, in its answers to so many requests at once; or the status of the answer."""
        answers: list[str | int] = await page.evaluate(_ASK, [self.url or self.relay.url, times])
        return answers

    async def is_signed_in(self, page: Page) -> bool:
        """Whether a request from there is answered as one of the user's, and the page has heard of no end."""
        return await self.ask(page) == [self.username] and await page.evaluate("ended") == []


async def eventually(so: Callable[[], bool]) -> None:
    """Wait until that is so."""
    async with asyncio.timeout(30):
        while not so():
            await asyncio.sleep(0.02)


async def until(page: Page, expression: str) -> None:
    """Wait until that is so in the page. (Playwright's own way to wait needs `eval`, which the page forbids.)"""
    async with asyncio.timeout(30):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)


async def ended(page: Page, reason: str) -> None:
    """Wait until the page has heard why its session ended, and see that it heard of nothing else."""
    await until(page, "ended.length > 0")
    assert await page.evaluate("ended") == [reason]
    assert await page.evaluate("kindred.getAccessToken()") is None


async def stored(page: Page) -> Any:
    """What the client has in storage."""
    return await page.evaluate(_STORED)


def page_of_ours(asked: Asked) -> Answer | None:
    """What the relay answers by itself."""
    return _PAGE if asked.path == "/page" else None
