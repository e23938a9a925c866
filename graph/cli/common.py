"""What every command does alike: read the settings, put Kindred together, and say in a sentence what went wrong."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NoReturn, TypeVar

import typer
from pydantic import ValidationError

from auth.clock import SystemClock
from auth.clock_agreement import ClocksDiffer, ImplausibleClock
from auth.config.secret import InvalidSecret, load_secret
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.crypto.secret_keys import WrongSecret
from auth.services import Services
from db.drivers.errors import DatabaseUnavailable
from db.tables.users import UserRow
from graph.startup import NotMigrated, describe_outage, require_migrations

T = TypeVar("T")


class CommandError(Exception):
    """A command cannot do what was asked. The message is for a person."""


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn what an operator can mend into a sentence on standard error and exit code 1."""
    try:
        yield
    except (CommandError, InvalidSecret, WrongSecret, NotMigrated, ClocksDiffer, ImplausibleClock) as error:
        fail(str(error))
    except OSError as error:
        # A file of SQLite's, or of the secret. What PostgreSQL's connection says is a DatabaseUnavailable by now.
        fail(f"{error.strerror}: {error.filename}")
    except DatabaseUnavailable as error:
        fail(describe_outage(error))


def fail(message: str) -> NoReturn:
    """Say what went wrong, and leave."""
    typer.echo(f"kindred: {message}", err=True)
    raise typer.Exit(1)


def settings_or_exit() -> Settings:
    """The settings; leaves with a line for each that is wrong, without its value."""
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = f"KINDRED_{'_'.join(str(part) for part in problem['loc']).upper()}: " if problem["loc"] else ""
            message = problem["msg"].removeprefix("Value error, ")
            typer.echo(f"kindred: {name}{message}", err=True)
        raise typer.Exit(1) from None


def run_with_services(work: Callable[[Services, datetime], Awaitable[T]], *, migrated: bool = True) -> T:
    """Run `work` over the database of the settings, at this instant; unless told otherwise, only if it is migrated."""
    settings = settings_or_exit()
    now = SystemClock().now()

    async def run() -> T:
        services = Services.create(settings, load_secret(settings, Entropy()), Entropy())
        try:
            if migrated:
                await require_migrations(services)
            return await work(services, now)
        finally:
            await services.stop()

    with report_errors():
        return asyncio.run(run())
    raise AssertionError  # `explained` leaves or lets through; it never swallows


async def require_user(services: Services, name: str) -> UserRow:
    """The user of that name; refuses where there is none."""
    user = await services.accounts.find_by_username(name)
    if user is None:
        raise CommandError(f"There is no user {name!r}. `kindred user list` shows all.")
    return user


def read_password() -> str:
    """A new password: asked for twice at a terminal, else the first line of standard input. Never an argument,
    which every process of the machine can see."""
    if sys.stdin.isatty():
        return str(typer.prompt("New password", hide_input=True, confirmation_prompt="The same again"))
    try:
        password = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        fail("What came on standard input is not text in UTF-8.")
    if not password:
        fail("No password came on standard input.")
    return password


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def format_timestamp(instant: datetime | None) -> str:
    """An instant as the tables show it; a dash for none."""
    return instant.strftime("%Y-%m-%d %H:%M:%SZ") if instant else "-"
