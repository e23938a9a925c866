"""Security notifications: each event causes one, in its own transaction, and a faulty receiver delays no use case."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import insert, select, update
from sqlalchemy import text as sql

from auth.background import notifications
from auth.config.settings import Settings
from auth.services import Services
from db.drivers.errors import RolledBack
from db.engine.shared_timeout import SharedTimeout
from db.tables import outbox as statements_of_outbox
from db.tables.base import NotificationChannel
from db.tables.outbox import outbox
from db.tables.users import UserRow, users
from graph.app import create_app
from graph.notifications.channels import channels
from tests.support.clocks import FakeClock
from tests.support.endpoints import NEW_PASSWORD, PASSWORD, REPLAYED, REVOKED, Api, RefreshEndpoint
from tests.support.receivers import WEBHOOK_SECRET, Mailbox, WebReceiver, answer, mailbox, silent, web_receiver
from tests.support.servers import SECRET
from tests.support.sql import looking_at

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
CHANGE_PASSWORD = """
mutation Change($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }
"""
BY_WEBHOOK, BY_MAIL = NotificationChannel.WEBHOOK, NotificationChannel.MAIL


@pytest.fixture(autouse=True)
def poll_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll often, so that the service sees at once that a test moved the clock."""
    monkeypatch.setattr(notifications, "POLL_INTERVAL", 0.02)


@pytest.fixture
async def receiver() -> AsyncIterator[WebReceiver]:
    """A web server that receives the webhooks."""
    async with web_receiver() as receiver:
        yield receiver


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    """A mail server that receives the mails."""
    async with mailbox() as box:
        yield box


@pytest.fixture
def more_settings(receiver: WebReceiver, box: Mailbox) -> dict[str, Any]:
    """Both channels are set up, and a proxy reports the client's address."""
    return {
        "webhook_url": receiver.url,
        "webhook_secret": WEBHOOK_SECRET,
        "smtp_url": f"smtp://127.0.0.1:{box.port}",
        "mail_from": "kindred@example.org",
        "trusted_proxies": ("127.0.0.1",),
    }


async def stored(services: Services) -> list[Any]:
    """Return the rows of the outbox."""
    async with looking_at(services.db) as conn:
        return list((await conn.execute(select(outbox).order_by(outbox.c.occurred_at, outbox.c.channel))).all())


async def settled(services: Services) -> list[Any]:
    """Return the rows of the outbox once every one is delivered or failed."""
    async with asyncio.timeout(10):
        while any(row.delivered_at is None and row.failed_at is None for row in await stored(services)):
            await asyncio.sleep(0.01)
    return await stored(services)


async def enqueue(services: Services, user: UserRow, clock: FakeClock, number: int = 1, **values: Any) -> None:
    """Insert notifications into the outbox, without an event."""
    row = {"user_id": user.id, "channel": "webhook", "kind": "user.disabled", "attempts": 0}
    row |= {"occurred_at": clock.now(), "next_attempt_at": clock.now()} | values
    async with looking_at(services.db) as conn:
        await conn.execute(insert(outbox), [row | {"id": uuid4()} for _ in range(number)])


async def test_log_06_a_replay_notifies_the_owner_once_on_each_channel(
    api: Api,
    endpoint: RefreshEndpoint,
    services: Services,
    clock: FakeClock,
    alice: UserRow,
    receiver: WebReceiver,
    box: Mailbox,
) -> None:
    first = await api.login(device_name="My phone")
    second = (await endpoint.refresh(first.refresh)).tokens
    assert await stored(services) == []
    api.http.headers |= {"x-forwarded-for": ELSEWHERE, "user-agent": "thief/1.0"}
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    for token in (first.refresh, second.refresh):
        assert (await endpoint.refresh(token)).outcome == REVOKED
    await receiver.until(1)
    await box.until(1)
    (row_by_mail, row) = await settled(services)
    assert (row_by_mail.id, row_by_mail.channel) == (row.id, "mail")
    assert receiver.posts[0].payload == {
        "type": "session.replayed",
        "timestamp": clock.now().isoformat().replace("+00:00", "Z"),
        "data": {
            "event_id": str(row.id),
            "user_id": str(alice.id),
            "username": "alice",
            "session_id": first.session_id,
            "device_name": "My phone",
            "ip": ELSEWHERE,
            "user_agent": "thief/1.0",
        },
    }
    events = await services.accounts.events(alice.id, after=None, limit=10)
    assert [event.kind for event in events if event.id == row.id] == ["REFRESH_TOKEN_REPLAYED"]
    assert box.mails[0]["To"] == "alice@example.org"
    assert (len(receiver.posts), len(box.mails)) == (1, 1)
    assert (row.attempts, row.delivered_at, row.next_attempt_at) == (1, clock.now(), None)


