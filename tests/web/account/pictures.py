"""Writes the pictures of the account page in docs/images: `python -m tests.web.account.pictures`."""

import asyncio
from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, expect

from auth.clock import SystemClock
from auth.credentials.password_hashing import hash_password
from tests.support import databases
from tests.support.endpoints import PASSWORD
from tests.support.repository import ROOT
from tests.support.servers import backstage, serving
from tests.web.account.history import FIREFOX, HOME, AccountHistory
from tests.web.account.page import Visit, visiting
from tests.web.conftest import started

IMAGES = ROOT / "docs" / "images"
LARGEST = 120_000  # bytes
DESKTOP = {"width": 1100, "height": 720}
PHONE = {"width": 360, "height": 1120}


async def main() -> None:
    """Take pictures of an account with a history."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        database_url = await asyncio.to_thread(databases.migrated_sqlite, folder / "kindred.db")
        password_hash = hash_password(PASSWORD)
        async with backstage(database_url, password_hash) as behind:
            now = SystemClock().now()
            await behind.services.accounts.import_user("alice", None, password_hash, now)
            history = AccountHistory(behind.services, "alice", now)
            await history.several_devices()
            await history.theft()
        async with (
            serving(
                database_url, folder, KINDRED_TRUSTED_PROXIES="127.0.0.1", KINDRED_ENVIRONMENT="development"
            ) as server,
            started() as browser,
        ):
            await draw(browser, server.url)


async def draw(browser: Browser, url: str) -> None:
    """Take the four pictures, each in its own session."""
    alice: dict[str, Any] = {
        "user_agent": FIREFOX,
        "locale": "en-GB",
        "reduced_motion": "reduce",
        "extra_http_headers": {"x-forwarded-for": HOME},
    }
    async with visiting(browser, url, "alice", viewport=DESKTOP, **alice) as visit:
        await visit.open()
        await visit.page.get_by_label("Username").fill("alice")
        await picture(visit, "account-sign-in")
        await visit.sign_in()
        await picture(visit, "account-sessions", whole=True)
        await visit.page.get_by_role("link", name="See what happened").click()
        await expect(visit.page.get_by_role("heading", name="Two parties held token 4")).to_be_visible()
        await picture(visit, "account-replay", whole=True)
        await visit.button("Sign out").click()
        await expect(visit.page.get_by_label("Username")).to_be_visible()
    async with visiting(
        browser, url, "alice", viewport=PHONE, color_scheme="dark", device_scale_factor=2, **alice
    ) as visit:
        await visit.sign_in()
        await picture(visit, "account-sessions-phone")


async def picture(visit: Visit, name: str, *, whole: bool = False) -> None:
    """Take one picture, of the window or of the whole page."""
    # Remove the focus ring that the last action left.
    await visit.page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    size = visit.page.viewport_size
    assert size
    height = await visit.page.evaluate("document.body.scrollHeight") if whole else size["height"]
    scale = await visit.page.evaluate("devicePixelRatio")
    clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": scale}
    devtools = await visit.context.new_cdp_session(visit.page)
    shot = await devtools.send(
        "Page.captureScreenshot",
        {"format": "webp", "quality": 85, "clip": clip, "captureBeyondViewport": True},
    )
    image = b64decode(shot["data"])
    assert len(image) < LARGEST, f"{name} has {len(image)} bytes"
    (IMAGES / f"{name}.webp").write_bytes(image)
    print(f"{len(image):8}  docs/images/{name}.webp")


if __name__ == "__main__":
    asyncio.run(main())
