"""Helpers for every command: read the settings, create the services, report errors, print tables."""

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
from auth.crypto.derived_keys import WrongSecret
from auth.crypto.entropy import Entropy
from auth.services import Services
from db.drivers.errors import DatabaseUnavailable
from db.tables.users import UserRow
from graph.startup import NotMigrated, describe_outage, require_migrations

T = TypeVar("T")


class CommandError(Exception):
    """The command cannot do its work. The message says why, for the operator."""


@contextmanager
def report_errors() -> Iterator[None]:
    """Report an error that an operator can fix on standard error, and exit with 1."""
    try:
        yield
    except (CommandError, InvalidSecret, WrongSecret, NotMigrated, ClocksDiffer, ImplausibleClock) as error:
        fail(str(error))
    except OSError as error:
        # The SQLite file or the secret file. Connection errors of PostgreSQL are `DatabaseUnavailable`.
        fail(f"{error.strerror}: {error.filename}")
    except DatabaseUnavailable as error:
        fail(describe_outage(error))


def fail(message: str) -> NoReturn:
    """Print an error and exit with 1."""
    typer.echo(f"kindred: {message}", err=True)
    raise typer.Exit(1)


def settings_or_exit() -> Settings:
    """Return the settings, or print a line for each invalid one, without its value, and exit with 1."""
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = f"KINDRED_{'_'.join(str(part) for part in problem['loc']).upper()}: " if problem["loc"] else ""
            message = problem["msg"].removeprefix("Value error, ")
            typer.echo(f"kindred: {name}{message}", err=True)
        raise typer.Exit(1) from None


def run_with_services(work: Callable[[Services, datetime], Awaitable[T]], *, migrated: bool = True) -> T:
    """Create the services, run `work` with the current time, and return its result.

    `migrated` requires that no migration is missing.
    """
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
    raise AssertionError  # `report_errors` exits or re-raises


async def require_user(services: Services, name: str) -> UserRow:
    """Return the user of that name. Raises `CommandError` if there is none."""
    user = await services.accounts.find_by_username(name)
    if user is None:
        raise CommandError(f"There is no user {name!r}. `kindred user list` lists all users.")
    return user


def read_password() -> str:
    """Read a new password twice from a terminal, or once from the first line of standard input.

    Never from an argument: every process of the machine can read the arguments of the others.
    """
    if sys.stdin.isatty():
        return str(typer.prompt("New password", hide_input=True, confirmation_prompt="Repeat the new password"))
    try:
        password = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        fail("Standard input is not valid UTF-8.")
    if not password:
        fail("Standard input contains no password.")
    return password


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def format_timestamp(instant: datetime | None) -> str:
    """Format an instant for a table; None is a dash."""
    return instant.strftime("%Y-%m-%d %H:%M:%SZ") if instant else "-"


def count_of(number: int, noun: str) -> str:
    """A number with its noun, in the plural if needed."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
