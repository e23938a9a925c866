"""Notifications as mail to the user: plain text that says what happened, when, from where, and what to do next."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as LINES_OF_SMTP
from email.utils import format_datetime
from textwrap import fill

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from auth.background.notifications import ATTEMPT_TIMEOUT, Delivered, Failed, Notification
from auth.config.notification_targets import MailServer
from db.tables.base import NotificationChannel, NotificationKind
from graph.api.device_names import describe_device
from graph.notifications.connection_errors import connection_error_reason

# By kind: the subject, what happened, what to do next.
_TEXTS = {
    NotificationKind.SESSION_REPLAYED: (
        "One of your sessions was signed out to protect your account",
        "A refresh token of your session on {device} was used twice. Another person may have a copy of it, and the "
        "service cannot tell which use was yours. It revoked the session, which no longer works on any device.",
        "Sign in again. If you do not know the cause, or if it happens again, change your password and review your "
        "other sessions.",
    ),
    NotificationKind.SESSION_FROM_NEW_DEVICE: (
        "New sign-in to your account",
        "Your password was used to sign in to your account, from a network that you had not used before.",
        "If this was you, you do not need to do anything. If it was not, change your password now. This signs out "
        "every other session, including the new one.",
    ),
    NotificationKind.PASSWORD_CHANGED: (
        "Your password was changed",
        "The password of your account was changed, and your other sessions were signed out.",
        "If this was you, you do not need to do anything. If it was not, contact the operator of this service now. "
        "They can disable your account or set a new password.",
    ),
    NotificationKind.USER_DISABLED: (
        "Your account was disabled",
        "The operator of this service disabled your account. All of your sessions were signed out.",
        "If you did not expect this, contact the operator.",
    ),
    NotificationKind.TEST: (
        "Test of security notifications",
        "The operator of this service tested whether mail arrives. It does.",
        "You do not need to do anything.",
    ),
}
_TEXT = """Hello {username},

{event}

When:  {when}
Where: {where}

{advice}

{sender}
"""
_MAX_NAME_LENGTH = 60
_QUIT_TIMEOUT = 1  # seconds; the server has accepted the mail by then


class Mail:
    """Sends notifications through a mail server."""

    name = NotificationChannel.MAIL

    def __init__(self, server: MailServer, sender: str, service: str) -> None:
        self._server, self._sender, self._service = server, sender, service

    async def send(self, notification: Notification, now: datetime) -> Delivered | Failed:
        """Make one attempt, over a new connection."""
        try:
            message = compose(notification, self._sender, self._service, now)
        except (ValueError, MessageError):
            return Failed("invalid email address", permanent=True)
        try:
            await self._submit(message)
        except SMTPRecipientsRefused as error:
            (recipient,) = error.recipients
            return Failed(f"recipient refused ({recipient.code})", permanent=recipient.code >= 500)
        except SMTPDataError as error:
            return Failed(f"mail refused ({error.code})", permanent=error.code >= 500)
        except SMTPAuthenticationError as error:
            # Not permanent, as the next one: the operator can correct the settings.
            return Failed(f"mail server refused the username and password ({error.code})")
        except SMTPSenderRefused as error:
            return Failed(f"mail server refused the sender address ({error.code})")
        except SMTPNotSupported:
            return Failed("mail server does not support a required extension", permanent=True)
        except SMTPResponseException as error:
            return Failed(f"mail server answered {error.code}")
        except (SMTPException, OSError) as error:
            # aiosmtplib has no exception class for these two.
            if "SMTP AUTH" in str(error):
                return Failed("mail server does not support authentication")
            if "STARTTLS" in str(error):
                return Failed("mail server does not offer STARTTLS, which protects mail in transit")
            return Failed(connection_error_reason(error))
        return Delivered("accepted by the mail server")

    async def _submit(self, message: EmailMessage) -> None:
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.tls_from_the_start,
            start_tls=server.start_tls,
            local_hostname=self._sender.rpartition("@")[2],  # the default is a DNS lookup of this machine's name
            timeout=ATTEMPT_TIMEOUT,
        )
        # Not as a context manager: that sends QUIT after a cancellation too, and waits for a server that hangs.
        try:
            await client.connect()
            await client.send_message(message)
            with suppress(SMTPException, TimeoutError):
                async with asyncio.timeout(_QUIT_TIMEOUT):
                    await client.quit()
        finally:
            client.close()


def compose(notification: Notification, sender: str, service: str, now: datetime) -> EmailMessage:
    """Build the mail. Raises `ValueError` for an address that could begin another header or recipient."""
    name, _, host = (notification.email or "").rpartition("@")
    if not name or not host:
        raise ValueError
    recipient = Address(addr_spec=f"{name}@{host.encode('idna').decode()}")
    subject, event, advice = _TEXTS[notification.kind]
    message = EmailMessage(policy=LINES_OF_SMTP)
    message["From"] = Address("Account security", addr_spec=sender)
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{notification.id}@{sender.rpartition('@')[2]}>"  # the same in each attempt
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: prevents out-of-office replies
    device = notification.device_name or describe_device(notification.device_user_agent)
    message.set_content(
        _TEXT.format(
            username=notification.username,
            event=_wrapped(event.format(device=f'"{_quoted(device)}"')),
            when=f"{notification.occurred_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            where=_where(notification),
            advice=_wrapped(f"What to do: {advice}"),
            sender=_wrapped(
                f"{service} sent this message because it concerns the security of your account. Its "
                f"reference is {notification.id}."
            ),
        )
    )
    return message


def _wrapped(text: str) -> str:
    # RFC 5322 section 2.1.1: lines should have no more than 78 characters.
    return fill(text, 76, break_long_words=False, break_on_hyphens=False)


def _where(notification: Notification) -> str:
    if notification.ip is None and notification.user_agent is None:
        return "at the service, by its operator"
    return f"{notification.ip or 'an unknown address'}, {_quoted(describe_device(notification.user_agent))}"


def _quoted(name: str) -> str:
    """Remove characters that form a link or a line break: an attacker may have chosen the name of a device."""
    safe = "".join(letter if letter.isalnum() or letter in " -_'()+&" else " " for letter in name)
    return " ".join(safe.split())[:_MAX_NAME_LENGTH] or "an unnamed device"
