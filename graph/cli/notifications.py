"""`kindred webhook` and `kindred mail`: whether owners can be told, and what they have not been told."""

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
from graph.cli.common import CommandError, format_timestamp, report_errors, run_with_services, settings_or_exit, table
from graph.notifications.channels import channels

webhook = typer.Typer(help="Try the webhook, and list what it was not told.", no_args_is_help=True)
mail = typer.Typer(help="Try the mail server, and list what it was not told.", no_args_is_help=True)

MAX_LISTED = 100


@webhook.command("test")
def test_webhook() -> None:
    """Send a test notice to KINDRED_WEBHOOK_URL now, and say what came back. Exit code 1 unless it was 2xx."""
    _try(NotificationChannel.WEBHOOK, None)


@webhook.command("list")
def list_webhooks() -> None:
    """List the notices that wait to be posted or were given up, newest first."""
    _list(NotificationChannel.WEBHOOK)


@webhook.command("retry")
def retry_webhooks() -> None:
    """Let the service post all of them now, those that were given up too."""
    _retry(NotificationChannel.WEBHOOK)


@mail.command("test")
def test_mail(
    address: Annotated[str, typer.Argument(help="Whom to send it to.", metavar="ADDRESS", show_default=False)],
) -> None:
    """Send a test notice by mail now, and say what came of it. Exit code 1 unless the mail server took it."""
    if (email := clean_email(address)) is None:
        with report_errors():
            raise CommandError("This cannot be an e-mail address.")
    _try(NotificationChannel.MAIL, email)


@mail.command("list")
def list_mails() -> None:
    """List the notices that wait to be mailed or were given up, newest first."""
    _list(NotificationChannel.MAIL)


@mail.command("retry")
def retry_mails() -> None:
    """Let the service mail all of them now, those that were given up too."""
    _retry(NotificationChannel.MAIL)


async def summary(services: Services, channel: NotificationChannel) -> str:
    """How many notices a channel has not delivered, for `kindred check`."""
    waiting, given_up = await services.notifications.backlog(channel)
    return f"{waiting} notices wait, {given_up} were given up" + (f": kindred {channel} list" if given_up else "")


def _try(name: NotificationChannel, email: str | None) -> None:
    settings = _with_channel(name)
    clock = SystemClock()
    now = clock.now()

    async def send() -> Delivered | Failed:
        async with channels(settings) as found:
            return await attempt(found[name], _test_notice(email, now), now)

    with report_errors():
        outcome = asyncio.run(send())
        took = f"after {(clock.now() - now).total_seconds():.2f} s"
        if isinstance(outcome, Failed):
            raise CommandError(f"The test notice was not delivered: {outcome.reason} ({took}).")
        typer.echo(f"Delivered: {outcome.answer} ({took}).")


def _with_channel(name: NotificationChannel) -> Settings:
    settings = settings_or_exit()
    if name not in settings.channels:
        needed = {
            NotificationChannel.WEBHOOK: "KINDRED_WEBHOOK_URL and KINDRED_WEBHOOK_SECRET",
            NotificationChannel.MAIL: "KINDRED_SMTP_URL and KINDRED_MAIL_FROM",
        }
        with report_errors():
            raise CommandError(f"There is no {name} to try: {needed[name]} are not set.")
    return settings


def _test_notice(email: str | None, now: datetime) -> Notification:
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
                    "given up" if row.failed_at else format_timestamp(row.next_attempt_at),
                    row.last_error or "-",
                )
                for row in rows
            ],
        )

    run_with_services(work)


def _retry(name: NotificationChannel) -> None:
    async def work(services: Services, now: datetime) -> None:
        typer.echo(f"{await services.notifications.requeue(name, now)} notices are due now; the service delivers them.")

    run_with_services(work)
