"""`kindred key`: the keys that sign access tokens."""

from datetime import datetime
from typing import Annotated

import typer

from auth.services import Services
from graph.cli.common import count_of, format_timestamp, run_with_services, table

keys = typer.Typer(help="List, rotate and reseal the signing keys.", no_args_is_help=True)


@keys.command("list")
def list_() -> None:
    """List all signing keys."""

    async def work(services: Services, now: datetime) -> None:
        stored = await services.keys.list_all()
        await services.keys.reload()
        signing = services.keys.ring.signing(now).kid if stored else None
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
        bool, typer.Option("--now", help="Retire all other keys now, for a leaked private key.", show_default=False)
    ] = False,
) -> None:
    """Create a new signing key.

    The key is published now and signs after ten minutes. The other keys are retired when the last access token that
    they signed has expired. With --now the new key signs now, and tokens of the other keys are refused: clients then
    refresh, which does not depend on these keys. No session is revoked. Running workers load the key within seconds.
    """

    async def work(services: Services, instant: datetime) -> None:
        settings = services.settings
        await services.keys.reload()  # a wrong secret fails here: a key sealed with it could not be read by any worker
        key = await services.keys.rotate(
            settings.signing_algorithm, instant, access_token_ttl=settings.access_token_ttl, immediately=now
        )
        if now:
            typer.echo(f"Created key {key.kid}. It signs from now on. All other keys are retired.")
        else:
            typer.echo(
                f"Created key {key.kid}. It is published now and signs from {format_timestamp(key.active_from)} on."
            )

    run_with_services(work)


@keys.command()
def reseal() -> None:
    """Seal the signing keys with the newest server secret.

    Run it when every worker has the new secret. Afterwards the older secret can be removed from KINDRED_SECRET.
    """

    async def work(services: Services, _now: datetime) -> None:
        typer.echo(f"Sealed {count_of(await services.keys.reseal(), 'key')} with the newest server secret.")

    run_with_services(work)
