"""The command `kindred`."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import datetime
from typing import Annotated

import typer

from auth.background.diagnostics import CLOCKS_MAY_DIFFER, clock_difference, key_warnings
from auth.clock import SystemClock
from auth.clock_agreement import describe_difference
from auth.services import Services
from db.migration import current, head, missing_tables
from db.tables.base import metadata
from graph.api.schema import sdl
from graph.cli import keys, notifications, sessions, users, workers
from graph.cli.common import CommandError, count_of, report_errors, run_with_services, settings_or_exit
from graph.cli.development import prepare
from graph.observability import log_format
from graph.observability.metrics import multiprocess_dir
from graph.observability.version import installed_version
from graph.startup import check_before_serving

main = typer.Typer(
    help="Kindred: sign-in and sessions for GraphQL applications.\n\n"
    "Settings are environment variables, such as KINDRED_DATABASE_URL and KINDRED_SECRET.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
main.add_typer(users.users, name="user")
main.add_typer(sessions.sessions, name="session")
main.add_typer(keys.keys, name="key")
main.add_typer(notifications.webhook, name="webhook")
main.add_typer(notifications.mail, name="mail")


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"kindred {installed_version()}")
        raise typer.Exit


@main.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit.", show_default=False
        ),
    ] = False,
) -> None:
    """Options of `kindred` itself."""


@main.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    count: Annotated[int, typer.Option("--workers", help="The number of worker processes.", min=1)] = 1,
) -> None:
    """Run the service.

    In development it first migrates the database, and creates the user `demo` if there are no users.
    In production it refuses a database that lacks migrations: run `alembic upgrade head` first. If the database is
    unavailable, the service waits for it and answers 503. The exit code is 0 only after SIGTERM or SIGINT.
    """
    settings = settings_or_exit()
    with workers.exit_zero_on_stop_signals():
        if settings.in_production:
            run_with_services(lambda services, _now: check_before_serving(services), migrated=False)
        else:
            with report_errors():
                prepare(settings, f"http://{host}:{port}")
        log_format.configure(settings)
        with multiprocess_dir(count) if settings.metrics_enabled else nullcontext():
            workers.serve(settings, host, port, count)


@main.command()
def check() -> None:
    """Verify that the service can start: settings, secret, database, migrations, tables, signing keys.

    A line that begins with `warn` does not prevent the start, but needs attention: signing keys that are due for
    rotation or sealed with an older server secret, or a clock that differs from the database's clock or is far ahead of
    the last pruning.
    """
    settings = settings_or_exit()
    typer.echo(f"ok  settings ({settings.environment.value})")

    async def report(services: Services, now: datetime) -> None:
        older = len(services.keys.secrets) - 1
        typer.echo("ok  secret" + (f" (and {older} older, still read)" if older else ""))
        await _check_database(services)
        warnings = [warning async for warning in _warnings(services, now)]
        for channel in settings.channels:
            typer.echo(f"ok  {channel} ({await notifications.summary(services, channel)})")
        for warning in warnings:
            typer.echo(f"warn  {warning}")

    run_with_services(report, migrated=False)


async def _check_database(services: Services) -> None:
    revision, newest = await current(services.db), head()
    typer.echo(f"ok  database reachable ({services.db.dialect.value})")
    if missing := await missing_tables(services.db):
        raise CommandError(f"Tables are missing: {', '.join(missing)}. Run `alembic upgrade head`.")
    typer.echo(f"ok  tables ({len(metadata.tables)})")
    if revision != newest:
        raise CommandError(
            f"Migrations are missing: the database has {revision}, the newest is {newest}. Run `alembic upgrade head`."
        )
    typer.echo(f"ok  migrations ({revision})")


async def _warnings(services: Services, now: datetime) -> AsyncIterator[str]:
    """Check the signing keys and the clock."""
    await services.keys.reload()
    if key_problems := list(key_warnings(services.keys, now)):
        for problem in key_problems:
            yield problem
    else:
        typer.echo("ok  signing keys")
    if abs(ahead := await clock_difference(services.db, SystemClock())) > CLOCKS_MAY_DIFFER:
        yield f"{describe_difference(ahead)}. Set both by NTP."
        return
    schedule = services.prune_schedule
    doubts = [doubt for doubt in (await schedule.not_believed(now), await schedule.from_the_future(now)) if doubt]
    for doubt in doubts:
        yield doubt
    if not doubts:
        typer.echo("ok  clock")


@main.command()
def prune(
    clock_is_right: Annotated[
        bool,
        typer.Option(
            "--clock-is-right",
            help="Confirm that the last pruning was more than eight days ago. Sessions with a start in the future are "
            "shortened: they expire as if they started now.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Delete old data in batches: ended sessions, security events, failed logins, networks, notifications.

    Refuses if the database's clock and this machine's clock differ by more than two minutes, or if the last pruning was
    more than eight days ago according to a clock that may be wrong.
    """

    async def work(services: Services, now: datetime) -> None:
        if clock_is_right and (shortened := await services.prune_schedule.end_in_time(now)):
            typer.echo(f"Shortened {count_of(shortened, 'session')} with a start in the future.")
        pruned = await services.prune_schedule.prune_now(now, clock_is_right=clock_is_right)
        typer.echo(
            f"Deleted {count_of(pruned.sessions, 'session')}, {count_of(pruned.events, 'security event')}, "
            f"{count_of(pruned.login_failures, 'count')} of failed logins, "
            f"{count_of(pruned.familiar_networks, 'familiar network')} and "
            f"{count_of(pruned.notifications, 'notification')}."
        )

    run_with_services(work)


@main.command()
def schema() -> None:
    """Print the GraphQL schema."""
    typer.echo(sdl(), nl=False)
