"""Notices as mail to whom they concern: plain text, each saying what happened, when, from where, and what to do."""

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
from auth.config.endpoints import MailServer
from db.tables.base import NotificationChannel, NotificationKind
from graph.api.device_names import describe_device
from graph.notifications.connection_errors import connection_error_reason

# By kind: the subject, what happened, what to do.
_WORDS = {
    NotificationKind.SESSION_REPLAYED: (
        "A session of yours was ended for safety",
        "A refresh token of your session on {device} was presented a second time. Two parties may have held it, and "
        "nobody can tell which of them is you, so the session was ended. It cannot be used any more, by anybody.",
        "Sign in again. If you do not know where this came from, or if it happens again, change your password, and "
        "look through your other sessions.",
    ),
    NotificationKind.SESSION_FROM_NEW_DEVICE: (
        "Somebody signed in to your account from somewhere new",
        "Somebody who knew your password signed in to your account from a network that you had not used before.",
        "If it was you, there is nothing to do. If it was not, change your password at once: that ends every other "
        "session, this one too.",
    ),
    NotificationKind.PASSWORD_CHANGED: (
        "Your password was changed",
        "The password of your account was changed, and your other sessions were ended.",
        "If it was you, there is nothing to do. If it was not, tell whoever runs this service at once: they can "
        "disable your account, or give you a new password.",
    ),
    NotificationKind.USER_DISABLED: (
        "Your account was disabled",
        "Your account was disabled by whoever runs this service, and all of your sessions were ended.",
        "If you did not expect this, ask them.",
    ),
    NotificationKind.TEST: (
        "A test of security notices",
        "Somebody who runs this service tried whether mail arrives. It does.",
        "There is nothing to do.",
    ),
}
_TEXT = """Hello {username},

{happened}

When:  {when}
Where: {where}

{advice}

{sender}
"""
_MAX_NAME_LENGTH = 60
_QUIT_TIMEOUT = 1  # seconds, when the mail is in already


class Mail:
    """Hands mail in at a server."""

    name = NotificationChannel.MAIL

    def __init__(self, server: MailServer, sender: str, service: str) -> None:
        self._server, self._sender, self._service = server, sender, service

    async def send(self, notification: Notification, now: datetime) -> Delivered | Failed:
        """One attempt, over a connection of its own."""
        try:
            message = compose(notification, self._sender, self._service, now)
        except (ValueError, MessageError):
            return Failed("no mail can be sent to such an address", permanent=True)
        try:
            await self._submit(message)
        except SMTPRecipientsRefused as error:
            (refused,) = error.recipients
            return Failed(f"the address was refused ({refused.code})", permanent=refused.code >= 500)
        except SMTPDataError as error:
            return Failed(f"the mail was refused ({error.code})", permanent=error.code >= 500)
        except SMTPAuthenticationError as error:
            # For an operator to mend, as is the next; the notice waits for it.
            return Failed(f"the mail server did not accept the user and password ({error.code})")
        except SMTPSenderRefused as error:
            return Failed(f"the mail server did not accept the sender's address ({error.code})")
        except SMTPNotSupported:
            return Failed("the mail server cannot do what this mail needs", permanent=True)
        except SMTPResponseException as error:
            return Failed(f"the mail server answered {error.code}")
        except (SMTPException, OSError) as error:
            # These two have no class of their own.
            if "SMTP AUTH" in str(error):
                return Failed("the mail server takes no user and password")
            if "STARTTLS" in str(error):
                return Failed("the mail server does not offer STARTTLS, and without it mail can be read on the way")
            return Failed(connection_error_reason(error))
        return Delivered("the mail server took it")

    async def _submit(self, message: EmailMessage) -> None:
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.tls_from_the_start,
            start_tls=server.start_tls,
            local_hostname=self._sender.rpartition("@")[2],  # or it asks the network for this machine's name
            timeout=ATTEMPT_TIMEOUT,
        )
        # Not as a context manager: it says QUIT when it is cut off too, and waits for a server that hangs to say yes.
        try:
            await client.connect()
            await client.send_message(message)
            with suppress(SMTPException, TimeoutError):
                async with asyncio.timeout(_QUIT_TIMEOUT):
                    await client.quit()
        finally:
            client.close()


def compose(notification: Notification, sender: str, service: str, now: datetime) -> EmailMessage:
    """The mail. Raises ValueError where the address can be no header's: what is in one must not begin another."""
    name, _, host = (notification.email or "").rpartition("@")
    if not name or not host:
        raise ValueError
    recipient = Address(addr_spec=f"{name}@{host.encode('idna').decode()}")
    subject, happened, advice = _WORDS[notification.kind]
    message = EmailMessage(policy=LINES_OF_SMTP)
    message["From"] = Address("Account security", addr_spec=sender)
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{notification.id}@{sender.rpartition('@')[2]}>"  # the same in each attempt
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no out-of-office comes back
    device = notification.device_name or describe_device(notification.device_user_agent)
    message.set_content(
        _TEXT.format(
            username=notification.username,
            happened=_wrapped(happened.format(device=f'"{_quoted(device)}"')),
            when=f"{notification.occurred_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            where=_where(notification),
            advice=_wrapped(f"What to do: {advice}"),
            sender=_wrapped(
                f"This notice was sent by {service}, because it concerns the safety of your account. Its number is "
                f"{notification.id}."
            ),
        )
    )
    return message


def _wrapped(text: str) -> str:
    # RFC 5322 section 2.1.1: lines should have no more than 78 characters.
    return fill(text, 76, break_long_words=False, break_on_hyphens=False)


def _where(notification: Notification) -> str:
    if notification.ip is None and notification.user_agent is None:
        return "at the service itself"
    return f"{notification.ip or 'an unknown address'}, {_quoted(describe_device(notification.user_agent))}"


def _quoted(name: str) -> str:
    """A name that a stranger may have chosen, such as a thief's device: it must not become a link, or a line."""
    shown = "".join(letter if letter.isalnum() or letter in " -_'()+&" else " " for letter in name)
    return " ".join(shown.split())[:_MAX_NAME_LENGTH] or "an unnamed device"
