"""A sibling domain plants cookies beside the genuine one, over TLS, in a browser that accepts some of them."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from playwright.async_api import Browser, BrowserContext, expect

from auth.clock import SystemClock
from tests.support.endpoints import Api
from tests.support.receivers import certificate
from tests.support.relay import Answer, RelayedRequest, relaying
from tests.support.servers import backstage, serving
from tests.web.account.page import visiting
from tests.web.conftest import need_chromium, started

SERVICE, SIBLING = "auth.example.test", "blog.example.test"
NAME = b"__Host-kindred-refresh"
# The name with each byte before and after it, and other spellings that a browser or a server may treat as equal.
PLANTED = [name for byte in range(256) for name in (bytes([byte]) + NAME, NAME + bytes([byte]))]
PREFIXED = [NAME, NAME.lower(), NAME.upper(), b"=" + NAME, *PLANTED[1::2]]
PLANTED += PREFIXED[:4]
# A browser keeps 180 cookies of a site, and the service reads 64 KiB of a request's head. The browser accepts half.
BATCH = 170
# These bytes would end a header, so the page sets such cookies by script.
NOT_IN_HEADERS = frozenset(b"\0\r\n")


@dataclass
class CookieAttack:
    """The service and its sibling domain, served through one relay that terminates TLS."""

    browser: Browser
    victim: str
    # The refresh token of the attacker's own session.
    token: bytes
    # The names of the cookies that the sibling plants.
    names: list[bytes] = field(default_factory=list)
    # Each refresh by a page, and its answer.
    refreshes: list[tuple[RelayedRequest, Answer]] = field(default_factory=list)

    def sibling(self, request: RelayedRequest) -> Answer | None:
        """The sibling's page, which sets the cookies. None for requests to the service."""
        if request.headers["host"] != SIBLING:
            return None
        by_header = [name for name in self.names if NOT_IN_HEADERS.isdisjoint(name)]
        lines = [b"Set-Cookie: " + self._cookie(name) for name in by_header]
        body = b"<!doctype html><title>A blog</title><link rel=icon href=data:,>"
        head = [b"HTTP/1.1 200 .", b"Content-Type: text/html", b"Content-Length: %d" % len(body), *lines]
        return b"\r\n".join([*head, b"", body])

    def _cookie(self, name: bytes) -> bytes:
        return b"%b=%b; Domain=example.test; Path=/; Secure" % (name, self.token)

    def note(self, request: RelayedRequest, response: Answer) -> Answer:
        """Record the refreshes."""
        if request.calls("refreshToken"):
            self.refreshes.append((request, response))
        return response

    async def plant(self, profile: BrowserContext, names: list[bytes]) -> None:
        """Have the victim visit the sibling, which plants cookies of these names."""
        self.names = names
        page = await profile.new_page()
        await page.goto(f"https://{SIBLING}/")
        by_script = [self._cookie(name).decode("latin-1") for name in names if not NOT_IN_HEADERS.isdisjoint(name)]
        await page.evaluate("(cookies) => cookies.forEach((cookie) => { document.cookie = cookie; })", by_script)
        await page.close()


@pytest.fixture
async def attack(sqlite_url: str, tmp_path: Path, password_hash: str) -> AsyncIterator[CookieAttack]:
    """A victim, an attacker with a session, and a browser that resolves both hosts."""
    need_chromium()
    async with AsyncExitStack() as stack:
        async with backstage(sqlite_url, password_hash) as behind:
            for name in ("victim", "attacker"):
                await behind.services.accounts.import_user(name, None, password_hash, SystemClock().now())
        server = await stack.enter_async_context(serving(sqlite_url, tmp_path))
        async with AsyncClient(base_url=server.url) as http:
            token = (await Api(http).login("attacker")).refresh
        tls, _ = certificate(tmp_path, host=SERVICE)
        relay = await stack.enter_async_context(relaying(server.port, tls))
        port = relay.url.rpartition(":")[2]
        rules = ", ".join(f"MAP {host}:443 127.0.0.1:{port}" for host in (SERVICE, SIBLING))
        browser = await stack.enter_async_context(started(f"--host-resolver-rules={rules}"))
        attack = CookieAttack(browser, "victim", token.encode())
        relay.before, relay.after = attack.sibling, attack.note
        yield attack


@pytest.mark.parametrize("order", ["planted after the sign-in", "planted before the sign-in"])
async def test_web_01_cookies_that_a_sibling_domain_plants_change_nothing(attack: CookieAttack, order: str) -> None:
    """For each byte that the browser accepts, the victim stays signed in, and as themselves."""
    accepted: set[bytes] = set()
    for start in range(0, len(PLANTED), BATCH):
        names = PLANTED[start : start + BATCH]
        async with visiting(attack.browser, f"https://{SERVICE}", attack.victim, ignore_https_errors=True) as visit:
            if order == "planted before the sign-in":
                await attack.plant(visit.context, names)
            await visit.sign_in()
            if order == "planted after the sign-in":
                await attack.plant(visit.context, names)
            attack.refreshes.clear()
            await visit.page.reload()
            await expect(visit.page.locator("#user .username")).to_have_text(attack.victim)
            ((request, response),) = attack.refreshes

            sent = request.headers["cookie"].encode("latin-1").split(b"; ")
            assert sum(pair.startswith(NAME + b"=") for pair in sent) == 1
            accepted |= {name for name in names if b"%b=%b" % (name, attack.token) in sent}
            head, _, body = response.partition(b"\r\n\r\n")
            assert json.loads(body)["data"]["refreshToken"]["__typename"] == "RefreshTokenSuccess"
            (cookie,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"set-cookie:")]
            assert b"max-age=0" not in cookie.lower()
    # Otherwise the browser stopped the attack, and the test did not reach the service.
    assert {b"\xa0" + NAME, b"\x85" + NAME} <= accepted
    # A browser refuses a name with the `__Host-` prefix and a Domain.
    assert accepted.isdisjoint(PREFIXED)
