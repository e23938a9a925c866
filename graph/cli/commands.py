"""The command `kindred`."""

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
from graph.cli.common import CommandError, report_errors, run_with_services, settings_or_exit
from graph.cli.development import prepare
from graph.observability import log_format
from graph.observability.metrics import multiprocess_dir
from graph.startup import check_before_serving

main = typer.Typer(
    help="Kindred: sign-in and sessions for GraphQL applications.\n\n"
    "Settings are environment variables, KINDRED_DATABASE_URL and KINDRED_SECRET above all; the README lists them.",
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


@main.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    count: Annotated[int, typer.Option("--workers", help="How many processes share the work.", min=1)] = 1,
) -> None:
    """Run the service.

    In development it brings the database up to date first, and on one without users makes the user `demo`.
    In production it refuses a database that `alembic upgrade head` has not brought up to date. One that is unavailable
    it waits for, and answers 503 until then. It ends with exit code 0 only where SIGTERM or SIGINT asked it to.
    """
    settings = settings_or_exit()
    with workers.leaving_when_asked():
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
    """Verify that the service could start: settings, secret, database, migrations, tables, signing keys.

    What it could start with and an operator should still see to is a line that begins with `warn`: signing keys that
    are due for rotation, or sealed with an older server secret; a clock that differs from the database's, or is too far
    ahead of the last pruning to be believed.
    """
    settings = settings_or_exit()
    typer.echo(f"ok  settings ({settings.environment.value})")

    async def look(services: Services, now: datetime) -> None:
        older = len(services.keys.secrets) - 1
        typer.echo(f"ok  secret{f' (and {older} older, still read)' if older else ''}")
        found, newest = await current(services.db), head()
        typer.echo(f"ok  database reachable ({services.db.dialect.value})")
        if missing := await missing_tables(services.db):
            raise CommandError(f"Tables are missing: {', '.join(missing)}. Run `alembic upgrade head`.")
        typer.echo(f"ok  tables ({len(metadata.tables)})")
        if found != newest:
            raise CommandError(
                f"Migrations are missing: it has {found}, the newest is {newest}. Run `alembic upgrade head`."
            )
        typer.echo(f"ok  migrations ({found})")
        await services.keys.reload()
        warnings = list(key_warnings(services.keys, now))
        if not warnings:
            typer.echo("ok  signing keys")
        if abs(ahead := await clock_difference(services.db, SystemClock())) > CLOCKS_MAY_DIFFER:
            warnings.append(f"{describe_difference(ahead)}. Set both by NTP.")
        elif doubts := [
            says
            for says in (
                await services.prune_schedule.not_believed(now),
                await services.prune_schedule.from_the_future(now),
            )
            if says
        ]:
            warnings += doubts
        else:
            typer.echo("ok  clock")
        for channel in settings.channels:
            typer.echo(f"ok  {channel} ({await notifications.summary(services, channel)})")
        for warning in warnings:
            typer.echo(f"warn  {warning}")

    run_with_services(look, migrated=False)


@main.command()
def prune(
    clock_is_right: Annotated[
        bool,
        typer.Option(
            "--clock-is-right",
            help="The last pruning was more than eight days ago, as the clock says. Sessions that were opened in its "
            "future are given the end that they would have if they were opened now.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Delete what is old, in batches: ended sessions, security events, failed sign-ins, networks, notices.

    Refuses where the database's clock differs from this machine's by more than two minutes, or where the last pruning
    was more than eight days ago by a clock that may be wrong.
    """

    async def work(services: Services, now: datetime) -> None:
        if clock_is_right and (shortened := await services.prune_schedule.end_in_time(now)):
            typer.echo(f"Shortened {shortened} sessions that were opened in the future.")
        pruned = await services.prune_schedule.prune_now(now, clock_is_right=clock_is_right)
        typer.echo(
            f"Deleted {pruned.sessions} sessions, {pruned.events} security events, {pruned.login_failures} counts of "
            f"failed sign-ins, {pruned.familiar_networks} networks that users once signed in from and "
            f"{pruned.notifications} notices to owners."
        )

    run_with_services(work)


@main.command()
def schema() -> None:
    """Print the GraphQL schema."""
    typer.echo(sdl(), nl=False)
