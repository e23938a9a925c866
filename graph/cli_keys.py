"""`kindred key`: what access tokens are signed with."""

from datetime import datetime

import typer

from auth.service import Kindred
from graph.command import moment, table, with_kindred

keys = typer.Typer(help="List the signing keys, and bring in a new one.", no_args_is_help=True)


@keys.command("list")
def list_() -> None:
    """List all signing keys."""

    async def work(kindred: Kindred, now: datetime) -> None:
        stored = await kindred.keys.every()
        await kindred.keys.load()
        signing = kindred.keys.ring.signing(now).kid if stored else None
        table(
            ("ID", "ALGORITHM", "STATE", "ACTIVE FROM", "RETIRED AT"),
            [
                (
                    key.kid,
                    key.algorithm,
                    "signs"
                    if key.kid == signing
                    else "retired"
                    if key.retired_at and key.retired_at <= now
                    else "published"
                    if key.active_from > now
                    else "verifies",
                    moment(key.active_from),
                    moment(key.retired_at),
                )
                for key in stored
            ],
        )

    with_kindred(work)


@keys.command()
def rotate() -> None:
    """Bring in a new signing key.

    It is published at once, signs ten minutes later, and the others are retired when the last access token that they
    signed has ended. Nobody is signed out, and no worker needs a restart.
    """

    async def work(kindred: Kindred, now: datetime) -> None:
        settings = kindred.settings
        key = await kindred.keys.rotate(settings.signing_algorithm, now, access_token_ttl=settings.access_token_ttl)
        typer.echo(f"Made key {key.kid}. It is published now, and signs from {moment(key.active_from)} on.")

    with_kindred(work)
