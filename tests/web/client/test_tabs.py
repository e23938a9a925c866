"""Many tabs with one session: a browser refreshes once at a time, and all tabs get the token."""

import asyncio

import pytest

from tests.support.relay import Answer, RelayedRequest
from tests.web.front_end import ANY_DELIVERY, FAST_TIME, HIDDEN, NO_LOCKS, FrontEnd, eventually, until

# The tests share a browser, and so the event loop that controls it.
pytestmark = pytest.mark.asyncio(loop_scope="session")

TABS, REQUESTS = 10, 20
LEASE = """(ms) => new Promise((resolve) => {
    indexedDB.open("kindred").onsuccess = ({target: {result: db}}) => {
        const [name] = Object.keys(localStorage).filter((name) => name.startsWith("kindred "));
        const transaction = db.transaction("leases", "readwrite");
        transaction.objectStore("leases").put({owner: "a tab that crashed", until: Date.now() + ms}, name);
        transaction.oncomplete = () => { db.close(); resolve() };
    };
})"""


def longer(request: RelayedRequest, response: Answer) -> Answer:
    """Make the answer to a login claim that its access token lives nine seconds instead of one."""
    return response.replace(b'"expiresIn":1}', b'"expiresIn":9}') if request.calls("login") else response


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no-locks"])
async def test_web_08_ten_tabs_refresh_once(site: FrontEnd, locks: bool) -> None:
    """Whether the tabs know that the access token has expired, or learn it from 401."""
    known = (site.delivery == "cookie") == locks
    profile = await site.profile(HIDDEN, *([] if locks else [NO_LOCKS]))
    tabs = await asyncio.gather(*(site.tab(profile) for _ in range(TABS)))
    assert await tabs[0].evaluate("'locks' in navigator") == locks
    site.relay.to = site.servers.fleeting.port
    if not known:
        site.relay.after = longer
    await site.sign_in(tabs[0])
    await asyncio.sleep(1.1)
    site.relay.to = site.servers.lasting.port

    answers = await asyncio.gather(*(site.ask(tab, REQUESTS) for tab in tabs))
    assert answers == [[site.username] * REQUESTS] * TABS
    assert site.relay.count("refreshToken") == 1
    assert [await tab.evaluate("ended") for tab in tabs] == [[]] * TABS


async def test_a_tab_gets_the_access_token_from_another(site: FrontEnd) -> None:
    """It refreshes only if no other tab has one."""
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    assert await site.is_signed_in(other)
    assert site.relay.count("refreshToken") == 0
    await tab.close()
    await site.load(other)
    assert await site.is_signed_in(other)
    assert site.relay.count("refreshToken") == 1


@ANY_DELIVERY
async def test_an_open_tab_learns_of_a_sign_in_in_another_tab(site: FrontEnd) -> None:
    """The tab was open before the sign-in."""
    profile = await site.profile()
    waiting, tab = await site.tab(profile), await site.tab(profile)
    assert await waiting.evaluate("kindred.getAccessToken()") is None
    await site.sign_in(tab)
    await until(waiting, "kindred.getAccessToken()")
    assert await site.is_signed_in(waiting)
    assert site.relay.count("refreshToken") == 0


@ANY_DELIVERY
async def test_a_frozen_tab_with_the_lock_does_not_block_the_others(site: FrontEnd) -> None:
    """Such as a tab that a phone has suspended during a refresh."""
    profile, tab = await site.signed_in(FAST_TIME)
    stuck = await profile.new_page()
    await stuck.goto(f"{site.relay.url}/page")
    name = await stuck.evaluate("Object.keys(localStorage).find((name) => name.startsWith('kindred '))")
    await stuck.evaluate("(name) => void navigator.locks.request(name, () => new Promise(() => {}))", name)
    await site.load(tab)
    assert await site.is_signed_in(tab)
    assert site.relay.count("refreshToken") == 1


@ANY_DELIVERY
@pytest.mark.parametrize("until", [1_000, 3_600_000], ids=["soon", "by-a-clock-since-put-back"])
async def test_the_lease_of_a_closed_tab_does_not_block_the_others(site: FrontEnd, until: int) -> None:
    """Without Web Locks, which end with their tab."""
    _, tab = await site.signed_in(NO_LOCKS)
    await site.load(tab)
    await tab.evaluate(LEASE, until)
    assert await site.is_signed_in(tab)
    assert site.relay.count("refreshToken") == 1


@ANY_DELIVERY
async def test_a_visible_page_refreshes_access_tokens_ahead_of_expiry(site: FrontEnd) -> None:
    site.relay.to = site.servers.fleeting.port
    _, tab = await site.signed_in()
    await eventually(lambda: site.relay.count("refreshToken") >= 2)
    # Before any request was refused, and without a call by the page.
    assert {request.path for request in site.relay.seen} <= {"/page", "/assets/kindred-client.js", "/graphql"}
    assert await site.is_signed_in(tab)


@ANY_DELIVERY
async def test_a_hidden_page_does_not_refresh_until_it_is_visible(site: FrontEnd) -> None:
    """Otherwise a forgotten tab would keep its session alive for ever."""
    site.relay.to = site.servers.fleeting.port
    _, tab = await site.signed_in("window.seen = 'hidden'", HIDDEN.replace("'hidden'", "seen"))
    await asyncio.sleep(1.5)
    assert site.relay.count("refreshToken") == 0
    await tab.evaluate("seen = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    await until(tab, "kindred.getAccessToken()")
    assert site.relay.count("refreshToken") >= 1
