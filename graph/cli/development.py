"""The first start in development: migrate the database and create a demo user. Production creates neither."""

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
    """Migrate the database, create the demo user if there are no users, and print the addresses."""
    upgrade(url_of(settings.database_url.get_secret_value()))
    password = asyncio.run(create_demo_user(settings))
    typer.echo(f"Kindred is starting at {address}")
    if settings.account_page:
        typer.echo(f"The account page: {address}/account")
    if settings.graphiql_enabled:
        typer.echo(f"GraphiQL: {address}/graphql")
    if password:
        typer.echo(f"\nCreated a demo user. The password is not shown again:\n  {DEMO}  {password}\n")


async def create_demo_user(settings: Settings) -> str | None:
    """Create the user and return the password, or None if there are users already."""
    entropy = Entropy()
    services = Services.create(settings, load_secret(settings, entropy), entropy)
    try:
        await services.keys.reload()
        if await services.accounts.list_all():
            return None
        password = entropy.password()
        outcome = await services.accounts.add(DEMO, None, password, SystemClock().now())
        return None if isinstance(outcome, WeakPassword) else password
    except UsernameTaken:  # by another process that starts at the same time
        return None
    finally:
        await services.stop()
