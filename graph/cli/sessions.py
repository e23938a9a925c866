"""`kindred session`: who is signed in."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from auth.outcomes import NotFound, Origin
from auth.services import Services
from db.tables.base import RevocationReason, SessionState
from db.tables.families import FamilyRow, state_of
from graph.api.device_names import describe_device
from graph.api.inputs import parse_id
from graph.api.pagination import MAX_PAGE_SIZE
from graph.cli.common import CommandError, format_timestamp, require_user, run_with_services, table

sessions = typer.Typer(help="List a user's sessions, and end them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Whose sessions.", metavar="NAME", show_default=False)]


@sessions.command("list")
def list_(
    name: Name,
    every: Annotated[bool, typer.Option("--all", help="Ended sessions too.")] = False,
) -> None:
    """List a user's sessions, last used first."""

    async def work(services: Services, now: datetime) -> None:
        user = await require_user(services, name)
        rows, after = [], None
        while page := await services.sessions.page(
            user.id, state=None if every else SessionState.ACTIVE, after=after, limit=MAX_PAGE_SIZE, now=now
        ):
            rows += [
                (
                    str(family.id),
                    _state(family, now),
                    family.device_name or describe_device(family.user_agent),
                    family.ip or "-",
                    format_timestamp(family.created_at),
                    format_timestamp(family.last_used_at),
                    format_timestamp(family.expires_at),
                )
                for family in page
            ]
            after = (page[-1].last_used_at, page[-1].id)
        table(("ID", "STATE", "DEVICE", "ADDRESS", "SIGNED IN", "LAST USED", "ENDS"), rows)

    run_with_services(work)


@sessions.command()
def revoke(
    name: Annotated[str | None, typer.Argument(help="Whose sessions.", metavar="[NAME]", show_default=False)] = None,
    session_id: Annotated[str | None, typer.Argument(help="Which one, as listed.", metavar="[ID]")] = None,
    every: Annotated[bool, typer.Option("--all", help="End every session of the user.")] = False,
    issued_before: Annotated[
        str | None,
        typer.Option(
            help="End every session, of every user or of the one named, whose current refresh token was issued before "
            "this time, such as 2030-01-31T08:00:00Z. For a database that was restored from a backup.",
            metavar="TIME",
        ),
    ] = None,
) -> None:
    """End one session of a user, or all of them, or after a backup was restored all that are older than a time."""
    if issued_before is not None:
        if session_id is not None:
            raise typer.BadParameter("Give either the ID of a session or --issued-before.")
        _revoke_issued_before(name, _instant(issued_before))
    elif name is None:
        raise typer.BadParameter("Give the NAME of a user, or --issued-before.")
    elif (session_id is None) != every:
        raise typer.BadParameter("Give the ID of one session, or --all.")
    else:
        _revoke(name, session_id)


def _revoke(name: str, session_id: str | None) -> None:
    async def work(services: Services, now: datetime) -> None:
        user = await require_user(services, name)
        reason = RevocationReason.REVOKED_BY_OPERATOR
        if session_id is None:
            ended = await services.sessions.revoke_all(user.id, Origin(), now, reason=reason)
            typer.echo(f"Ended {ended} sessions of {user.username}.")
            return
        family_id = parse_id(session_id)
        outcome = await services.sessions.revoke(user.id, family_id, Origin(), now, reason) if family_id else NotFound()
        if isinstance(outcome, NotFound):
            raise CommandError(f"{user.username} has no session {session_id}. `kindred session list {name}` shows all.")
        typer.echo(f"The session is at its end ({_state(outcome.family, now)}).")

    run_with_services(work)


def _revoke_issued_before(name: str | None, instant: datetime) -> None:
    async def work(services: Services, now: datetime) -> None:
        if instant > now:
            raise CommandError(
                f"{format_timestamp(instant)} lies ahead. Sessions of the time until then would be missed."
            )
        user = await require_user(services, name) if name is not None else None
        ended = await services.sessions.revoke_issued_before(instant, Origin(), now, user_id=user.id if user else None)
        typer.echo(f"Ended {ended} sessions of {user.username if user else 'all users'}.")

    run_with_services(work)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("TIME must look like 2030-01-31T08:00:00Z.") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _state(family: FamilyRow, now: datetime) -> str:
    """The state of a session; for a revoked one the reason, which tells more."""
    state = state_of(family, now)
    return str(family.revocation_reason) if state is SessionState.REVOKED else state.value
