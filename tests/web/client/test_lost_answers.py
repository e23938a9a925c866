"""A refresh whose answer is lost, at any point: the user stays signed in."""

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.support.relay import Answer, Asked
from tests.web.front_end import HURRY, FrontEnd, page_of_ours, stored, until

# The tests share a browser, and so the event loop that controls it.
pytestmark = pytest.mark.asyncio(loop_scope="session")

# The part of an answer that arrives: nothing, its head (which sets the new cookie), or most of it.
MISHAPS: list[Callable[[Answer], Answer | None]] = [
    lambda answered: None,
    lambda answered: answered[: answered.index(b"\r\n\r\n") + 4],
    lambda answered: answered[:-50],
]


class Losing:
    """A relay that loses the next answers to refreshes at random points, after the service has rotated the token."""

    def __init__(self, site: FrontEnd, seed: int) -> None:
        self.left = 0
        self.lost = asyncio.Event()
        self.names: dict[str, set[str]] = {}
        self._draw = random.Random(seed)
        site.relay.before, site.relay.after = self.before, self.after

    def lose(self, answers: int) -> None:
        """Lose this many answers from now on."""
        self.left = answers
        self.lost.clear()

    def before(self, asked: Asked) -> Answer | None:
        if asked.calls("refreshToken"):
            given = asked.posted["variables"]["input"]
            token = given.get("refreshToken") or asked.headers["cookie"]
            self.names.setdefault(token, set()).add(given["idempotencyKey"])
        return page_of_ours(asked)

    def after(self, asked: Asked, answered: Answer) -> Answer | None:
        if not asked.calls("refreshToken") or not self.left:
            return answered
        self.left -= 1
        self.lost.set()
        return self._draw.choice(MISHAPS)(answered)


async def test_answers_lost_at_random_sign_no_user_out(site: FrontEnd) -> None:
    """Ten times in a row, each time in a new page that knows only what is in storage."""
    losing, draw = Losing(site, 1), random.Random(2)
    profile, tab = await site.signed_in(HURRY)
    for _ in range(10):
        losing.lose(draw.randint(1, 2))
        await site.load(tab)
        if draw.random() < 0.5:  # close the tab while it waits for the answer or for the next attempt
            await tab.evaluate("void kindred.getAccessToken().catch(() => {})")
            await losing.lost.wait()
            await tab.close()
            tab = await site.tab(profile)
        assert await site.is_signed_in(tab)
        assert losing.left == 0
    assert {len(names) for names in losing.names.values()} == {1}, "one refresh had two idempotency keys"


async def test_ten_lost_answers_to_one_refresh_sign_no_user_out(site: FrontEnd) -> None:
    """The waits between attempts grow. Until one succeeds, requests for a token are rejected."""
    losing = Losing(site, 3)
    _, tab = await site.signed_in(HURRY)
    losing.lose(10)
    while losing.left:
        await site.load(tab)
        refused = await tab.evaluate("kindred.getAccessToken().catch((error) => error instanceof Error)")
        assert refused is True or not losing.left
    assert await site.is_signed_in(tab)
    assert {len(names) for names in losing.names.values()} == {1}


KILLS = {
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


@pytest.mark.parametrize("moment", KILLS)
async def test_a_tab_killed_between_the_answer_and_its_storage_signs_no_user_out(site: FrontEnd, moment: str) -> None:
    profile, tab = await site.signed_in()
    await site.load(tab)
    await tab.evaluate(f"() => {{ {KILLS[moment]} }}")
    await tab.evaluate("void kindred.getAccessToken().catch(() => {})")
    await until(tab, "window.killed")
    assert "key" in await stored(tab)
    await tab.close()
    tab = await site.tab(profile)
    assert await site.is_signed_in(tab)
    assert "key" not in await stored(tab)
    assert site.relay.count("refreshToken") == 2
