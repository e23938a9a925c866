"""`kindred key`: what access tokens are signed with."""

from datetime import datetime
from typing import Annotated

import typer

from auth.services import Services
from graph.cli.common import format_timestamp, run_with_services, table

keys = typer.Typer(help="List the signing keys, bring in a new one, seal them anew.", no_args_is_help=True)


@keys.command("list")
def list_() -> None:
    """List all signing keys."""

    async def work(services: Services, now: datetime) -> None:
        stored = await services.keys.list_all()
        await services.keys.reload()
        signing = services.keys.ring.signing_key(now).kid if stored else None
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
                    format_timestamp(key.active_from),
                    format_timestamp(key.retired_at),
                )
                for key in stored
            ],
        )

    run_with_services(work)


@keys.command()
def rotate(
    now: Annotated[
        bool, typer.Option("--now", help="Retire all other keys at once: a private key has leaked.", show_default=False)
    ] = False,
) -> None:
    """Bring in a new signing key.

    It is published at once, signs ten minutes later, and the others are retired when the last access token that they
    signed has ended. With --now it signs at once, and what the others signed is refused: clients refresh, which does
    not depend on these keys. Either way nobody is signed out, and running workers take it up within seconds.
    """

    async def work(services: Services, instant: datetime) -> None:
        settings = services.settings
        await services.keys.reload()  # or a wrong secret would seal a key that no worker can open
        key = await services.keys.rotate(
            settings.signing_algorithm, instant, access_token_ttl=settings.access_token_ttl, immediately=now
        )
        if now:
            typer.echo(f"Made key {key.kid}. It signs from now on, and all other keys are retired.")
        else:
            typer.echo(
                f"Made key {key.kid}. It is published now, and signs from {format_timestamp(key.active_from)} on."
            )

    run_with_services(work)


@keys.command()
def reseal() -> None:
    """Seal the signing keys with the newest server secret, once every worker knows it. Then the older may go."""

    async def work(services: Services, _now: datetime) -> None:
        typer.echo(f"Sealed {await services.keys.reseal()} keys with the newest server secret.")

    run_with_services(work)
