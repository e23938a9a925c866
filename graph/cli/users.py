"""`kindred user`: who can sign in."""

from datetime import datetime
from typing import Annotated

import typer

from auth.credentials.addresses import normalize_address
from auth.outcomes import WeakPassword
from auth.services import Services
from auth.use_cases.accounts import InvalidEmail, InvalidUsername, UsernameTaken
from graph.cli.common import CommandError, format_timestamp, read_password, require_user, run_with_services, table

users = typer.Typer(help="Make users, list them, let them in or not, delete them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The name the person signs in with.", metavar="NAME", show_default=False)]


@users.command()
def add(
    name: Name,
    email: Annotated[str | None, typer.Option(help="Where security notices go.", metavar="ADDRESS")] = None,
) -> None:
    """Make a user. The password is asked for, or read from standard input."""
    password = read_password()

    async def work(services: Services, now: datetime) -> None:
        try:
            made = await services.accounts.add(name, email, password, now)
        except (InvalidUsername, InvalidEmail) as error:
            raise CommandError(str(error)) from None
        except UsernameTaken:
            raise CommandError(
                f"There is a user {name!r} already, or one whose name is compared as the same."
            ) from None
        if isinstance(made, WeakPassword):
            raise CommandError(made.reason)
        typer.echo(f"Made user {made.username}.")

    run_with_services(work)


@users.command("list")
def list_() -> None:
    """List all users."""

    async def work(services: Services, _now: datetime) -> None:
        table(
            ("NAME", "STATE", "EMAIL", "CREATED", "PASSWORD CHANGED"),
            [
                (
                    user.username,
                    "active" if user.is_active else "disabled",
                    user.email or "-",
                    format_timestamp(user.created_at),
                    format_timestamp(user.password_changed_at),
                )
                for user in await services.accounts.list_all()
            ],
        )

    run_with_services(work)


@users.command()
def disable(name: Name) -> None:
    """Let a user in no more, and end all of their sessions at once."""

    async def work(services: Services, now: datetime) -> None:
        user = await require_user(services, name)
        ended = await services.accounts.disable(user.id, now)
        typer.echo(f"Disabled {user.username}, and ended {ended} of their sessions.")

    run_with_services(work)


@users.command()
def enable(name: Name) -> None:
    """Let a disabled user sign in again. Sessions that were ended stay ended."""

    async def work(services: Services, _now: datetime) -> None:
        user = await require_user(services, name)
        await services.accounts.enable(user.id)
        typer.echo(f"Enabled {user.username}.")

    run_with_services(work)


@users.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
) -> None:
    """Delete a user and all that is known about them: sessions, addresses, events. The name is free again."""

    async def work(services: Services, _now: datetime) -> None:
        user = await require_user(services, name)
        if not yes:
            typer.confirm(f"Delete {user.username} and all that is known about them?", abort=True)
        await services.accounts.delete(user)
        typer.echo(f"Deleted {user.username}.")

    run_with_services(work)


@users.command()
def unlock(
    name: Annotated[
        str | None, typer.Argument(help="The name the person signs in with.", metavar="[NAME]", show_default=False)
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="An IP address that failed too often, under whatever names.", metavar="ADDRESS"),
    ] = None,
) -> None:
    """Let a user sign in again whose password was tried too often, or an IP address that tried too many.

    An IPv6 address is let go with its /64 and its /48, which are counted too.
    """
    if name is None and address is None:
        raise typer.BadParameter("Give the NAME of a user, or --address.")
    normal = normalize_address(address.strip("[]")) if address is not None else None
    if address is not None and normal is None:
        raise typer.BadParameter("ADDRESS must be an IPv4 or IPv6 address, such as 203.0.113.9 or 2001:db8::1.")

    async def work(services: Services, _now: datetime) -> None:
        if name is not None:
            user = await require_user(services, name)
            await services.accounts.unlock(user)
            typer.echo(f"Unlocked {user.username}.")
        if normal is not None:
            networks = await services.accounts.throttle.reset_address(normal)
            typer.echo(f"Unlocked {' and '.join(networks)}.")

    run_with_services(work)


@users.command("set-password")
def set_password(name: Name) -> None:
    """Give a user a new password, and end all of their sessions. It is asked for, or read from standard input."""
    password = read_password()

    async def work(services: Services, now: datetime) -> None:
        user = await require_user(services, name)
        outcome = await services.accounts.set_password(user, password, now)
        if isinstance(outcome, WeakPassword):
            raise CommandError(outcome.reason)
        typer.echo(f"Set a new password for {user.username}, and ended {outcome.revoked_count} of their sessions.")

    run_with_services(work)
