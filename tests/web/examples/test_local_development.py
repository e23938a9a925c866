"""docs/local-development.md: a front end, an API and the service on three origins, from the files of the page."""

import asyncio
import functools
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.async_api import Browser, expect

from auth.clock import SystemClock
from tests.support.endpoints import PASSWORD
from tests.support.repository import ROOT
from tests.support.servers import backstage, free_port, serving

PAGE = (ROOT / "docs" / "local-development.md").read_text(encoding="utf-8")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Write nothing to the test's output."""


@contextmanager
def front_end(folder: Path, port: int) -> Iterator[None]:
    """Serve a folder, as `python3 -m http.server` does."""
    with ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


@asynccontextmanager
async def api(folder: Path, port: int) -> AsyncIterator[None]:
    """Run `api:app` of a folder; it accepts connections when the block begins."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "api:app", "--port", str(port)]
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(300):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                break
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


def write_files(folder: Path, ports: dict[str, int]) -> None:
    """The files of the page, for other ports."""
    for name, kind in (("api.py", "python"), ("index.html", "html")):
        (block,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
        assert name in block.splitlines()[0]
        for port, other in ports.items():
            block = block.replace(f"localhost:{port}", f"localhost:{other}")
        (folder / name).write_text(block, encoding="utf-8")


async def test_the_page_s_three_origins_sign_in_call_the_api_and_survive_a_reload(
    browser: Browser, sqlite_url: str, tmp_path: Path, password_hash: str
) -> None:
    ports = {"3000": free_port(), "4000": free_port()}
    async with backstage(sqlite_url, password_hash) as behind:
        await behind.services.accounts.import_user("demo", None, password_hash, SystemClock().now())
    origin = f"http://localhost:{ports['3000']}"
    async with serving(
        sqlite_url, tmp_path, KINDRED_ENVIRONMENT="development", KINDRED_ALLOWED_ORIGINS=origin
    ) as server:
        write_files(tmp_path, ports | {"8000": server.port})
        async with api(tmp_path, ports["4000"]):
            with front_end(tmp_path, ports["3000"]):
                page = await browser.new_page()
                await page.goto(origin)
                await page.locator("[name=password]").fill(PASSWORD)
                await page.get_by_role("button", name="Sign in").click()
                await expect(page.locator("pre")).to_contain_text('"ok":true')
                for _ in range(2):
                    await page.get_by_role("button", name="Get orders").click()
                    await expect(page.locator("pre")).to_contain_text("three grey owls")
                    await page.reload()
                (cookie,) = await page.context.cookies()
                assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
