"""Failures that do not end a session: the client waits, and then repeats the same refresh."""

import json
from functools import partial

import pytest

from tests.support.relay import Answer, RelayedRequest, answer
from tests.web.front_end import ANY_DELIVERY, FAST_TIME, HIDDEN, FrontEnd, eventually, serve_page, stored

# The tests share a browser, and so the event loop that controls it.
pytestmark = pytest.mark.asyncio(loop_scope="session")

SLOW_DOWN = {"__typename": "TooManyAttemptsError", "message": "Too many attempts.", "retryAfter": 60}
JSON = {"Content_Type": "application/json"}

FAILURES = {
    "no-answer": b"",
    "503": answer(503, '{"errors": [{"message": "Away.", "extensions": {"code": "UNAVAILABLE"}}]}', **JSON),
    "500": answer(500, "Oops"),
    "403": answer(403, '{"errors": [{"message": "No.", "extensions": {"code": "FORBIDDEN"}}]}', **JSON),
    "401-of-a-proxy": answer(401, "Sign in to the hotel's network"),
    "a-portal": answer(200, "<html>Sign in to the hotel's network</html>", Content_Type="text/html"),
    "half-of-json": answer(200, '{"data": {"refreshToken":', **JSON),
    "unknown-refusal": answer(200, '{"data": {"refreshToken": {"__typename": "NewError", "message": "?"}}}', **JSON),
}


def failing(request: RelayedRequest, failure: Answer) -> Answer | None:
    """Answer each refresh with this failure."""
    return failure if request.calls("refreshToken") else serve_page(request)


def refusing(refusal: Answer, request: RelayedRequest) -> Answer | None:
    """Answer each request that has an access token with this refusal."""
    return refusal if "authorization" in request.headers else serve_page(request)


@ANY_DELIVERY
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_ends_no_session_and_causes_no_loop(site: FrontEnd, failure: str) -> None:
    _, tab = await site.signed_in(HIDDEN, FAST_TIME)
    await site.load(tab)
    site.relay.before = lambda request: failing(request, FAILURES[failure])
    # Two hundred callers, half of them later.
    for _ in range(2):
        rejected = await tab.evaluate(
            """Promise.all(Array.from({length: 100}, () =>
                kindred.fetch("/graphql").then(() => false, (error) => error instanceof Error)))"""
        )
        assert rejected == [True] * 100
    assert 1 <= site.relay.count("refreshToken") <= 6
    names = {
        request.posted["variables"]["input"]["idempotencyKey"]
        for request in site.relay.seen
        if request.calls("refreshToken")
    }
    assert names == {(await stored(tab))["key"]}
    assert await tab.evaluate("ended") == []

    site.pass_on()
    await site.load(tab)
    assert await site.is_signed_in(tab)


@ANY_DELIVERY
@pytest.mark.parametrize(
    "failure",
    [answer(503, Retry_After="60"), answer(200, json.dumps({"data": {"refreshToken": SLOW_DOWN}}), **JSON)],
    ids=["503", "too-many"],
)
async def test_every_tab_waits_as_long_as_the_service_asks(site: FrontEnd, failure: Answer) -> None:
    profile, tab = await site.signed_in()
    await site.load(tab)
    other = await site.tab(profile)
    site.relay.before = lambda request: failing(request, failure)
    for each in (tab, other) * 10:
        assert await each.evaluate("kindred.getAccessToken().catch((error) => error instanceof Error)") is True
    assert site.relay.count("refreshToken") == 1
    assert await tab.evaluate("ended") == []


@ANY_DELIVERY
async def test_a_visible_page_refreshes_on_its_own_after_an_outage(site: FrontEnd) -> None:
    """As soon as the service has recovered."""
    _, tab = await site.signed_in(FAST_TIME)
    await site.load(tab)
    site.relay.before = lambda request: failing(request, answer(503))
    assert await tab.evaluate("kindred.getAccessToken().catch((error) => error.status)") == 503
    site.pass_on()
    tried = site.relay.count("refreshToken")
    await eventually(lambda: site.relay.count("refreshToken") > tried)
    assert await site.is_signed_in(tab)
    assert site.relay.count("refreshToken") == tried + 1


@ANY_DELIVERY
async def test_an_access_token_is_used_until_it_expires_while_the_service_is_unavailable(site: FrontEnd) -> None:
    """A failed refresh ahead of expiry must not fail requests before expiry."""
    _, tab = await site.signed_in(HIDDEN, FAST_TIME, "window.ahead = 0", AHEAD)
    site.relay.before = lambda request: failing(request, answer(503))
    await tab.evaluate("window.ahead = 14 * 60_000")
    assert await site.is_signed_in(tab)
    await eventually(lambda: site.relay.count("refreshToken") > 0)
    await tab.evaluate("window.ahead = 16 * 60_000")
    assert await tab.evaluate("kindred.getAccessToken().catch((error) => error instanceof Error)") is True


AHEAD = "const today = Date.now; Date.now = () => today() + window.ahead"
HOURS = 3_600_000


@ANY_DELIVERY
@pytest.mark.parametrize("wrong", [-5 * HOURS, 5 * HOURS], ids=["slow", "fast"])
async def test_a_clock_that_is_wrong_by_hours_breaks_nothing(site: FrontEnd, wrong: int) -> None:
    """The service decides what has expired."""
    _, tab = await site.signed_in(f"window.ahead = {wrong}", AHEAD)
    assert await site.is_signed_in(tab)
    assert site.relay.count("refreshToken") == 0
    await site.load(tab)
    assert await site.is_signed_in(tab)
    assert site.relay.count("refreshToken") == 1


@ANY_DELIVERY
@pytest.mark.parametrize("jump", [-5 * HOURS, 5 * HOURS], ids=["back", "forth"])
async def test_a_corrected_clock_costs_one_refresh_at_most(site: FrontEnd, jump: int) -> None:
    _, tab = await site.signed_in("window.ahead = 0", AHEAD)
    await tab.evaluate(f"window.ahead = {jump}")
    assert await site.ask(tab, 20) == [site.username] * 20
    assert await site.is_signed_in(tab)
    assert site.relay.count("refreshToken") == (1 if jump > 0 else 0)


@ANY_DELIVERY
async def test_a_request_that_stays_refused_is_repeated_once(site: FrontEnd) -> None:
    """A refusal costs one refresh and one repetition, whatever its reason."""
    _, tab = await site.signed_in()
    for refused in (
        answer(401, "{}", **JSON),
        answer(200, '{"errors": [{"message": "Who?", "extensions": {"code": "UNAUTHENTICATED"}}]}', **JSON),
    ):
        site.relay.seen.clear()
        site.relay.before = partial(refusing, refused)
        assert await site.ask(tab) in ([401], [200])
        assert [request.calls("refreshToken") for request in site.relay.seen] == [False, True, False]
        assert await tab.evaluate("ended") == []
