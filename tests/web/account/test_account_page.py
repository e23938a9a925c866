"""The account page in a real browser: see and end sessions, and see what happened to a replayed one."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Route, expect

from auth.clock import SystemClock
from auth.outcomes import ClientInfo
from tests.support.endpoints import NEW_PASSWORD, PASSWORD
from tests.support.servers import backstage
from tests.web.account.history import ELSEWHERE, FIREFOX, HOME, PHONE, SAFARI, THIEF, AccountHistory
from tests.web.account.page import Visit, axe_installed, findings, visiting
from tests.web.front_end import FAST_TIME, Servers


@pytest.fixture
async def history(servers: Servers, password_hash: str) -> AsyncIterator[AccountHistory]:
    """A new account, whose history the test creates."""
    name = f"alice-{uuid4().hex[:12]}"
    now = SystemClock().now()
    async with backstage(servers.database_url, password_hash) as behind:
        await behind.services.accounts.import_user(name, None, password_hash, now)
        yield AccountHistory(behind.services, name, now)


@pytest.fixture
async def visit(browser: Browser, servers: Servers, history: AccountHistory) -> AsyncIterator[Visit]:
    """A visit by the account's owner. The browser must report no error."""
    async with visiting(browser, servers.lasting.url, history.username) as visit:
        yield visit
    assert visit.browser_errors == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_installed(tmp_path_factory.mktemp("axe") / "axe")


async def test_a_user_sees_every_session_and_which_one_is_current(visit: Visit, history: AccountHistory) -> None:
    await history.several_devices()
    await visit.open()
    await visit.submit_sign_in("not my password")
    await expect(visit.page.get_by_role("alert")).to_have_text("The username or the password is wrong.")
    await visit.submit_sign_in(PASSWORD)
    await expect(visit.cards).to_have_count(5)
    await expect(visit.cards.first).to_contain_text("This device")
    await expect(visit.page.get_by_text("This device", exact=True)).to_have_count(1)
    phone = visit.card("My phone")
    await expect(phone).to_contain_text("Last used 5 minutes ago")
    await expect(phone).to_contain_text("198.51.100.61")
    await expect(phone.locator(".kind")).to_have_attribute("title", "Phone")
    await expect(visit.card("Nightly backup").locator(".kind")).to_have_attribute("title", "Program")
    await expect(visit.card("Chrome on Android").locator(".kind")).to_have_attribute("title", "Tablet")
    used = phone.locator("time.ago")
    await used.focus()
    exact = await used.get_attribute("title")
    assert exact is not None
    assert str(history.now.year) in exact
    await expect(visit.page.get_by_role("region", name="Recent activity")).to_contain_text("wrong password")
    assert "eyJ" not in await visit.page.evaluate("Object.values(localStorage).join()")


async def test_a_session_is_renamed_in_place(visit: Visit, history: AccountHistory) -> None:
    await history.sign_in(PHONE, HOME, timedelta(days=2))
    await visit.sign_in()
    await visit.page.get_by_role("button", name="Rename Mobile Safari on iOS").click()
    name = visit.page.get_by_label("Name of this session")
    await expect(name).to_be_focused()
    await name.fill("Something else")
    await name.press("Escape")
    await expect(visit.card("Mobile Safari on iOS")).to_be_visible()
    await visit.page.get_by_role("button", name="Rename Mobile Safari on iOS").click()
    await name.fill("Pocket <b>phone</b>")
    await name.press("Enter")
    await expect(visit.announcement).to_have_text("The name is now Pocket <b>phone</b>.")
    await expect(visit.button("Rename Pocket <b>phone</b>")).to_be_focused()
    await visit.page.reload()
    await expect(visit.card("Pocket <b>phone</b>")).to_be_visible()


