"""How a session ends for a front end: it says why, in each tab, once."""

import json

import pytest

from tests.support.relay import Answer, Asked, answer
from tests.web.front_end import ANY_DELIVERY, FrontEnd, ended, page_of_ours, stored, until

# The browser is shared, and so is the loop that it is driven from.
pytestmark = pytest.mark.asyncio(loop_scope="session")

SESSIONS = "{ sessions(state: null) { edges { node { isCurrent revocationReason } } } }"


class Refusing:
    """Answers 401 to one bearer token, as if it had expired."""

    def __init__(self, site: FrontEnd, token: str) -> None:
        self._refused = f"Bearer {token}"
        site.relay.before = self.before

    def before(self, asked: Asked) -> Answer | None:
        refused = asked.headers.get("authorization") == self._refused
        return answer(401, "{}", Content_Type="application/json") if refused else page_of_ours(asked)


async def test_the_owner_learns_of_a_thief_who_was_first(site: FrontEnd) -> None:
    """And whoever asks after that is told that the session was ended."""
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    theirs = await site.tab(await site.copy(profile))
    assert await site.is_signed_in(theirs)
    assert await site.is_signed_in(tab), "access tokens do not tell"

    Refusing(site, await tab.evaluate("kindred.getAccessToken()"))
    assert await site.ask(tab) == [401]
    for page in (tab, other):
        await ended(page, "replayed")
    assert await site.ask(theirs) == [401]
    await ended(theirs, "revoked")


async def test_a_thief_who_comes_second_ends_the_session(site: FrontEnd) -> None:
    """There is no time within which the copy is good."""
    profile, tab = await site.signed_in()
    copied = await site.copy(profile)
    await site.load(tab)
    assert await site.is_signed_in(tab)

    theirs = await site.tab(copied)
    assert await theirs.evaluate("kindred.getAccessToken()") is None
    await ended(theirs, "replayed")
    assert await site.ask(tab) == [401]
    await ended(tab, "revoked")


async def test_signing_out_in_one_tab_reaches_the_others(site: FrontEnd) -> None:
    profile, tab = await site.signed_in()
    tabs = [tab, await site.tab(profile), await site.tab(profile)]
    token = await tab.evaluate("kindred.getAccessToken()")
    await tabs[1].evaluate("kindred.logout()")
    for each in tabs:
        await ended(each, "signed-out")
    assert await site.ask(tab) == [200], "and nobody asks as anybody"
    answered = await tab.evaluate(
        """async (token) => (await fetch("/graphql", {method: "POST", body: '{"query": "{ viewer { id } }"}', headers:
            {"content-type": "application/json", authorization: `Bearer ${token}`}})).status""",
        token,
    )
    assert answered == 401

    await site.sign_in(tab)
    sessions = (await tab.evaluate("(document) => kindred.graphql(document)", SESSIONS))["sessions"]["edges"]
    assert [edge["node"]["revocationReason"] for edge in sessions] == [None, "REVOKED_BY_USER"]
    assert await site.ask(tabs[2]) == [site.username]
    for each in tabs:
        assert await each.evaluate("ended") == ["signed-out"], "each end is told once"


async def test_signing_out_needs_no_network(site: FrontEnd) -> None:
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    site.relay.before = lambda asked: answer(503)
    await tab.evaluate("kindred.logout()")
    site.pass_on()
    await ended(tab, "signed-out")
    await ended(other, "signed-out")
    assert (await stored(tab)).keys() == {"id", "version", "ended"}
    await site.load(tab)
    assert await tab.evaluate("kindred.getAccessToken()") is None


@ANY_DELIVERY
@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        ("RefreshTokenExpiredError", "expired"),
        ("InvalidRefreshTokenError", "invalid"),
        ("SessionRevokedError", "revoked"),
        ("RefreshTokenReplayedError", "replayed"),
    ],
)
async def test_each_refusal_is_a_reason(site: FrontEnd, refusal: str, reason: str) -> None:
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    await tab.evaluate(
        """() => {
            kindred.onSessionEnded(() => { throw new Error("a listener of no use") });
            kindred.onSessionEnded((reason) => window.also = reason);
            kindred.onSessionEnded((reason) => window.never = reason)();
        }"""
    )
    refused = json.dumps({"data": {"refreshToken": {"__typename": refusal, "message": "No."}}})

    def refuse(asked: Asked) -> Answer | None:
        if asked.calls("refreshToken"):
            return answer(200, refused, Content_Type="application/json")
        expired = "authorization" in asked.headers
        return answer(401, "{}", Content_Type="application/json") if expired else page_of_ours(asked)

    site.relay.before = refuse
    assert await site.ask(tab) == [401]
    await ended(tab, reason)
    await ended(other, reason)
    assert await tab.evaluate("[window.also, window.never]") == [reason, None]
    assert site.relay.count("refreshToken") == 1
    assert "token" not in await stored(tab)
    # Whoever comes later has no session, and nothing to be told of.
    late = await site.tab(profile)
    assert await late.evaluate("kindred.getAccessToken()") is None
    assert await late.evaluate("ended") == []


@ANY_DELIVERY
async def test_a_tab_follows_the_one_in_which_somebody_signs_in(site: FrontEnd) -> None:
    """There is one session to a browser; a newer one takes the place of the older, and neither has ended."""
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    before = await other.evaluate("kindred.getAccessToken()")
    await site.sign_in(tab)
    await until(other, f"kindred.getAccessToken().then((token) => token !== '{before}')")
    assert await site.is_signed_in(other)
    assert await other.evaluate("kindred.getAccessToken()") == await tab.evaluate("kindred.getAccessToken()")
