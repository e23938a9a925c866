"""A refresh whose answer is lost, at any point: the user stays signed in."""

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.support.relay import Answer, RelayedRequest
from tests.web.front_end import FAST_TIME, FrontEnd, serve_page, stored, until

# The tests share a browser, and so the event loop that controls it.
pytestmark = pytest.mark.asyncio(loop_scope="session")

# The part of an answer that arrives: nothing, its head (which sets the new cookie), or most of it.
TRUNCATIONS: list[Callable[[Answer], Answer | None]] = [
    lambda response: None,
    lambda response: response[: response.index(b"\r\n\r\n") + 4],
    lambda response: response[:-50],
]


class LosingRelay:
    """A relay that loses the next answers to refreshes at random points, after the service has rotated the token."""

    def __init__(self, site: FrontEnd, seed: int) -> None:
        self.left = 0
        self.lost = asyncio.Event()
        self.keys: dict[str, set[str]] = {}
        self._draw = random.Random(seed)
        site.relay.before, site.relay.after = self.before, self.after

    def lose(self, answers: int) -> None:
        """Lose this many answers from now on."""
        self.left = answers
        self.lost.clear()

    def before(self, request: RelayedRequest) -> Answer | None:
        if request.calls("refreshToken"):
            variables = request.posted["variables"]["input"]
            token = variables.get("refreshToken") or request.headers["cookie"]
            self.keys.setdefault(token, set()).add(variables["idempotencyKey"])
        return serve_page(request)

    def after(self, request: RelayedRequest, response: Answer) -> Answer | None:
        if not request.calls("refreshToken") or not self.left:
            return response
        self.left -= 1
        self.lost.set()
        return self._draw.choice(TRUNCATIONS)(response)


async def test_answers_lost_at_random_sign_no_user_out(site: FrontEnd) -> None:
    """Ten times in a row, each time in a new page that knows only what is in storage."""
    relay, draw = LosingRelay(site, 1), random.Random(2)
    profile, tab = await site.signed_in(FAST_TIME)
    for _ in range(10):
        relay.lose(draw.randint(1, 2))
        await site.load(tab)
        if draw.random() < 0.5:  # close the tab while it waits for the answer or for the next attempt
            await tab.evaluate("void kindred.getAccessToken().catch(() => {})")
            await relay.lost.wait()
            await tab.close()
            tab = await site.tab(profile)
        assert await site.is_signed_in(tab)
        assert relay.left == 0
    assert {len(keys) for keys in relay.keys.values()} == {1}, "one refresh had two idempotency keys"


async def test_ten_lost_answers_to_one_refresh_sign_no_user_out(site: FrontEnd) -> None:
    """The waits between attempts grow. Until one succeeds, requests for a token are rejected."""
    relay = LosingRelay(site, 3)
    _, tab = await site.signed_in(FAST_TIME)
    relay.lose(10)
    while relay.left:
        await site.load(tab)
        refused = await tab.evaluate("kindred.getAccessToken().catch((error) => error instanceof Error)")
        assert refused is True or not relay.left
    assert await site.is_signed_in(tab)
    assert {len(keys) for keys in relay.keys.values()} == {1}


KILL_POINTS = {
    # The answer and its cookie arrive, and the page does not read the body.
    "reading": "Response.prototype.json = () => { window.killed = true; return new Promise(() => {}) }",
    # The page reads the answer and does not store it.
    "storing": """
        const sent = fetch;
        window.fetch = async (...request) => {
            const response = await sent(...request);
            Storage.prototype.setItem = () => { window.killed = true; throw new Error("killed") };
            return response;
        }""",
}


@pytest.mark.parametrize("moment", KILL_POINTS)
async def test_a_tab_killed_between_the_answer_and_its_storage_signs_no_user_out(site: FrontEnd, moment: str) -> None:
    profile, tab = await site.signed_in()
    await site.load(tab)
    await tab.evaluate(f"() => {{ {KILL_POINTS[moment]} }}")
    await tab.evaluate("void kindred.getAccessToken().catch(() => {})")
    await until(tab, "window.killed")
    assert "key" in await stored(tab)
    await tab.close()
    tab = await site.tab(profile)
    assert await site.is_signed_in(tab)
    assert "key" not in await stored(tab)
    assert site.relay.count("refreshToken") == 2
