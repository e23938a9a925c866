"""Mail to users: its text, protection against injection, delivery to the mail server, and `kindred mail`."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from auth.background import notifications
from auth.background.notifications import ATTEMPT_TIMEOUT, Delivered, Failed, Notification, attempt
from auth.config.notification_targets import MailServer, mail_server
from auth.credentials.identifiers import clean_device_name
from auth.services import Services
from db.tables.base import NotificationKind
from db.tables.outbox import outbox
from db.tables.users import UserRow
from graph.cli import main
from graph.notifications.mail import Mail, compose
from tests.support.clocks import FakeClock
from tests.support.receivers import Mailbox, certificate, mailbox, silent
from tests.support.servers import SECRET, free_port
from tests.support.sql import looking_at

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
FROM, ISSUER = "kindred@id.example.org", "https://id.example.org"
NOTICE = Notification(
    id=UUID("01a20748-f7d7-7b2d-a73b-cf4e1d254017"),
    kind=NotificationKind.SESSION_REPLAYED,
    occurred_at=NOW - timedelta(seconds=90),
    user_id=UUID("01a20748-0000-7b2d-a73b-cf4e1d254017"),
    username="alice",
    email="alice@example.org",
    session_id=UUID("01a20748-1111-7b2d-a73b-cf4e1d254017"),
    device_name="Alice's phone (old)",
    device_user_agent=None,
    ip="203.0.113.9",
    user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
)


EXPECTED = """Hello alice,

A refresh token of your session on "Alice's phone (old)" was used twice.
Another person may have a copy of it, and the service cannot tell which use
was yours. It revoked the session, which no longer works on any device.

When:  2026-11-23 11:58:30 UTC
Where: 203.0.113.9, Firefox on Linux

What to do: Sign in again. If you do not know the cause, or if it happens
again, change your password and review your other sessions.

https://id.example.org sent this message because it concerns the security of
your account. Its reference is 01a20748-f7d7-7b2d-a73b-cf4e1d254017.
"""


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as box:
        yield box


def server(box: Mailbox, **more: Any) -> MailServer:
    """The test's mail server. `more` changes its settings, for example as if it were on another machine."""
    return replace(mail_server(f"smtp://127.0.0.1:{box.port}", in_production=True), **more)


async def deliver(to: MailServer, notice: Notification = NOTICE) -> Delivered | Failed:
    """Attempt one delivery. Return its outcome."""
    return await attempt(Mail(to, FROM, ISSUER), notice, NOW)


async def deliver_mail(box: Mailbox, notice: Notification = NOTICE) -> EmailMessage:
    """Deliver a mail. Return it as the recipient sees it."""
    assert await deliver(server(box), notice) == Delivered("accepted by the mail server")
    return box.mails[-1]


async def test_a_mail_says_what_happened_when_from_where_and_what_to_do(box: Mailbox) -> None:
    mail = await deliver_mail(box)
    assert dict(mail) == {
        "From": f"Account security <{FROM}>",
        "To": "alice@example.org",
        "Subject": "One of your sessions was signed out to protect your account",
        "Date": "Mon, 23 Nov 2026 12:00:00 +0000",
        "Message-ID": "<01a20748-f7d7-7b2d-a73b-cf4e1d254017@id.example.org>",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }
    assert text_of(mail) == EXPECTED
    assert (box.envelopes[0].mail_from, box.envelopes[0].rcpt_tos) == (FROM, ["alice@example.org"])


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


@pytest.mark.parametrize("kind", list(NotificationKind))
async def test_every_kind_of_notification_has_its_own_text(box: Mailbox, kind: NotificationKind) -> None:
    mail = await deliver_mail(box, replace(NOTICE, kind=kind))
    others = [
        compose(replace(NOTICE, kind=other), FROM, ISSUER, NOW) for other in NotificationKind if other is not kind
    ]
    assert mail["Subject"] not in {other["Subject"] for other in others}
    assert "{" not in text_of(mail)
    assert all(len(line) < 79 for line in text_of(mail).splitlines())


async def test_an_event_without_an_address_names_the_operator(box: Mailbox) -> None:
    notice = replace(NOTICE, kind=NotificationKind.USER_DISABLED, ip=None, user_agent=None, session_id=None)
    assert "Where: at the service, by its operator\n" in text_of(await deliver_mail(box, notice))


async def test_a_username_in_any_script_arrives(box: Mailbox) -> None:
    assert text_of(await deliver_mail(box, replace(NOTICE, username="Ünsal 🦉"))).startswith("Hello Ünsal 🦉,\n")