async def test_a_session_is_ended_after_a_confirmation(visit: Visit, history: AccountHistory) -> None:
    await history.sign_in(PHONE, HOME, timedelta(days=2), "Lost phone")
    await history.sign_in(FIREFOX, HOME, timedelta(days=3), "Desk")
    await visit.sign_in()
    end = visit.button("End the session of Lost phone")
    await end.click()
    await visit.button("Cancel").click()
    await expect(visit.page.get_by_role("dialog")).to_have_count(0)
    await expect(end).to_be_focused()
    await end.click()
    await expect(visit.page.get_by_role("dialog")).to_contain_text("Lost phone will be signed out at once")
    await visit.button("End session").click()
    await expect(visit.announcement).to_have_text("The session of Lost phone has ended.")
    await expect(visit.cards).to_have_count(2)
    await expect(visit.page.get_by_role("heading", name="Desk", exact=True)).to_be_focused()
    await expect(visit.page.get_by_role("region", name="Recently ended")).to_contain_text("Lost phone")
    await visit.page.reload()
    await expect(visit.cards).to_have_count(2)
    await expect(visit.card("Lost phone")).to_have_count(0)


async def test_all_other_sessions_are_ended(visit: Visit, history: AccountHistory) -> None:
    await history.several_devices()
    await visit.sign_in()
    await visit.button("End all others").click()
    await visit.page.get_by_role("dialog").get_by_role("button", name="End all others").click()
    await expect(visit.announcement).to_have_text("4 other sessions have ended.")
    await expect(visit.cards).to_have_count(1)
    await expect(visit.page.get_by_text("You are not signed in anywhere else.")).to_be_visible()
    await visit.page.reload()
    await expect(visit.cards).to_have_count(1)
    await expect(visit.cards).to_contain_text("This device")


async def test_more_than_twenty_sessions_are_loaded_by_pages(visit: Visit, history: AccountHistory) -> None:
    for number in range(22):
        await history.sign_in(FIREFOX, HOME, timedelta(hours=number + 1), f"Number {number}")
    await visit.sign_in()
    await expect(visit.cards).to_have_count(20)
    live = visit.page.get_by_role("region", name="Signed in now")
    await live.get_by_role("button", name="Show more").click()
    await expect(visit.cards).to_have_count(23)
    await expect(visit.page.get_by_role("heading", name="Number 19", exact=True)).to_be_focused()
    await expect(live.get_by_role("button", name="Show more")).to_be_hidden()


async def test_the_meter_and_the_service_agree_on_a_new_password(visit: Visit, history: AccountHistory) -> None:
    """The meter shows the service's own rating. The service accepts exactly what the meter calls good enough."""
    await history.sign_in(PHONE, HOME, timedelta(days=2))
    await visit.sign_in()
    form = visit.page.get_by_role("form", name="Change password")
    current, new = form.get_by_label("Current password"), form.get_by_label("New password")
    says, meter = form.get_by_role("status"), form.locator(".meter")
    await new.fill("short")
    await expect(says).to_have_text("At least 8 characters.")
    for weak in ("correcthorse", f"{history.username}1"):
        await new.fill(weak)
        await expect(says).to_contain_text("The password is too easy to guess.")
        await current.fill(PASSWORD)
        await form.get_by_role("button", name="Change password").click()
        await expect(new).to_have_attribute("aria-invalid", "true")
        await expect(new).to_be_focused()
        await expect(form.locator(".field-error").nth(1)).to_have_text(await says.inner_text())
    await new.fill(NEW_PASSWORD)
    await expect(meter).to_have_attribute("data-strength", "4")
    await current.fill("not my password")
    await form.get_by_role("button", name="Change password").click()
    await expect(form).to_contain_text("The current password is wrong.")
    await current.fill(PASSWORD)
    await form.get_by_role("button", name="Change password").click()
    await expect(visit.announcement).to_have_text("The password is changed. One other session has ended.")
    await expect(visit.cards).to_have_count(1)
    await expect(current).to_have_value("")
    await visit.button("Sign out").click()
    await visit.submit_sign_in(NEW_PASSWORD)
    await expect(visit.cards).to_have_count(1)


