"""`kindred session`: list and revoke sessions."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from auth.outcomes import ClientInfo, NotFound
from auth.services import Services
from db.tables.base import RevocationReason, SessionState
from db.tables.families import FamilyRow, state_of
from graph.api.device_names import describe_device
from graph.api.inputs import parse_id
from graph.api.pagination import MAX_PAGE_SIZE
from graph.cli.common import CommandError, count_of, format_timestamp, require_user, run_with_services, table

sessions = typer.Typer(help="List and revoke sessions.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The username.", metavar="NAME", show_default=False)]


@sessions.command("list")
def list_(
    name: Name,
    all_: Annotated[bool, typer.Option("--all", help="Include ended sessions.")] = False,
) -> None:
    """List a user's sessions, most recently used first."""

    async def work(services: Services, now: datetime) -> None:
        user = await require_user(services, name)
        rows, after = [], None
        while page := await services.sessions.page(
            user.id, state=None if all_ else SessionState.ACTIVE, after=after, limit=MAX_PAGE_SIZE, now=now
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
        table(("ID", "STATE", "DEVICE", "ADDRESS", "SIGNED IN", "LAST USED", "EXPIRES"), rows)

    run_with_services(work)


@sessions.command()
def revoke(
    name: Annotated[str | None, typer.Argument(help="The username.", metavar="[NAME]", show_default=False)] = None,
    session_id: Annotated[
        str | None, typer.Argument(help="The ID of a session, from `kindred session list`.", metavar="[ID]")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Revoke every session of the user.")] = False,
    issued_before: Annotated[
        str | None,
        typer.Option(
            help="Revoke sessions whose current refresh token was issued before TIME, such as 2030-01-31T08:00:00Z. "
            "Without NAME, the sessions of all users. For a database restored from a backup.",
            metavar="TIME",
        ),
    ] = None,
) -> None:
    """Revoke one session of a user, all of them, or all sessions last refreshed before a time."""
    if issued_before is not None:
        if session_id is not None:
            raise typer.BadParameter("Give the ID of a session or --issued-before, not both.")
        _revoke_issued_before(name, _instant(issued_before))
    elif name is None:
        raise typer.BadParameter("Give the NAME of a user, or --issued-before.")
    elif (session_id is None) != all_:
        raise typer.BadParameter("Give the ID of one session, or --all.")
    else:
        _revoke(name, session_id)


def _revoke(name: str, session_id: str | None) -> None:
    async def work(services: Services, now: datetime) -> None:
        user = await require_user(services, name)
        reason = RevocationReason.REVOKED_BY_OPERATOR
        if session_id is None:
            count = await services.sessions.revoke_all(user.id, ClientInfo(), now, reason=reason)
            typer.echo(f"Revoked {count_of(count, 'session')} of {user.username}.")
            return
        family_id = parse_id(session_id)
        outcome = (
            await services.sessions.revoke(user.id, family_id, ClientInfo(), now, reason) if family_id else NotFound()
        )
        if isinstance(outcome, NotFound):
            raise CommandError(f"{user.username} has no session {session_id}. Run `kindred session list {name}`.")
        typer.echo(f"The session is revoked ({_state(outcome.family, now)}).")

    run_with_services(work)


def _revoke_issued_before(name: str | None, instant: datetime) -> None:
    async def work(services: Services, now: datetime) -> None:
        if instant > now:
            raise CommandError(f"{format_timestamp(instant)} is in the future. Give a time in the past.")
        user = await require_user(services, name) if name is not None else None
        count = await services.sessions.revoke_issued_before(
            instant, ClientInfo(), now, user_id=user.id if user else None
        )
        typer.echo(f"Revoked {count_of(count, 'session')} of {user.username if user else 'all users'}.")

    run_with_services(work)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("TIME must look like 2030-01-31T08:00:00Z.") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _state(family: FamilyRow, now: datetime) -> str:
    """The state of a session; for a revoked session the reason, which is more specific."""
    state = state_of(family, now)
    return str(family.revocation_reason) if state is SessionState.REVOKED else state.value