async def test_log_06_a_sign_in_from_a_new_network_notifies_the_owner_except_the_first_one(
    api: Api, services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver
) -> None:
    await api.login()
    await api.login()
    api.http.headers["x-forwarded-for"] = ELSEWHERE
    assert (await api.try_login("alice", "not her password"))["__typename"] == "InvalidCredentialsError"
    assert await stored(services) == []
    pair = await api.login()
    await api.login()
    await receiver.until(1)
    assert len(await settled(services)) == 2
    assert receiver.kinds == ["session.created_from_new_device"]
    data = receiver.posts[0].payload["data"]
    assert (data["session_id"], data["ip"], data["username"]) == (pair.session_id, ELSEWHERE, "alice")


async def test_log_06_another_address_of_a_known_network_does_not_notify_the_owner(
    api: Api, services: Services, alice: UserRow
) -> None:
    for address in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::1"):
        api.http.headers["x-forwarded-for"] = address
        await api.login()
    assert await stored(services) == []


async def test_log_06_if_all_networks_were_pruned_the_next_sign_in_notifies_the_owner(
    api: Api, services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver
) -> None:
    await api.login()
    clock.advance(timedelta(days=181))
    assert (await services.pruning.prune(clock.now())).familiar_networks == 1
    await api.login()
    await receiver.until(1)
    assert receiver.kinds == ["session.created_from_new_device"]


@pytest.mark.parametrize("signed_in_before", [True, False])
async def test_log_06_after_an_operator_sets_a_password_each_network_is_notified_as_new_once(
    api: Api, services: Services, clock: FakeClock, alice: UserRow, signed_in_before: bool
) -> None:
    """An attacker who knew the old password may know the new one too, and sign in first."""
    for address in (HOME, ELSEWHERE) if signed_in_before else ():
        api.http.headers["x-forwarded-for"] = address
        await api.login()
    clock.advance(timedelta(seconds=1))
    await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
    before = len(await new_devices(services))
    for address in (ELSEWHERE, HOME):
        api.http.headers["x-forwarded-for"] = address
        for _ in range(3):
            clock.advance(timedelta(seconds=1))
            await api.login(password=NEW_PASSWORD)
    assert (await new_devices(services))[before:] == [ELSEWHERE, HOME]