@pytest.mark.parametrize(
    "device",
    [
        "phone. Go to https://evil.example/reset",
        'x"\nWhat to do: call +1 900 000',
        "x\r\n.\r\nMAIL FROM:<a@b>",
        "{username} %s <b>",
        "evil.example/login",
        "a@evil.example",
        "x" * 500,
    ],
)
async def test_an_attacker_cannot_put_text_or_links_into_a_mail(box: Mailbox, device: str) -> None:
    """An attacker with the password chooses the device name. An attacker who replays a token chooses the browser."""
    mail = await deliver_mail(box, replace(NOTICE, device_name=device, user_agent=device))
    text = text_of(mail).replace(ISSUER, "")
    assert not re.search(r"://|evil\.|@|<|\{|x{61}", text)
    lines = text.splitlines()
    assert [line.partition(":")[0] for line in lines if ":" in line] == ["When", "Where", "What to do"]
    assert 14 <= len(lines) <= 16
    assert clean_device_name("x\r\ny") is None  # a sign-in refuses such a device name


@pytest.mark.parametrize(
    "address",
    [
        "alice@example.org\nBcc: mallory@example.org",
        "alice@example.org\r\n\r\nHello",
        "alice@example.org, mallory@example.org",
        "Alice <alice@example.org>",
        "alice@example.org>\r\nRCPT TO:<mallory@example.org",
        '"alice@example.org" <mallory@example.org>',
        "mallory@example.org,alice@example.org",
        "a b@example.org",
        "älice@example.org",
        "alice@",
        "@",
        "",
        "alice@" + "x" * 300,
    ],
)
async def test_an_address_cannot_add_headers_or_recipients(box: Mailbox, address: str) -> None:
    failed = Failed("invalid email address", permanent=True)
    assert await deliver(server(box), replace(NOTICE, email=address)) == failed
    assert box.mails == []


async def test_an_international_domain_is_sent_in_its_ascii_form(box: Mailbox) -> None:
    await deliver_mail(box, replace(NOTICE, email="alice@exämple.org"))
    assert box.envelopes[0].rcpt_tos == ["alice@xn--exmple-cua.org"]


class TestTls:
    """Without TLS, an attacker in the network reads whose session was stolen, and the password of the mail server."""

    async def test_a_server_without_starttls_gets_no_mail_in_production_and_no_password(self) -> None:
        async with mailbox(auth=True) as box:
            with_starttls = server(box, start_tls=True, username="kindred", password="hunter2")
            outcome = await deliver(with_starttls)
            assert outcome == Failed("mail server does not offer STARTTLS, which protects mail in transit")
        assert (box.mails, box.logins) == ([], [])

    @pytest.mark.parametrize("from_the_start", [True, False], ids=["smtps", "starttls"])
    async def test_mail_and_password_are_sent_over_tls(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_the_start: bool
    ) -> None:
        tls, file = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with mailbox(tls, from_the_start=from_the_start, auth=not from_the_start) as box:
            secured = server(box, start_tls=not from_the_start, tls_from_the_start=from_the_start)
            if not from_the_start:
                secured = replace(secured, username="kindred", password="hunter2")
            assert await deliver(secured) == Delivered("accepted by the mail server")
        assert box.encrypted == [True]
        assert box.logins == ([] if from_the_start else [(b"kindred", b"hunter2")])

    @pytest.mark.parametrize("from_the_start", [True, False], ids=["smtps", "starttls"])
    async def test_an_invalid_certificate_is_refused(self, tmp_path: Path, from_the_start: bool) -> None:
        tls, _ = certificate(tmp_path)
        async with mailbox(tls, from_the_start=from_the_start) as box:
            secured = server(box, start_tls=not from_the_start, tls_from_the_start=from_the_start)
            assert await deliver(secured) == Failed("certificate not accepted: self-signed certificate")
        assert box.mails == []

    async def test_optional_starttls_is_used_if_offered(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: Mailbox
    ) -> None:
        tls, file = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with mailbox(tls) as offering:
            for target in (offering, box):
                assert await deliver(server(target, start_tls=None)) == Delivered("accepted by the mail server")
        assert (offering.encrypted, box.encrypted) == ([True], [False])


async def test_a_refusal_of_the_mail_server_is_reported(box: Mailbox) -> None:
    box.answers = ["451 try again later", "550 no such user hunter2", "421 too busy"]
    assert await deliver(server(box)) == Failed("recipient refused (451)")
    assert await deliver(server(box)) == Failed("recipient refused (550)", permanent=True)
    assert await deliver(server(box)) == Failed("recipient refused (421)")
    box.answers_to_data = ["452 no room for hunter2", "554 looks like spam"]
    assert await deliver(server(box)) == Failed("mail refused (452)")
    assert await deliver(server(box)) == Failed("mail refused (554)", permanent=True)
    assert box.mails == []


async def test_an_attempt_at_a_hanging_mail_server_times_out(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "ATTEMPT_TIMEOUT", 0.5)
    box.hangs = True
    assert await deliver(server(box)) == Failed("no answer within 0.5 seconds")
    stopped = asyncio.create_task(deliver(server(box)))
    await asyncio.sleep(0.2)
    stopped.cancel()
    # The server never answers QUIT. The client library would wait for that as long as for any other answer.
    async with asyncio.timeout(ATTEMPT_TIMEOUT / 2):
        with pytest.raises(asyncio.CancelledError):
            await stopped
    box.hangs = False