async def test_everything_can_be_done_by_keyboard_alone(visit: Visit, history: AccountHistory) -> None:
    await history.sign_in(PHONE, HOME, timedelta(days=2), "Phone")
    await visit.open()
    keyboard = visit.page.keyboard
    await expect(visit.page.get_by_label("Username")).to_be_focused()
    await keyboard.type(history.username)
    await keyboard.press("Tab")
    await keyboard.type(PASSWORD)
    await keyboard.press("Enter")
    await expect(visit.page.get_by_role("heading", name="Your account")).to_be_focused()

    async def go_to(name: str) -> None:
        """Press Tab until this button has the focus."""
        button = visit.button(name)
        for _ in range(40):
            await keyboard.press("Tab")
            if await button.evaluate("button => button === document.activeElement"):
                return
        raise AssertionError(f"Tab never reaches {name}")

    await go_to("Rename Phone")
    await keyboard.press("Enter")
    await keyboard.type("Old phone")
    await keyboard.press("Enter")
    await expect(visit.button("Rename Old phone")).to_be_focused()
    await go_to("End the session of Old phone")
    await keyboard.press("Space")
    await expect(visit.button("Cancel")).to_be_focused()
    await keyboard.press("Escape")
    await expect(visit.button("End the session of Old phone")).to_be_focused()
    await keyboard.press("Enter")
    await go_to("End session")
    await keyboard.press("Enter")
    await expect(visit.cards).to_have_count(1)
    await visit.page.get_by_label("Current password").focus()
    await keyboard.type(PASSWORD)
    await keyboard.press("Tab")
    await keyboard.press("Tab")
    await keyboard.type(NEW_PASSWORD)
    await keyboard.press("Enter")
    await expect(visit.announcement).to_contain_text("The password is changed.")
    await expect(visit.page.get_by_role("heading", name="Change password")).to_be_focused()
    await visit.button("Sign out").focus()
    await keyboard.press("Enter")
    await expect(visit.page.get_by_role("heading", name="Sign in")).to_be_focused()


async def test_a_replay_is_announced_and_explained(visit: Visit, history: AccountHistory) -> None:
    """An attacker used the fourth token first, its owner second. The timeline shows both in this order."""
    session_id = await history.theft()
    await visit.sign_in()
    warning = visit.page.get_by_role("region", name="A session was ended for your safety")
    await expect(warning).to_contain_text("The token of Laptop was used twice, 2 hours ago.")
    await warning.get_by_role("link", name="See what happened").click()
    await expect(visit.page.get_by_role("heading", name="Laptop", exact=True)).to_be_focused()
    assert visit.page.url.endswith(f"#session/{session_id}")
    meaning = visit.page.get_by_role("region", name="Two parties held token 4")
    await expect(meaning.locator("dd").nth(0)).to_contain_text(f"curl{ELSEWHERE}")
    await expect(meaning.locator("dd").nth(1)).to_contain_text(f"Safari on macOS{HOME}")
    steps = visit.page.get_by_role("list", name="From the sign-in to the end").get_by_role("listitem")
    await expect(steps).to_have_count(7)
    await expect(steps.nth(3)).to_contain_text("Held by two parties")
    await expect(steps.nth(4)).to_contain_text("Token 4 used the first time")
    await expect(steps.nth(6)).to_contain_text("Token 4 used a second time")
    await visit.page.go_back()
    await warning.get_by_role("button", name="Dismiss").click()
    await expect(warning).to_have_count(0)
    await visit.page.reload()
    await expect(visit.cards).to_have_count(1)
    await expect(warning).to_have_count(0)
    ended = visit.page.get_by_role("region", name="Recently ended")
    await ended.get_by_role("link", name="Laptop").click()
    await expect(meaning).to_be_visible()


