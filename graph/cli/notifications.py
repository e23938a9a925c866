"""`kindred webhook` and `kindred mail`: test a notification channel, and list or retry undelivered notifications."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from auth.background.notifications import Delivered, Failed, Notification, attempt
from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.credentials.identifiers import clean_email
from auth.crypto.entropy import Entropy
from auth.services import Services
from db.tables.base import NotificationChannel, NotificationKind
from graph.cli.common import (
    CommandError,
    count_of,
    format_timestamp,
    report_errors,
    run_with_services,
    settings_or_exit,
    table,
)
from graph.notifications.channels import channels

webhook = typer.Typer(help="Test the webhook; list and retry its undelivered notifications.", no_args_is_help=True)
mail = typer.Typer(help="Test the mail server; list and retry undelivered mails.", no_args_is_help=True)

MAX_LISTED = 100


@webhook.command("test")
def test_webhook() -> None:
    """Post a test notification to KINDRED_WEBHOOK_URL. The exit code is 1 unless the response is 2xx."""
    _send_test(NotificationChannel.WEBHOOK, None)


@webhook.command("list")
def list_webhooks() -> None:
    """List waiting and failed notifications of the webhook, newest first."""
    _list(NotificationChannel.WEBHOOK)


@webhook.command("retry")
def retry_webhooks() -> None:
    """Make all waiting and failed notifications of the webhook due now."""
    _retry(NotificationChannel.WEBHOOK)


@mail.command("test")
def test_mail(
    address: Annotated[
        str, typer.Argument(help="The recipient of the test mail.", metavar="ADDRESS", show_default=False)
    ],
) -> None:
    """Send a test mail. The exit code is 1 unless the mail server accepts it."""
    if (email := clean_email(address)) is None:
        with report_errors():
            raise CommandError("ADDRESS is not a valid email address.")
    _send_test(NotificationChannel.MAIL, email)


@mail.command("list")
def list_mails() -> None:
    """List waiting and failed mails, newest first."""
    _list(NotificationChannel.MAIL)


@mail.command("retry")
def retry_mails() -> None:
    """Make all waiting and failed mails due now."""
    _retry(NotificationChannel.MAIL)


async def summary(services: Services, channel: NotificationChannel) -> str:
    """The numbers of undelivered notifications of a channel, for `kindred check`."""
    waiting, failed = await services.notifications.backlog(channel)
    return f"{waiting} waiting, {failed} failed" + (f"; see `kindred {channel} list`" if failed else "")


def _send_test(name: NotificationChannel, email: str | None) -> None:
    settings = _settings_with(name)
    clock = SystemClock()
    now = clock.now()

    async def send() -> Delivered | Failed:
        async with channels(settings) as opened:
            return await attempt(opened[name], _test_notification(email, now), now)

    with report_errors():
        outcome = asyncio.run(send())
        duration = f"after {(clock.now() - now).total_seconds():.2f} s"
        if isinstance(outcome, Failed):
            raise CommandError(f"The test notification was not delivered: {outcome.reason} ({duration}).")
        typer.echo(f"Delivered: {outcome.answer} ({duration}).")


def _settings_with(name: NotificationChannel) -> Settings:
    settings = settings_or_exit()
    if name not in settings.channels:
        required = {
            NotificationChannel.WEBHOOK: "KINDRED_WEBHOOK_URL and KINDRED_WEBHOOK_SECRET",
            NotificationChannel.MAIL: "KINDRED_SMTP_URL and KINDRED_MAIL_FROM",
        }
        with report_errors():
            raise CommandError(f"Set {required[name]} before you test the {name} channel.")
    return settings


def _test_notification(email: str | None, now: datetime) -> Notification:
    return Notification(
        id=Entropy().id(now),
        kind=NotificationKind.TEST,
        occurred_at=now,
        user_id=UUID(int=0),
        username="test",
        email=email,
        session_id=None,
        device_name=None,
        device_user_agent=None,
        ip=None,
        user_agent=None,
    )


def _list(name: NotificationChannel) -> None:
    async def work(services: Services, _now: datetime) -> None:
        rows = await services.notifications.undelivered(name, limit=MAX_LISTED)
        table(
            ("ID", "KIND", "USER", "OCCURRED", "ATTEMPTS", "NEXT ATTEMPT", "LAST ERROR"),
            [
                (
                    str(row.id),
                    row.kind,
                    row.username,
                    format_timestamp(row.occurred_at),
                    str(row.attempts),
                    "failed" if row.failed_at else format_timestamp(row.next_attempt_at),
                    row.last_error or "-",
                )
                for row in rows
            ],
        )

    run_with_services(work)


def _retry(name: NotificationChannel) -> None:
    async def work(services: Services, now: datetime) -> None:
        count = await services.notifications.requeue(name, now)
        typer.echo(f"{count_of(count, 'notification')} due now. The running service delivers them.")

    run_with_services(work)
