"""A real browser, and the service as an operator runs it."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

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


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """A browser, with a profile for each of its contexts."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=_OPTIONS)
        yield browser
        await browser.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium; where there is none, the test is skipped, and says so."""
    if chromium() is None:
        pytest.skip("there is no Chromium here; Debian's package is `chromium`")
    async with started() as browser:
        yield browser
