"""A front end on another origin than the service: what the operator sets, and what then works (CORS)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.support.endpoints import PASSWORD
from tests.support.relay import relaying
from tests.support.servers import serving
from tests.web.front_end import START, FrontEnd

# The tests share a browser, and so the event loop that controls it.
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere(site: FrontEnd, tmp_path: Path) -> AsyncIterator[FrontEnd]:
    """The front end, with a service on another origin of the same site."""
    async with relaying(0) as relay:
        settings: dict[str, Any] = {"KINDRED_ENVIRONMENT": "development", "KINDRED_ALLOWED_ORIGINS": relay.url}
        async with serving(site.servers.database_url, tmp_path, **settings) as server:
            relay.to = server.port
            yield replace(site, relay=relay, url=server.url)


async def test_a_front_end_on_an_allowed_origin_works(elsewhere: FrontEnd) -> None:
    """The user signs in, stays signed in after a reload, and signs out."""
    profile = await elsewhere.profile(bypass_csp=True)  # the page's policy allows its own origin only
    tab = await elsewhere.tab(profile)
    await elsewhere.sign_in(tab)
    assert await elsewhere.is_signed_in(tab)
    await elsewhere.load(tab)
    assert await elsewhere.is_signed_in(tab)
    assert await tab.evaluate("kindred.graphql('{ viewer { username } }')") == {
        "viewer": {"username": elsewhere.username}
    }
    await tab.evaluate("kindred.logout()")
    assert await tab.evaluate("kindred.getAccessToken()") is None
    assert await profile.cookies() == []
    assert {request.path for request in elsewhere.relay.seen} == {"/page", "/assets/kindred-client.js"}


async def test_a_module_loaded_from_the_service_knows_the_service_s_url(
    elsewhere: FrontEnd,
) -> None:
    """As in docs/clients.md."""
    tab = await (await elsewhere.profile(bypass_csp=True)).new_page()
    await tab.goto(f"{elsewhere.relay.url}/page")
    username = await tab.evaluate(
        """async ([url, who]) => {
            const { createClient } = await import(`${url}/assets/kindred-client.js`);
            const kindred = createClient();
            await kindred.login(who);
            return (await kindred.graphql("{ viewer { username } }")).viewer.username;
        }""",
        [elsewhere.url, {"username": elsewhere.username, "password": PASSWORD}],
    )
    assert username == elsewhere.username
    assert [request.path for request in elsewhere.relay.seen] == ["/page"]


async def test_a_front_end_and_the_service_s_own_pages_keep_separate_sessions(elsewhere: FrontEnd) -> None:
    """One browser has a session for each of two origins. Both refresh at the same time."""
    profile = await elsewhere.profile(bypass_csp=True)
    there = await elsewhere.tab(profile)
    here = await profile.new_page()
    await here.goto(f"{elsewhere.url}/account")
    start = {"delivery": elsewhere.delivery}
    await here.evaluate(START, start)
    for tab in (there, here):
        await elsewhere.sign_in(tab)
    sessions = [await session_of(tab) for tab in (there, here)]
    assert sessions[0] != sessions[1]
    for _ in range(3):
        await elsewhere.load(there)
        await here.reload()
        await here.evaluate(START, start)
        assert list(await asyncio.gather(session_of(there), session_of(here))) == sessions
        assert [await elsewhere.is_signed_in(tab) for tab in (there, here)] == [True, True]


async def session_of(tab: Page) -> str:
    """The ID of the session that the tab's access token belongs to."""
    claims = jwt.decode(await tab.evaluate("kindred.getAccessToken()"), options={"verify_signature": False})
    return str(claims["sid"])


async def test_a_front_end_on_another_origin_cannot_sign_in(site: FrontEnd) -> None:
    """The browser withholds the answer. With cookies, the service refuses the request."""
    async with relaying(site.servers.lasting.port) as relay:
        other = replace(site, relay=relay, url=site.servers.lasting.url)
        tab = await other.tab(await other.profile(bypass_csp=True))
        with pytest.raises(Exception, match="Failed to fetch"):
            await other.sign_in(tab)
        assert await tab.context.cookies() == []
