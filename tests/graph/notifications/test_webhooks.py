"""Webhooks: signatures by Standard Webhooks, verified certificates, no redirects, and `kindred webhook`."""

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from auth.background import notifications
from auth.background.notifications import Delivered, Failed, Notification, attempt
from auth.config.notification_targets import webhook_keys
from db.tables.base import NotificationKind
from graph.cli import main
from graph.notifications.webhook import Webhook, headers_of
from tests.support.receivers import WEBHOOK_SECRET, WebReceiver, answer, certificate, silent, web_receiver
from tests.support.repository import ROOT
from tests.support.servers import SECRET, free_port

PAGE = ROOT / "docs" / "notifications.md"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
NOTICE = Notification(
    id=UUID("01a20748-f7d7-7b2d-a73b-cf4e1d254017"),
    kind=NotificationKind.SESSION_REPLAYED,
    occurred_at=NOW - timedelta(seconds=90),
    user_id=UUID("01a20748-0000-7b2d-a73b-cf4e1d254017"),
    username="alice",
    email="alice@example.org",
    session_id=UUID("01a20748-1111-7b2d-a73b-cf4e1d254017"),
    device_name=None,
    device_user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ip="203.0.113.9",
    user_agent='curl/8 "quoted"\r\n',
)


@pytest.fixture
async def receiver() -> AsyncIterator[WebReceiver]:
    async with web_receiver() as receiver:
        yield receiver


async def deliver(url: str, secret: str = WEBHOOK_SECRET, now: datetime = NOW) -> Delivered | Failed:
    """Attempt one delivery to a URL. Return its outcome."""
    async with Webhook(SecretStr(url), webhook_keys(secret)) as webhook:
        return await attempt(webhook, NOTICE, now)


def documented_verifier() -> Callable[..., Any]:
    """`verify_webhook` from docs/notifications.md."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    verify_webhook: Callable[..., Any] = names["verify_webhook"]
    return verify_webhook


def test_a_signature_is_the_one_in_the_example_of_the_specification() -> None:
    """The libraries of Standard Webhooks test themselves with this example."""
    keys = webhook_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330.9, UTC)
    assert headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', keys, at) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_the_documented_verifier_accepts_only_unmodified_notifications(receiver: WebReceiver) -> None:
    verify_webhook = documented_verifier()
    assert await deliver(receiver.url) == Delivered("HTTP 204")
    (post,) = receiver.posts
    now = NOW.timestamp()
    assert verify_webhook(WEBHOOK_SECRET, post.headers, post.body, now) == post.payload
    for headers, body, when in (
        (post.headers, post.body.replace(b"alice", b"mallo"), now),
        (post.headers | {"webhook-id": "another"}, post.body, now),
        (post.headers | {"webhook-timestamp": str(int(now) - 1)}, post.body, now),
        (post.headers | {"webhook-signature": "v1,AAAA"}, post.body, now),
        (post.headers, post.body, now + 301),  # an old notification that an attacker sends again
        (post.headers, post.body, now - 301),
    ):
        with pytest.raises(ValueError, match="not from Kindred"):
            verify_webhook(WEBHOOK_SECRET, headers, body, when)
    with pytest.raises(ValueError, match="not from Kindred"):
        verify_webhook("whsec_" + b64encode(b"x" * 32).decode(), post.headers, post.body, now)


async def test_every_secret_signs_so_that_one_can_be_replaced(receiver: WebReceiver) -> None:
    newer = "whsec_" + b64encode(b"three grey owls read 7 maps").decode()
    await deliver(receiver.url, f"{newer},{WEBHOOK_SECRET}")
    (post,) = receiver.posts
    assert re.fullmatch(r"v1,\S{44} v1,\S{44}", post.headers["webhook-signature"])
    for secret in (newer, WEBHOOK_SECRET):
        assert documented_verifier()(secret, post.headers, post.body, NOW.timestamp()) == post.payload


async def test_the_request_has_the_documented_headers_and_body(receiver: WebReceiver) -> None:
    await deliver(receiver.url)
    (post,) = receiver.posts
    assert post.headers[":"] == "POST /hooks/hunter2 HTTP/1.1"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["user-agent"] == "Kindred"
    assert post.payload == {
        "type": "session.replayed",
        "timestamp": "2026-11-23T11:58:30Z",
        "data": {
            "event_id": "01a20748-f7d7-7b2d-a73b-cf4e1d254017",
            "user_id": "01a20748-0000-7b2d-a73b-cf4e1d254017",
            "username": "alice",
            "session_id": "01a20748-1111-7b2d-a73b-cf4e1d254017",
            "device_name": "Firefox on Linux",
            "ip": "203.0.113.9",
            "user_agent": 'curl/8 "quoted"\r\n',
        },
    }


async def test_a_redirect_is_not_followed(receiver: WebReceiver) -> None:
    async with web_receiver() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            receiver.answers = [answer(status, f"location: {elsewhere.url}")]
            assert await deliver(receiver.url) == Failed(f"HTTP {status}; redirects are not followed")
    assert elsewhere.posts == []


async def test_only_the_status_of_a_response_is_read(receiver: WebReceiver) -> None:
    written = 0

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 So\r\ncontent-length: 99999999999\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                written += 65536
        except OSError:
            writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await deliver(f"http://127.0.0.1:{port}/") == Delivered("HTTP 200")
    await asyncio.sleep(0.1)
    server.close()
    assert written < 50_000_000  # the size of the system's buffers; the service reads nothing


@pytest.mark.parametrize("junk", [b"", b"hunter2\r\n\r\n", b"HTTP/1.1 200 So\r\n" + b"x: " + b"y" * 200_000])
async def test_an_invalid_response_is_a_failure(receiver: WebReceiver, junk: bytes) -> None:
    receiver.answers = [junk]
    outcome = await deliver(receiver.url)
    assert isinstance(outcome, Failed)
    assert "hunter2" not in outcome.reason
    assert not outcome.permanent


@pytest.mark.parametrize(
    ("header", "wait"),
    [("120", timedelta(minutes=2)), ("soon", None), ("-1", None), ("9" * 30, None), ("\u00b2", None)],
)
async def test_retry_after_of_a_receiver_is_respected(
    receiver: WebReceiver, header: str, wait: timedelta | None
) -> None:
    receiver.answers = [answer(503, f"retry-after: {header}")]
    assert await deliver(receiver.url) == Failed("HTTP 503", retry_after=wait)


class TestTls:
    """Certificates are verified, always."""

    @pytest.mark.parametrize(
        ("host", "days", "trusted", "reason"),
        [
            ("127.0.0.1", 1, False, "self-signed certificate"),
            ("127.0.0.1", -1, True, "certificate has expired"),
            ("mail.example.org", 1, True, "ip address mismatch"),
        ],
    )
    async def test_an_invalid_certificate_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, days: int, trusted: bool, reason: str
    ) -> None:
        tls, file = certificate(tmp_path, host=host, days=days)
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with web_receiver(tls) as receiver:
            assert await deliver(receiver.url) == Failed(f"certificate not accepted: {reason}")
        assert receiver.posts == []

    async def test_a_trusted_certificate_is_accepted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tls, file = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with web_receiver(tls) as receiver:
            assert await deliver(receiver.url) == Delivered("HTTP 204")

    async def test_a_server_without_tls_is_refused(self) -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(answer(400))
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        assert await deliver(f"https://127.0.0.1:{port}/") == Failed("TLS handshake failed")
        server.close()


async def test_no_log_has_the_secrets_of_a_url(receiver: WebReceiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = receiver.url.replace("127.0.0.1", "operator:hunter3@127.0.0.1")
    await deliver(url)
    assert receiver.posts[0].headers["authorization"] == "Basic " + b64encode(b"operator:hunter3").decode()
    await deliver(f"http://operator:hunter3@127.0.0.1:{free_port()}/hunter2")
    assert "hunter" not in caplog.text
    assert WEBHOOK_SECRET.removeprefix("whsec_") not in caplog.text


# `kindred webhook`


@pytest.fixture
async def kindred(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs `kindred ...` in a thread, next to the receiver. `to` is the URL of the webhook."""
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str, to: str | None = None, **settings: str) -> Result:
        env = {"DATABASE_URL": sqlite_url, "SECRET": SECRET} | settings
        if to is not None:
            env |= {"WEBHOOK_URL": to, "WEBHOOK_SECRET": WEBHOOK_SECRET}
        named = {f"KINDRED_{name}": value for name, value in env.items()}
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=named)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        for secret in ("hunter", WEBHOOK_SECRET, WEBHOOK_SECRET.removeprefix("whsec_")):
            assert secret not in result.output
        return result

    return run