async def test_a_refused_mail_server_password_is_not_permanent() -> None:
    async with mailbox(auth=True) as box:
        wrong = server(box, username="kindred", password="hunter3")
        assert await deliver(wrong) == Failed("mail server refused the username and password (535)")
    async with mailbox() as box:
        wrong = server(box, username="kindred", password="hunter3")
        assert await deliver(wrong) == Failed("mail server does not support authentication")


async def test_an_unreachable_mail_server_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "ATTEMPT_TIMEOUT", 0.5)
    unreachable = mail_server(f"smtp://127.0.0.1:{free_port()}", in_production=True)
    assert await deliver(unreachable) == Failed("connection refused")
    assert await deliver(replace(unreachable, host="nowhere.invalid")) == Failed("unknown host")
    async with silent() as port:
        assert await deliver(replace(unreachable, port=port)) == Failed("no answer within 0.5 seconds")


# Delivery by the service


@pytest.fixture
def more_settings(box: Mailbox) -> dict[str, Any]:
    return {"smtp_url": f"smtp://127.0.0.1:{box.port}", "mail_from": FROM, "issuer": ISSUER}


async def test_a_temporary_failure_is_retried_and_a_permanent_one_is_not(
    services: Services,
    clock: FakeClock,
    alice: UserRow,
    bob: UserRow,
    box: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(notifications, "POLL_INTERVAL", 0.02)

    async def until(error: str | None, attempts: int) -> Any:
        async with asyncio.timeout(10):
            while True:
                async with looking_at(services.db) as conn:
                    row = (await conn.execute(select(outbox).order_by(outbox.c.id.desc()))).first()
                if row is not None and (row.last_error, row.attempts) == (error, attempts):
                    return row
                await asyncio.sleep(0.01)

    box.answers = ["451 later", "250 fine", "550 unknown recipient: bob@example.org"]
    await services.accounts.disable(alice.id, clock.now())
    waiting = await until("recipient refused (451)", 1)
    assert waiting.next_attempt_at > clock.now()
    clock.instant = waiting.next_attempt_at
    await box.until(1)
    assert (await until(None, 2)).delivered_at == clock.now()
    clock.advance(timedelta(seconds=1))
    await services.accounts.disable(bob.id, clock.now())
    assert (await until("recipient refused (550)", 1)).failed_at == clock.now()
    assert [mail["To"] for mail in box.mails] == ["alice@example.org"]
    assert "@example.org" not in caplog.text


# `kindred mail`


@pytest.fixture
async def kindred(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs `kindred ...` in a thread, next to the mail server. `to` is the URL of the server."""
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str, to: str | None = None, **settings: str) -> Result:
        env = {"DATABASE_URL": sqlite_url, "SECRET": SECRET} | settings
        if to is not None:
            env |= {"SMTP_URL": to, "MAIL_FROM": FROM}
        named = {f"KINDRED_{name}": value for name, value in env.items()}
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=named)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "hunter" not in result.output
        return result

    return run


async def test_the_test_command_sends_a_mail(box: Mailbox, kindred: Callable[..., Any]) -> None:
    result = await kindred("mail", "test", "operator@example.org", to=f"smtp://127.0.0.1:{box.port}")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(r"Delivered: accepted by the mail server \(after \d\.\d\d s\)\.\n", result.stdout)
    assert (box.mails[0]["To"], box.mails[0]["Subject"]) == ("operator@example.org", "Test of security notifications")


async def test_the_test_command_reports_the_reason_of_a_failure(
    kindred: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with AsyncExitStack() as stack:
        locked = await stack.enter_async_context(mailbox(auth=True))
        refusing = await stack.enter_async_context(mailbox())
        refusing.answers = ["550 hunter2 is unknown"]
        for url, reason in (
            (f"smtp://kindred:hunter3@127.0.0.1:{locked.port}", "refused the username and password (535)"),
            (f"smtp://127.0.0.1:{refusing.port}", "recipient refused (550)"),
            (f"smtp://127.0.0.1:{free_port()}", "connection refused"),
        ):
            result = await kindred("mail", "test", "operator@example.org", to=url)
            assert (result.exit_code, result.stdout) == (1, "")
            (line,) = result.stderr.splitlines()
            assert line.startswith("kindred: The test notification was not delivered: ")
            assert reason in line
    assert "hunter3" not in caplog.text


async def test_the_test_command_reports_missing_settings_and_an_invalid_address(kindred: Callable[..., Any]) -> None:
    result = await kindred("mail", "test", "operator@example.org")
    assert (result.exit_code, result.stderr) == (
        1,
        "kindred: Set KINDRED_SMTP_URL and KINDRED_MAIL_FROM before you test the mail channel.\n",
    )
    for address in ("operator", "a b@c", "operator@example.org\nBcc: x@y"):
        result = await kindred("mail", "test", address, to="smtp://127.0.0.1:9")
        assert (result.exit_code, result.stderr) == (1, "kindred: ADDRESS is not a valid email address.\n")
