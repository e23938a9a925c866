"""The end of a session: every tab learns the reason, once."""

import json

import pytest

from tests.support.relay import Answer, RelayedRequest, answer
from tests.web.front_end import ANY_DELIVERY, FrontEnd, ended, serve_page, stored, until

# The tests share a browser, and so the event loop that controls it.
pytestmark = pytest.mark.asyncio(loop_scope="session")

SESSIONS = "{ sessions(state: null) { edges { node { isCurrent revocationReason } } } }"


class RefusingRelay:
    """A relay that answers 401 to one bearer token, as if it had expired."""

    def __init__(self, site: FrontEnd, token: str) -> None:
        self._refused = f"Bearer {token}"
        site.relay.before = self.before

    def before(self, request: RelayedRequest) -> Answer | None:
        refused = request.headers.get("authorization") == self._refused
        return answer(401, "{}", Content_Type="application/json") if refused else serve_page(request)


async def test_the_owner_learns_that_an_attacker_refreshed_first(site: FrontEnd) -> None:
    """The attacker's next refresh then says that the session was revoked."""
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    attackers_tab = await site.tab(await site.copy(profile))
    assert await site.is_signed_in(attackers_tab)
    assert await site.is_signed_in(tab), "the owner's access token is still valid"

    RefusingRelay(site, await tab.evaluate("kindred.getAccessToken()"))
    assert await site.ask(tab) == [401]
    for page in (tab, other):
        await ended(page, "replayed")
    assert await site.ask(attackers_tab) == [401]
    await ended(attackers_tab, "revoked")


async def test_an_attacker_who_refreshes_second_ends_the_session(site: FrontEnd) -> None:
    """A copied token is never accepted after its rotation, not even within seconds."""
    profile, tab = await site.signed_in()
    copied = await site.copy(profile)
    await site.load(tab)
    assert await site.is_signed_in(tab)

    attackers_tab = await site.tab(copied)
    assert await attackers_tab.evaluate("kindred.getAccessToken()") is None
    await ended(attackers_tab, "replayed")
    assert await site.ask(tab) == [401]
    await ended(tab, "revoked")


async def test_signing_out_in_one_tab_reaches_the_others(site: FrontEnd) -> None:
    profile, tab = await site.signed_in()
    tabs = [tab, await site.tab(profile), await site.tab(profile)]
    token = await tab.evaluate("kindred.getAccessToken()")
    await tabs[1].evaluate("kindred.logout()")
    for each in tabs:
        await ended(each, "signed-out")
    assert await site.ask(tab) == [200], "requests are sent without a token"
    status = await tab.evaluate(
        """async (token) => (await fetch("/graphql", {method: "POST", body: '{"query": "{ viewer { id } }"}', headers:
            {"content-type": "application/json", authorization: `Bearer ${token}`}})).status""",
        token,
    )
    assert status == 401

    await site.sign_in(tab)
    sessions = (await tab.evaluate("(document) => kindred.graphql(document)", SESSIONS))["sessions"]["edges"]
    assert [edge["node"]["revocationReason"] for edge in sessions] == [None, "REVOKED_BY_USER"]
    assert await site.ask(tabs[2]) == [site.username]
    for each in tabs:
        assert await each.evaluate("ended") == ["signed-out"], "each end is reported once"


async def test_signing_out_needs_no_network(site: FrontEnd) -> None:
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    site.relay.before = lambda request: answer(503)
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
            kindred.onSessionEnded(() => { throw new Error("this listener fails") });
            kindred.onSessionEnded((reason) => window.also = reason);
            kindred.onSessionEnded((reason) => window.never = reason)();
        }"""
    )
    refused = json.dumps({"data": {"refreshToken": {"__typename": refusal, "message": "No."}}})

    def refuse(request: RelayedRequest) -> Answer | None:
        if request.calls("refreshToken"):
            return answer(200, refused, Content_Type="application/json")
        expired = "authorization" in request.headers
        return answer(401, "{}", Content_Type="application/json") if expired else serve_page(request)

    site.relay.before = refuse
    assert await site.ask(tab) == [401]
    await ended(tab, reason)
    await ended(other, reason)
    assert await tab.evaluate("[window.also, window.never]") == [reason, None]
    assert site.relay.count("refreshToken") == 1
    assert "token" not in await stored(tab)
    # A page that is loaded later has no session and learns of no end.
    late = await site.tab(profile)
    assert await late.evaluate("kindred.getAccessToken()") is None
    assert await late.evaluate("ended") == []


@ANY_DELIVERY
async def test_a_tab_switches_to_the_session_of_a_sign_in_in_another_tab(site: FrontEnd) -> None:
    """A browser has one session. A newer session replaces the older one, and neither has ended."""
    profile, tab = await site.signed_in()
    other = await site.tab(profile)
    before = await other.evaluate("kindred.getAccessToken()")
    await site.sign_in(tab)
    await until(other, f"kindred.getAccessToken().then((token) => token !== '{before}')")
    assert await site.is_signed_in(other)
    assert await other.evaluate("kindred.getAccessToken()") == await tab.evaluate("kindred.getAccessToken()")