async def test_the_test_command_reports_a_delivery(receiver: WebReceiver, kindred: Callable[..., Any]) -> None:
    result = await kindred("webhook", "test", to=receiver.url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(r"Delivered: HTTP 204 \(after \d\.\d\d s\)\.\n", result.stdout)
    (post,) = receiver.posts
    assert post.payload["type"] == "notice.test"
    assert post.payload["data"]["username"] == "test"
    verify_webhook = documented_verifier()
    assert (
        verify_webhook(WEBHOOK_SECRET, post.headers, post.body, float(post.headers["webhook-timestamp"]))
        == post.payload
    )


async def test_the_test_command_reports_the_reason_of_a_failure(
    receiver: WebReceiver, kindred: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "ATTEMPT_TIMEOUT", 1)
    receiver.answers = [answer(404), answer(500), answer(302)]
    tls, _ = certificate(tmp_path)
    async with AsyncExitStack() as stack:
        unused = free_port()
        secured = await stack.enter_async_context(web_receiver(tls))
        silent_port = await stack.enter_async_context(silent())
        for url, reason in (
            (receiver.url, "HTTP 404"),
            (receiver.url, "HTTP 500"),
            (receiver.url, "HTTP 302; redirects are not followed"),
            (f"http://127.0.0.1:{unused}/hunter2", "connection refused"),
            ("http://hunter2.invalid/", "unknown host"),
            (secured.url, "certificate not accepted: self-signed certificate"),
            (f"http://127.0.0.1:{silent_port}/hunter2", "no answer within 1 seconds"),
        ):
            result = await kindred("webhook", "test", to=url)
            assert (result.exit_code, result.stdout) == (1, ""), url
            (line,) = result.stderr.splitlines()
            match = re.fullmatch(r"kindred: The test notification was not delivered: (.*) \(after \d\.\d\d s\)\.", line)
            assert match is not None, line
            assert match[1] == reason


async def test_the_test_command_reports_missing_settings(kindred: Callable[..., Any]) -> None:
    result = await kindred("webhook", "test")
    assert result.exit_code == 1
    assert result.stderr == (
        "kindred: Set KINDRED_WEBHOOK_URL and KINDRED_WEBHOOK_SECRET before you test the webhook channel.\n"
    )