async def test_a_long_lineage_is_shown_from_its_first_recorded_token(visit: Visit, history: AccountHistory) -> None:
    signed_in = await history.sign_in(SAFARI, HOME, timedelta(hours=30), "Laptop")
    first = token = signed_in.tokens.refresh_token
    for hours in range(20):
        token = await history.renew(token, SAFARI, HOME, timedelta(hours=29 - hours))
    await history.replay(first, THIEF, ELSEWHERE, timedelta(hours=1))
    await visit.sign_in()
    await visit.page.get_by_role("link", name="See what happened").click()
    await expect(visit.page.get_by_role("heading", name="Two parties held token 1", exact=True)).to_be_visible()
    steps = visit.page.get_by_role("list", name="From the sign-in to the end").get_by_role("listitem")
    await expect(steps).to_have_count(18)
    await expect(steps.first).to_have_text("The first 5 tokens are no longer on record.")
    await expect(steps.last).to_contain_text(f"curl{ELSEWHERE}")


async def test_a_session_that_an_attacker_has_copied_ends_and_the_page_says_why(
    browser: Browser, servers: Servers, history: AccountHistory
) -> None:
    async with visiting(browser, servers.lasting.url, history.username) as visit:
        await visit.sign_in()
        cookies = await visit.context.cookies()
        (stolen,) = (cookie["value"] for cookie in cookies if "kindred-refresh" in str(cookie["name"]))
        await history.renew(stolen, THIEF, ELSEWHERE, timedelta(0))
        await visit.page.reload()
        await expect(visit.page.get_by_role("region", name="This session was ended for your safety")).to_be_visible()
        await visit.submit_sign_in(PASSWORD)
        await visit.page.get_by_role("link", name="See what happened").click()
        meaning = visit.page.get_by_role("region", name="Two parties held token 1")
        await expect(meaning.locator("dd").nth(0)).to_contain_text(f"curl{ELSEWHERE}")
        await expect(meaning.locator("dd").nth(1)).to_contain_text("127.0.0.1")


async def test_a_signed_out_user_sees_the_reason(visit: Visit) -> None:
    reasons = {
        "RefreshTokenExpiredError": "This session has expired",
        "SessionRevokedError": "This session was ended",
        "InvalidRefreshTokenError": "You are signed out",
    }
    refusal = ""

    async def refuse(route: Route) -> None:
        if "refreshToken(" in (route.request.post_data or ""):
            answer = {"data": {"refreshToken": {"__typename": refusal, "message": ""}}}
            await route.fulfill(content_type="application/json", body=json.dumps(answer))
        else:
            await route.continue_()

    await visit.sign_in()
    await visit.page.route("**/graphql", refuse)
    for refusal, title in reasons.items():  # noqa: B007 - `refuse` reads it
        await visit.page.reload()
        await expect(visit.page.get_by_role("region", name=title, exact=True)).to_be_visible()
        await visit.submit_sign_in(PASSWORD)
        await expect(visit.cards.first).to_be_visible()


async def test_a_session_that_ends_during_an_action_is_reported(
    browser: Browser, servers: Servers, history: AccountHistory
) -> None:
    async with visiting(browser, servers.lasting.url, history.username) as visit:
        await visit.sign_in()
        user = await history.services.accounts.find_by_username(history.username)
        assert user
        await history.services.sessions.revoke_all(user.id, ClientInfo(), SystemClock().now())
        await (
            visit.button("Sign out of this device").locator("xpath=../..").get_by_role("button", name="Rename").click()
        )
        await visit.page.get_by_label("Name of this session").fill("Too late")
        await visit.page.keyboard.press("Enter")
        await expect(visit.page.get_by_role("region", name="This session was ended", exact=True)).to_be_visible()
        await expect(visit.page.get_by_label("Username")).to_have_value(history.username)


