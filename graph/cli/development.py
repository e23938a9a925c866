"""What development makes by itself, so that the first start needs no other step. Production makes up nothing."""

import asyncio

import typer

from auth.clock import SystemClock
from auth.config.secret import load_secret
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.outcomes import WeakPassword
from auth.services import Services
from auth.use_cases.accounts import UsernameTaken
from db.engine.database import url_of
from db.migration import upgrade

DEMO = "demo"


def prepare(settings: Settings, address: str) -> None:
    """Bring the database up to date, and give one without users a user to try things with."""
    upgrade(url_of(settings.database_url.get_secret_value()))
    password = asyncio.run(create_demo_user(settings))
    typer.echo(f"Kindred is starting at {address}")
    if settings.account_page:
        typer.echo(f"The account page: {address}/account")
    if settings.graphiql_enabled:
        typer.echo(f"GraphiQL: {address}/graphql")
    if password:
        typer.echo(f"\nMade a user to try it with; the password is shown this once:\n  {DEMO}  {password}\n")


async def create_demo_user(settings: Settings) -> str | None:
    """Its password; None where there are users already, or another process was faster."""
    entropy = Entropy()
    services = Services.create(settings, load_secret(settings, entropy), entropy)
    try:
        await services.keys.reload()
        if await services.accounts.list_all():
            return None
        password = entropy.password()
        made = await services.accounts.add(DEMO, None, password, SystemClock().now())
        return None if isinstance(made, WeakPassword) else password
    except UsernameTaken:
        return None
    finally:
        await services.stop()
