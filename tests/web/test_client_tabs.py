"""Many tabs, one session: one refresh at a time in a browser, and what one tab gets, all have."""

import asyncio

import pytest

from tests.support.relay import Answer, Asked
from tests.web.front_end import ANY_DELIVERY, HIDDEN, HURRY, NO_LOCKS, FrontEnd, eventually, until

# The browser is shared, and so is the loop that it is driven from.
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


def longer(asked: Asked, answered: Answer) -> Answer:
    """An answer that claims that its access token lasts for longer than it does, by as many digits."""
    return answered.replace(b'"expiresIn":1}', b'"expiresIn":9}') if asked.calls("login") else answered


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no-locks"])
async def test_web_08_ten_tabs_refresh_once(site: FrontEnd, locks: bool) -> None:
    """Of an access token that has expired, whether its holders know that or are told so by 401."""
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
    """It asks the service only where there is no other."""
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    assert await site.is_signed_in(other)
    assert site.relay.count("refreshToken") == 0
    await tab.close()
    await site.load(other)
    assert await site.is_signed_in(other)
    assert site.relay.count("refreshToken") == 1


@ANY_DELIVERY
async def test_a_tab_that_shows_nothing_new_hears_of_a_sign_in_elsewhere(site: FrontEnd) -> None:
    """It was there before."""
    profile = await site.profile()
    waiting, tab = await site.tab(profile), await site.tab(profile)
    assert await waiting.evaluate("kindred.getAccessToken()") is None
    await site.sign_in(tab)
    await until(waiting, "kindred.getAccessToken()")
    assert await site.is_signed_in(waiting)
    assert site.relay.count("refreshToken") == 0


@ANY_DELIVERY
async def test_a_tab_that_holds_the_lock_and_is_stuck_does_not_keep_the_others_waiting(site: FrontEnd) -> None:
    """As one that a phone has put to sleep in the middle."""
    profile, tab = await site.signed_in(HURRY)
    stuck = await profile.new_page()
    await stuck.goto(f"{site.relay.url}/page")
    name = await stuck.evaluate("Object.keys(localStorage).find((name) => name.startsWith('kindred '))")
    await stuck.evaluate("(name) => void navigator.locks.request(name, () => new Promise(() => {}))", name)
    await site.load(tab)
    assert await site.is_signed_in(tab)
    assert site.relay.count("refreshToken") == 1


@ANY_DELIVERY
@pytest.mark.parametrize("until", [1_000, 3_600_000], ids=["soon", "by-a-clock-since-put-back"])
async def test_a_lease_of_a_tab_that_is_gone_does_not_keep_the_others_waiting(site: FrontEnd, until: int) -> None:
    """Where there are no Web Locks, which end with their tab."""
    _, tab = await site.signed_in(NO_LOCKS)
    await site.load(tab)
    await tab.evaluate(LEASE, until)
    assert await site.is_signed_in(tab)
    assert site.relay.count("refreshToken") == 1


@ANY_DELIVERY
async def test_access_tokens_are_refreshed_ahead_of_expiry_where_somebody_may_be_looking(site: FrontEnd) -> None:
    site.relay.to = site.servers.fleeting.port
    _, tab = await site.signed_in()
    await eventually(lambda: site.relay.count("refreshToken") >= 2)
    # Before anything was refused, and without a word from the page.
    assert {asked.path for asked in site.relay.seen} <= {"/page", "/assets/kindred-client.js", "/graphql"}
    assert await site.is_signed_in(tab)


@ANY_DELIVERY
async def test_a_page_that_nobody_sees_refreshes_nothing_until_it_is_seen(site: FrontEnd) -> None:
    """Or a forgotten tab would keep its session alive for ever."""
    site.relay.to = site.servers.fleeting.port
    _, tab = await site.signed_in("window.seen = 'hidden'", HIDDEN.replace("'hidden'", "seen"))
    await asyncio.sleep(1.5)
    assert site.relay.count("refreshToken") == 0
    await tab.evaluate("seen = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    await until(tab, "kindred.getAccessToken()")
    assert site.relay.count("refreshToken") >= 1