async def test_an_unreachable_service_needs_only_another_attempt(
    browser: Browser, servers: Servers, history: AccountHistory
) -> None:
    async with visiting(browser, servers.lasting.url, history.username) as visit:
        await visit.page.add_init_script(FAST_TIME)
        await visit.sign_in()
        await visit.page.route("**/graphql", lambda route: route.abort())
        await visit.page.reload()
        await expect(visit.page.get_by_role("heading", name="Your account cannot be shown")).to_be_visible()
        await visit.page.unroute("**/graphql")
        await visit.button("Try again").click()
        await expect(visit.cards).to_have_count(1)


async def test_a_user_with_too_many_attempts_sees_how_long_to_wait(visit: Visit) -> None:
    await visit.open()

    async def throttle(route: Route) -> None:
        answer = {"data": {"login": {"__typename": "TooManyAttemptsError", "message": "", "retryAfter": 2}}}
        await route.fulfill(content_type="application/json", body=json.dumps(answer))

    await visit.page.route("**/graphql", throttle)
    await visit.submit_sign_in(PASSWORD)
    await expect(visit.button("Wait 2 seconds")).to_be_disabled()
    await expect(visit.page.get_by_role("alert")).to_contain_text("Try again in 2 seconds")
    await expect(visit.button("Wait 1 second")).to_be_visible()
    await visit.page.unroute("**/graphql")
    await expect(visit.button("Sign in")).to_be_enabled()
    await visit.submit_sign_in(PASSWORD)
    await expect(visit.cards).to_have_count(1)


async def test_axe_finds_no_accessibility_problem(visit: Visit, history: AccountHistory, axe: str) -> None:
    """For users who see the page badly or not at all: signed out, signed in, with a dialog, and on the timeline."""

    async def found() -> list[tuple[str, str]]:
        everything = list[tuple[str, str]]()
        for scheme in ("light", "dark"):
            await visit.page.emulate_media(color_scheme=scheme)
            everything += await findings(visit.page, axe)
        return everything

    # Set before the page opens: otherwise axe could measure a button during its change of colour.
    await visit.page.emulate_media(reduced_motion="reduce")
    await history.several_devices()
    await history.theft()
    await visit.open()
    await visit.submit_sign_in("not my password")
    await expect(visit.page.get_by_role("alert")).not_to_be_empty()
    assert await found() == []
    await visit.submit_sign_in(PASSWORD)
    await expect(visit.cards).to_have_count(5)
    await visit.button("Rename My phone").click()
    await visit.page.get_by_label("New password").fill("correcthorse")
    await expect(visit.page.locator(".meter")).to_have_attribute("data-strength", "1")
    assert await found() == []
    await visit.button("End all others").click()
    assert await found() == []
    await visit.button("Cancel").click()
    await visit.page.get_by_role("link", name="See what happened").click()
    await expect(visit.page.get_by_role("heading", name="Two parties held token 4")).to_be_visible()
    assert await found() == []


async def test_the_page_fits_the_width_of_a_phone(browser: Browser, servers: Servers, history: AccountHistory) -> None:
    await history.several_devices()
    await history.theft()
    await history.sign_in(FIREFOX, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", timedelta(hours=1), "W" * 100)
    phone = {"width": 360, "height": 740}
    async with visiting(browser, servers.lasting.url, history.username, viewport=phone) as visit:
        too_wide = "document.documentElement.scrollWidth > innerWidth"
        await visit.open()
        assert not await visit.page.evaluate(too_wide)
        await visit.submit_sign_in(PASSWORD)
        await expect(visit.cards).to_have_count(6)
        assert not await visit.page.evaluate(too_wide)
        await visit.button(f"Rename {'W' * 100}").click()
        assert not await visit.page.evaluate(too_wide)
        await visit.page.get_by_role("link", name="See what happened").click()
        await expect(visit.page.get_by_role("heading", name="Two parties held token 4")).to_be_visible()
        assert not await visit.page.evaluate(too_wide)