async def test_log_06_after_the_owner_changes_the_password_every_other_network_is_notified_as_new(
    api: Api, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    for address in (ELSEWHERE, HOME):
        api.http.headers["x-forwarded-for"] = address
        pair = await api.login()
    clock.advance(timedelta(seconds=1))
    change = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    await api.data(CHANGE_PASSWORD, {"input": change}, pair.access)
    assert await new_devices(services) == [HOME]
    for address in (HOME, ELSEWHERE, HOME, ELSEWHERE):
        api.http.headers["x-forwarded-for"] = address
        clock.advance(timedelta(seconds=1))
        await api.login(password=NEW_PASSWORD)
    assert await new_devices(services) == [HOME, ELSEWHERE]


async def new_devices(services: Services) -> list[str]:
    """Return the address of each sign-in that caused a notification."""
    rows = await stored(services)
    return [row.ip for row in rows if (row.channel, row.kind) == ("webhook", "session.created_from_new_device")]


async def test_log_06_a_new_password_notifies_the_owner_whether_they_or_an_operator_set_it(
    api: Api, services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver
) -> None:
    pair = await api.login()
    change = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    api.http.headers["x-forwarded-for"] = ELSEWHERE
    assert (await api.data(CHANGE_PASSWORD, {"input": change | {"currentPassword": "wrong"}}, pair.access)) == {
        "changePassword": {"__typename": "InvalidCredentialsError"}
    }
    assert await stored(services) == []
    await api.data(CHANGE_PASSWORD, {"input": change}, pair.access)
    await receiver.until(1)
    clock.advance(timedelta(seconds=1))
    await services.accounts.set_password(alice, PASSWORD + " more", clock.now())
    await receiver.until(2)
    assert receiver.kinds == ["user.password_changed"] * 2
    by_owner, by_operator = (post.payload["data"] for post in receiver.posts)
    assert (by_owner["session_id"], by_owner["ip"]) == (pair.session_id, ELSEWHERE)
    assert (by_operator["session_id"], by_operator["device_name"], by_operator["ip"]) == (None, None, None)


async def test_log_06_disabling_an_account_notifies_the_owner_once(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, box: Mailbox
) -> None:
    for _ in range(2):
        await services.accounts.disable(alice.id, clock.now())
    await receiver.until(1)
    await box.until(1)
    assert len(await settled(services)) == 2
    assert receiver.kinds == ["user.disabled"]


async def test_a_user_without_an_address_gets_no_mail(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, box: Mailbox
) -> None:
    async with looking_at(services.db) as conn:
        await conn.execute(update(users).values(email=None))
    await services.accounts.disable(alice.id, clock.now())
    await receiver.until(1)
    assert [row.channel for row in await settled(services)] == ["webhook"]


@pytest.mark.parametrize("more_settings", [{"trusted_proxies": ("127.0.0.1",)}], ids=[""])
async def test_without_a_channel_nothing_is_written_to_the_outbox(
    api: Api, endpoint: RefreshEndpoint, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    first = await api.login()
    api.http.headers["x-forwarded-for"] = ELSEWHERE
    await endpoint.refresh(first.refresh)
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    await api.login()
    await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
    await services.accounts.disable(alice.id, clock.now())
    assert await stored(services) == []


async def test_log_04_if_a_notification_cannot_be_stored_nothing_is_revoked_and_the_next_replay_notifies(
    api: Api,
    endpoint: RefreshEndpoint,
    services: Services,
    alice: UserRow,
    receiver: WebReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = await api.login()
    second = (await endpoint.refresh(first.refresh)).tokens

    async def full(*_: Any) -> None:
        raise RolledBack

    with monkeypatch.context() as patch:
        patch.setattr(statements_of_outbox, "add", full)
        patch.setattr(services.db, "deadline", SharedTimeout(0.3))
        assert (await endpoint.refresh(first.refresh)).status == 503
    assert await api.is_live(second.access)
    kinds = [event.kind for event in await services.accounts.events(alice.id, after=None, limit=10)]
    assert kinds == ["LOGIN_SUCCEEDED"]
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    await receiver.until(1)
    assert len(await settled(services)) == 2


async def test_log_04_a_transaction_that_is_rolled_back_notifies_no_owner(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> int:
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(
            "auth.use_cases.accounts.revoke_sessions", broken
        )  # disabling does this last, after it wrote the notification
        with pytest.raises(KeyError):
            await services.accounts.disable(alice.id, clock.now())
    await asyncio.sleep(0.2)
    assert (await stored(services), receiver.posts) == ([], [])
    await services.accounts.disable(alice.id, clock.now())
    await receiver.until(1)
    assert receiver.kinds == ["user.disabled"]


async def test_a_notification_of_this_process_is_delivered_at_once(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "POLL_INTERVAL", 60)
    await asyncio.sleep(0.1)  # by now the delivery sleeps, and would for a minute
    await services.accounts.disable(alice.id, clock.now())
    await receiver.until(1, seconds=2)


async def test_a_receiver_that_fails_gets_ten_attempts_over_a_day(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [answer(500, body=b"hunter3")] * 12
    start = clock.now()
    await services.accounts.disable(alice.id, start)
    waits = []
    for number in range(1, 11):
        await receiver.until(number)
        row = await attempted(services, clock, number)
        assert row.last_error == "HTTP 500"
        if number < 10:
            assert row.failed_at is None
            assert await services.notifications.backlog(BY_WEBHOOK) == (1, 0)
            waits.append(row.next_attempt_at - clock.now())
            clock.instant = row.next_attempt_at - timedelta(microseconds=1)
            await asyncio.sleep(0.05)
            assert len(receiver.posts) == number
            clock.instant = row.next_attempt_at
    assert row.failed_at == clock.now()
    assert row.next_attempt_at is None
    assert waits == sorted(waits)
    assert timedelta(seconds=5) <= waits[0] <= timedelta(seconds=6.25)
    assert timedelta(hours=22) < clock.now() - start < timedelta(hours=29)
    assert await services.notifications.backlog(BY_WEBHOOK) == (0, 1)
    (listed,) = await services.notifications.undelivered(BY_WEBHOOK, limit=10)
    assert (listed.id, listed.username, listed.attempts) == (row.id, "alice", 10)
    clock.advance(timedelta(days=2))
    await asyncio.sleep(0.1)
    assert len(receiver.posts) == 10
    # Every attempt has the same id, so that a receiver detects repetitions, and a timestamp and signature of its own.
    assert {post.headers["webhook-id"] for post in receiver.posts} == {str(row.id)}
    assert len({post.headers["webhook-timestamp"] for post in receiver.posts}) == 10
    assert len({post.body for post in receiver.posts}) == 1
    # When the test moved the clock between two readings, the service found that the clocks differ, and waited.
    records = [record for record in caplog.records if record.getMessage().startswith("notification ")]
    assert [record.levelno for record in records] == [logging.WARNING] * 9 + [logging.ERROR]
    assert "hunter" not in caplog.text
    assert WEBHOOK_SECRET not in caplog.text
    # An operator who has repaired the receiver requeues the failed notification.
    receiver.answers = []
    assert await services.notifications.requeue(BY_WEBHOOK, clock.now()) == 1
    await receiver.until(11)
    assert [row.delivered_at for row in await settled(services) if row.channel == "webhook"] == [clock.now()]


async def attempted(services: Services, clock: FakeClock, number: int) -> Any:
    """Return the only webhook of the outbox once the attempt with this number has ended."""
    async with asyncio.timeout(10):
        while True:
            (row,) = [row for row in await stored(services) if row.channel == "webhook"]
            if row.attempts == number and row.next_attempt_at != clock.now() + notifications.CLAIM:
                return row
            await asyncio.sleep(0.01)


async def test_retry_after_delays_the_next_attempt_and_410_ends_the_attempts(
    services: Services, clock: FakeClock, alice: UserRow, bob: UserRow, receiver: WebReceiver
) -> None:
    receiver.answers = [answer(429, "retry-after: 7200"), answer(410)]
    await enqueue(services, alice, clock)
    await receiver.until(1)
    row = await attempted(services, clock, 1)
    assert timedelta(hours=2) <= row.next_attempt_at - clock.now() <= timedelta(hours=2.5)
    clock.instant = row.next_attempt_at
    (failed,) = await settled(services)
    assert (failed.attempts, failed.last_error, failed.failed_at) == (2, "HTTP 410", clock.now())


async def test_several_workers_deliver_each_notification_once(
    services: Services,
    clock: FakeClock,
    alice: UserRow,
    receiver: WebReceiver,
    database_url: str,
    settings_for: Callable[..., Settings],
    more_settings: dict[str, Any],
) -> None:
    async def slow_receiver() -> None:
        await asyncio.sleep(0.05)

    receiver.before_answer = slow_receiver
    another = create_app(settings_for(database_url, **more_settings), clock=clock)
    async with another.router.lifespan_context(another):
        await enqueue(services, alice, clock, 40)
        rows = await settled(services)
    assert sorted(post.headers["webhook-id"] for post in receiver.posts) == sorted(str(row.id) for row in rows)
    assert {row.attempts for row in rows} == {1}
    assert 1 < receiver.most_at_once <= 2 * notifications.MAX_CONCURRENCY


async def test_if_a_worker_dies_its_attempt_is_repeated_when_the_claim_expires(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver
) -> None:
    # The state that a dead worker leaves: claimed, and not finished.
    await enqueue(services, alice, clock, attempts=1, next_attempt_at=clock.now() + notifications.CLAIM)
    await asyncio.sleep(0.1)
    assert receiver.posts == []
    clock.advance(notifications.CLAIM)
    await receiver.until(1)
    (row,) = await settled(services)
    assert (row.attempts, row.delivered_at) == (2, clock.now())


async def test_an_attempt_that_outlived_its_claim_does_not_undo_the_next_one(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver
) -> None:
    await enqueue(services, alice, clock, attempts=1, next_attempt_at=clock.now() + notifications.CLAIM)
    (late,) = await stored(services)
    clock.advance(notifications.CLAIM)
    (delivered,) = await settled(services)
    await services.notifications._finish(late, 1, notifications.Failed("too late", permanent=True), clock.now())
    assert await stored(services) == [delivered]


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    async with silent() as port:
        yield port


async def test_a_hanging_receiver_delays_neither_mail_nor_requests_nor_the_shutdown(
    database_url: str,
    clock: FakeClock,
    settings_for: Callable[..., Settings],
    more_settings: dict[str, Any],
    silent_port: int,
    box: Mailbox,
    password_hash: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The timeout of an attempt is an hour, so anything that waits for the receiver fails the test."""
    monkeypatch.setattr(notifications, "ATTEMPT_TIMEOUT", 3600)
    hanging = more_settings | {"webhook_url": f"http://127.0.0.1:{silent_port}/"}
    app = create_app(settings_for(database_url, **hanging), clock=clock)
    async with asyncio.timeout(60), app.router.lifespan_context(app):
        services: Services = app.state.services
        alice = await services.accounts.import_user("alice", "alice@example.org", password_hash, clock.now())
        await enqueue(services, alice, clock, 100)
        await services.accounts.disable(alice.id, clock.now())
        await box.until(1)
        while sum(row.attempts for row in await stored(services)) < notifications.MAX_CONCURRENCY + 1:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        # Only this many are in memory, and the rest wait in the database.
        assert sum(row.attempts for row in await stored(services)) == notifications.MAX_CONCURRENCY + 1
        assert await services.accounts.find_by_username("alice")


async def test_an_attempt_has_a_timeout_even_if_the_receiver_sends_single_bytes(
    services: Services,
    clock: FakeClock,
    alice: UserRow,
    receiver: WebReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Single bytes defeat a timeout for each read, so the whole attempt needs one."""
    monkeypatch.setattr(notifications, "ATTEMPT_TIMEOUT", 0.3)

    async def drip() -> None:
        for _ in range(1000):
            await asyncio.sleep(0.01)

    receiver.before_answer = drip
    await enqueue(services, alice, clock)
    row = await attempted(services, clock, 1)
    assert row.last_error == "no answer within 0.3 seconds"


async def test_a_bug_in_a_channel_is_a_failed_attempt_and_its_message_is_not_logged(
    services: Services,
    clock: FakeClock,
    alice: UserRow,
    receiver: WebReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> bytes:
        raise KeyError("hunter2")

    with monkeypatch.context() as patch:
        patch.setattr("graph.notifications.webhook.body_of", broken)
        await enqueue(services, alice, clock)
        row = await attempted(services, clock, 1)
    assert row.last_error == "internal error; see the log"
    assert "KeyError" in caplog.text
    assert "hunter2" not in caplog.text
    clock.instant = row.next_attempt_at
    await receiver.until(1)


async def test_delivery_continues_after_an_outage_of_the_database_and_after_a_bug(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for fault in (RolledBack(), KeyError("hunter2")):

            async def broken(*_: Any, fault: Exception = fault, **__: Any) -> None:
                raise fault

            patch.setattr(statements_of_outbox, "due", broken)
            await enqueue(services, alice, clock)
            await asyncio.sleep(0.1)
    await receiver.until(2)
    assert len(await settled(services)) == 2


async def test_a_read_only_database_is_queried_with_pauses(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    due = statements_of_outbox.due

    async def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal looks
        looks += 1
        return await due(*arguments, **named)

    async def full(*_: Any, **__: Any) -> None:
        raise KeyError

    await enqueue(services, alice, clock, next_attempt_at=clock.now() + timedelta(seconds=1))
    with monkeypatch.context() as patch:
        patch.setattr(notifications, "POLL_INTERVAL", 0.2)
        patch.setattr(statements_of_outbox, "due", counted)
        patch.setattr(statements_of_outbox, "claim", full)
        clock.advance(timedelta(seconds=1))
        await asyncio.sleep(1)
    assert 4 <= looks <= 2 * 7  # for each of the two channels
    await receiver.until(1)


async def test_data_03_a_notification_is_pruned_once_it_is_old_and_delivered_or_failed(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver
) -> None:
    start = clock.now()
    later = start + timedelta(days=365)
    await enqueue(services, alice, clock, next_attempt_at=None, delivered_at=start)
    await enqueue(services, alice, clock, next_attempt_at=None, failed_at=start, last_error="HTTP 500")
    await enqueue(services, alice, clock, next_attempt_at=later)  # never attempted, as if its channel were turned off
    clock.instant = start + timedelta(days=30)
    assert (await services.pruning.prune(clock.now())).notifications == 0
    clock.advance(timedelta(seconds=1))
    assert (await services.pruning.prune(clock.now())).notifications == 3
    assert await stored(services) == []


@pytest.mark.parametrize("retention", [timedelta(minutes=1)])
async def test_data_03_a_waiting_notification_is_not_pruned_even_with_a_short_retention(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, retention: timedelta
) -> None:
    receiver.answers = [answer(500)] * 7
    object.__setattr__(services.pruning, "retention", retention)
    await enqueue(services, alice, clock)
    for number in range(1, 8):
        row = await attempted(services, clock, number)
        clock.instant = row.next_attempt_at - timedelta(microseconds=1)
        assert (await services.pruning.prune(clock.now())).notifications == 0
        clock.instant = row.next_attempt_at
    await receiver.until(8)
    await settled(services)
    clock.advance(timedelta(seconds=1))
    assert (await services.pruning.prune(clock.now())).notifications == 1


async def test_data_04_deleting_a_user_deletes_their_notifications(
    services: Services, clock: FakeClock, alice: UserRow, bob: UserRow
) -> None:
    await enqueue(services, alice, clock, next_attempt_at=None, delivered_at=clock.now())
    await enqueue(services, bob, clock, next_attempt_at=None, delivered_at=clock.now())
    async with looking_at(services.db) as conn:
        await conn.execute(sql("DELETE FROM usernames WHERE username_key = 'alice'"))
        await conn.execute(sql("DELETE FROM users WHERE username = 'alice'"))
    assert [row.user_id for row in await stored(services)] == [bob.id]


async def test_without_settings_there_is_no_channel(settings_for: Callable[..., Settings], sqlite_url: str) -> None:
    async with channels(settings_for(sqlite_url)) as configured:
        assert configured == {}


async def test_data_01_no_secret_is_in_the_outbox(
    api: Api, http: AsyncClient, services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver
) -> None:
    pair = await api.login()
    http.headers["x-forwarded-for"] = ELSEWHERE
    await api.login()
    await services.accounts.set_password(alice, NEW_PASSWORD, clock.now())
    await receiver.until(2)
    written = repr(await settled(services)) + repr([post.body for post in receiver.posts])
    for secret in (PASSWORD, NEW_PASSWORD, SECRET, WEBHOOK_SECRET, pair.refresh, pair.access, alice.hashed_password):
        assert secret not in written


@pytest.mark.usefixtures("box")
async def test_delivery_attempts_are_counted_in_the_metrics(
    services: Services, clock: FakeClock, alice: UserRow, receiver: WebReceiver, http: AsyncClient
) -> None:
    receiver.answers = [answer(500)]
    await services.accounts.disable(alice.id, clock.now())
    clock.instant = (await attempted(services, clock, 1)).next_attempt_at
    await settled(services)
    counted = (await http.get("/metrics")).text
    for line in (
        'channel="webhook",outcome="failed"',
        'channel="webhook",outcome="delivered"',
        'channel="mail",outcome="delivered"',
    ):
        assert f"kindred_notification_attempts_total{{{line}}} 1.0" in counted


async def test_log_06_a_notification_that_a_clock_a_year_ahead_wrote_or_claimed_is_due_now(
    services: Services, alice: UserRow, clock: FakeClock, receiver: WebReceiver
) -> None:
    longest = notifications.RETRY_DELAYS[-1] * 1.25
    await enqueue(services, alice, clock, attempts=9, next_attempt_at=clock.now() + longest)
    year = timedelta(days=365)
    await enqueue(services, alice, clock, next_attempt_at=clock.now() + year, occurred_at=clock.now() + year)
    await receiver.until(1)
    async with asyncio.timeout(10):
        while not any(row.delivered_at for row in await stored(services)):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    waits, delivered = await stored(services)
    assert (waits.attempts, waits.next_attempt_at) == (9, clock.now() + longest)
    assert (delivered.attempts, delivered.delivered_at) == (1, clock.now())


@pytest.mark.parametrize("ahead", [timedelta(days=365), timedelta(days=-365)], ids=str)
async def test_log_06_nothing_is_delivered_while_the_database_s_clock_differs(
    services: Services,
    alice: UserRow,
    clock: FakeClock,
    receiver: WebReceiver,
    caplog: pytest.LogCaptureFixture,
    ahead: timedelta,
) -> None:
    """A clock a year behind would make all ten attempts at once."""
    with caplog.at_level(logging.WARNING, "kindred"):
        clock.database_ahead = ahead
        await enqueue(services, alice, clock)
        await asyncio.sleep(0.5)
        (row,) = await stored(services)
        assert (row.attempts, len(receiver.posts)) == (0, 0)
        clock.database_ahead = timedelta(0)
        await receiver.until(1)
        await settled(services)
        await asyncio.sleep(0.2)
    about_webhook = [record.getMessage() for record in caplog.records if "by webhook" in record.getMessage()]
    assert len(about_webhook) == 2
    assert about_webhook[0].startswith("notifications by webhook wait: The database's clock is 31536000 s ")
    assert about_webhook[1] == "notifications by webhook are delivered again: the clocks agree"
