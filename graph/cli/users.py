"""`kindred user`: manage user accounts."""

from datetime import datetime
from typing import Annotated

import typer

from auth.credentials.ip_addresses import normalize_address
from auth.outcomes import WeakPassword
from auth.services import Services
from auth.use_cases.accounts import InvalidEmail, InvalidUsername, UsernameTaken
from graph.cli.common import (
    CommandError,
    count_of,
    format_timestamp,
    read_password,
    require_user,
    run_with_services,
    table,
)

users = typer.Typer(help="Add, list, disable, enable, unlock and delete users; set passwords.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The username.", metavar="NAME", show_default=False)]


@users.command()
def add(
    name: Name,
    email: Annotated[
        str | None, typer.Option(help="The email address for security notifications.", metavar="ADDRESS")
    ] = None,
) -> None:
    """Add a user. The password comes from a prompt or from standard input."""
    password = read_password()

    async def work(services: Services, now: datetime) -> None:
        try:
            user = await services.accounts.add(name, email, password, now)
        except (InvalidUsername, InvalidEmail) as error:
            raise CommandError(str(error)) from None
        except UsernameTaken:
            raise CommandError(f"The username {name!r} is taken, or compares equal to one that is.") from None
        if isinstance(user, WeakPassword):
            raise CommandError(user.reason)
        typer.echo(f"Added user {user.username}.")

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
    """Disable a user and revoke all their sessions."""

    async def work(services: Services, now: datetime) -> None:
        user = await require_user(services, name)
        count = await services.accounts.disable(user.id, now)
        typer.echo(f"Disabled {user.username} and revoked {count_of(count, 'session')}.")

    run_with_services(work)


@users.command()
def enable(name: Name) -> None:
    """Enable a disabled user. Their revoked sessions stay revoked."""

    async def work(services: Services, _now: datetime) -> None:
        user = await require_user(services, name)
        await services.accounts.enable(user.id)
        typer.echo(f"Enabled {user.username}.")

    run_with_services(work)


@users.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.", show_default=False)] = False,
) -> None:
    """Delete a user with their sessions, IP addresses and security events. The username becomes available."""

    async def work(services: Services, _now: datetime) -> None:
        user = await require_user(services, name)
        if not yes:
            typer.confirm(f"Delete {user.username} with all their sessions and events?", abort=True)
        await services.accounts.delete(user)
        typer.echo(f"Deleted {user.username}.")

    run_with_services(work)


@users.command()
def unlock(
    name: Annotated[str | None, typer.Argument(help="The username.", metavar="[NAME]", show_default=False)] = None,
    address: Annotated[
        str | None,
        typer.Option(help="An IP address with too many failed login attempts.", metavar="ADDRESS"),
    ] = None,
) -> None:
    """Reset the login throttle of a user or of an IP address after too many failed login attempts.

    For an IPv6 address it resets the /64 and the /48 too, which have their own limits.
    """
    if name is None and address is None:
        raise typer.BadParameter("Give the NAME of a user, or --address.")
    normalized = normalize_address(address.strip("[]")) if address is not None else None
    if address is not None and normalized is None:
        raise typer.BadParameter("ADDRESS must be an IPv4 or IPv6 address, such as 203.0.113.9 or 2001:db8::1.")

    async def work(services: Services, _now: datetime) -> None:
        if name is not None:
            user = await require_user(services, name)
            await services.accounts.unlock(user)
            typer.echo(f"Unlocked {user.username}.")
        if normalized is not None:
            networks = await services.accounts.throttle.reset_address(normalized)
            typer.echo(f"Unlocked {' and '.join(networks)}.")

    run_with_services(work)


@users.command("set-password")
def set_password(name: Name) -> None:
    """Set a user's password and revoke all their sessions. It comes from a prompt or from standard input."""
    password = read_password()

    async def work(services: Services, now: datetime) -> None:
        user = await require_user(services, name)
        outcome = await services.accounts.set_password(user, password, now)
        if isinstance(outcome, WeakPassword):
            raise CommandError(outcome.reason)
        if outcome is None:
            raise CommandError(f"{user.username} was deleted during this command. No password was set.")
        typer.echo(f"Set the password of {user.username} and revoked {count_of(outcome.revoked_count, 'session')}.")

    run_with_services(work)
