"""`kindred webhook` and `kindred mail`: whether owners can be told, and what they have not been told."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from auth.background.notifications import Delivered, Failed, Notice, attempt
from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.credentials.identifiers import clean_email
from auth.crypto.entropy import Entropy
from auth.services import Kindred
from db.tables.base import NoticeChannel, NoticeKind
from graph.cli.common import Refused, explained, moment, settings_or_exit, table, with_kindred
from graph.notifications.channels import channels

webhook = typer.Typer(help="Try the webhook, and list what it was not told.", no_args_is_help=True)
mail = typer.Typer(help="Try the mail server, and list what it was not told.", no_args_is_help=True)

MOST_LISTED = 100


@webhook.command("test")
def test_webhook() -> None:
    """Send a test notice to KINDRED_WEBHOOK_URL now, and say what came back. Exit code 1 unless it was 2xx."""
    _try(NoticeChannel.WEBHOOK, None)


@webhook.command("list")
def list_webhooks() -> None:
    """List the notices that wait to be posted or were given up, newest first."""
    _list(NoticeChannel.WEBHOOK)


@webhook.command("retry")
def retry_webhooks() -> None:
    """Let the service post all of them now, those that were given up too."""
    _retry(NoticeChannel.WEBHOOK)


@mail.command("test")
def test_mail(
    address: Annotated[str, typer.Argument(help="Whom to send it to.", metavar="ADDRESS", show_default=False)],
) -> None:
    """Send a test notice by mail now, and say what came of it. Exit code 1 unless the mail server took it."""
    if (email := clean_email(address)) is None:
        with explained():
            raise Refused("This cannot be an e-mail address.")
    _try(NoticeChannel.MAIL, email)


@mail.command("list")
def list_mails() -> None:
    """List the notices that wait to be mailed or were given up, newest first."""
    _list(NoticeChannel.MAIL)


@mail.command("retry")
def retry_mails() -> None:
    """Let the service mail all of them now, those that were given up too."""
    _retry(NoticeChannel.MAIL)


async def summary(kindred: Kindred, channel: NoticeChannel) -> str:
    """How many notices a channel has not delivered, for `kindred check`."""
    waiting, given_up = await kindred.notices.backlog(channel)
    return f"{waiting} notices wait, {given_up} were given up" + (f": kindred {channel} list" if given_up else "")


def _try(name: NoticeChannel, email: str | None) -> None:
    settings = _with_channel(name)
    clock = SystemClock()
    now = clock.now()

    async def send() -> Delivered | Failed:
        async with channels(settings) as found:
            return await attempt(found[name], _test_notice(email, now), now)

    with explained():
        outcome = asyncio.run(send())
        took = f"after {(clock.now() - now).total_seconds():.2f} s"
        if isinstance(outcome, Failed):
            raise Refused(f"The test notice was not delivered: {outcome.reason} ({took}).")
        typer.echo(f"Delivered: {outcome.answer} ({took}).")


def _with_channel(name: NoticeChannel) -> Settings:
    settings = settings_or_exit()
    if name not in settings.channels:
        needed = {
            NoticeChannel.WEBHOOK: "KINDRED_WEBHOOK_URL and KINDRED_WEBHOOK_SECRET",
            NoticeChannel.MAIL: "KINDRED_SMTP_URL and KINDRED_MAIL_FROM",
        }
        with explained():
            raise Refused(f"There is no {name} to try: {needed[name]} are not set.")
    return settings


def _test_notice(email: str | None, now: datetime) -> Notice:
    return Notice(
        id=Entropy().id(now),
        kind=NoticeKind.TEST,
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


def _list(name: NoticeChannel) -> None:
    async def work(kindred: Kindred, _now: datetime) -> None:
        rows = await kindred.notices.undelivered(name, limit=MOST_LISTED)
        table(
            ("ID", "KIND", "USER", "OCCURRED", "ATTEMPTS", "NEXT ATTEMPT", "LAST ERROR"),
            [
                (
                    str(row.id),
                    row.kind,
                    row.username,
                    moment(row.occurred_at),
                    str(row.attempts),
                    "given up" if row.given_up_at else moment(row.next_attempt_at),
                    row.last_error or "-",
                )
                for row in rows
            ],
        )

    with_kindred(work)


def _retry(name: NoticeChannel) -> None:
    async def work(kindred: Kindred, now: datetime) -> None:
        typer.echo(f"{await kindred.notices.retry(name, now)} notices are due now; the service delivers them.")

    with_kindred(work)
