"""The start of one worker: at once with a working database, otherwise as soon as the database works."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from auth.config.settings import Settings
from auth.crypto.signing_keys import SigningKeyStore
from graph.app import create_app
from graph.startup import Startup
from tests.support.clocks import FakeClock
from tests.support.endpoints import UNAVAILABLE, Api, RestEndpoint
from tests.support.loglines import CapturedLog, logging_to

JWKS = "/.well-known/jwks.json"


@pytest.fixture
def waiting_app(sqlite_url: str, clock: FakeClock, settings_for: Callable[..., Settings]) -> FastAPI:
    """An application whose database cannot be opened: its path is a link to a folder."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.rename(path.with_suffix(".aside"))
    path.symlink_to(path.parent)
    return create_app(settings_for(sqlite_url, database_timeout=0.3), clock=clock)


def restore_database(sqlite_url: str) -> None:
    # In one step: if the path were free for a moment, an attempt to start would create an empty database there.
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.with_suffix(".aside").replace(path)


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[AsyncClient]:
    client = AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test")
    async with app.router.lifespan_context(app), client as http:
        yield http


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[Startup]:
    """One item for each attempt to start."""
    made: list[Startup] = []
    try_once = Startup.try_once

    async def counted(startup: Startup) -> bool:
        made.append(startup)
        return await try_once(startup)

    monkeypatch.setattr(Startup, "try_once", counted)
    return made


async def until_tried(attempts: list[Startup], times: int) -> None:
    """Wait for further attempts to start."""
    times += len(attempts)
    async with asyncio.timeout(60):
        while len(attempts) < times:
            await asyncio.sleep(0.05)


async def until_ready(http: AsyncClient) -> None:
    async with asyncio.timeout(60):
        while (await http.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)


async def test_before_the_start_only_requests_without_database_and_keys_are_answered(
    waiting_app: FastAPI, sqlite_url: str
) -> None:
    async with client_of(waiting_app) as http:
        for path in ("/healthz", "/metrics", "/account", "/assets/account.js"):
            assert (await http.get(path)).status_code == 200, path
        assert (await http.get("/graphql", headers={"accept": "text/html"})).status_code == 200
        assert await Api(http).codes("{ __typename }") == [UNAVAILABLE]
        assert (await RestEndpoint(http).refresh("nonsense")).outcome == UNAVAILABLE  # and not "invalid"
        for path in ("/readyz", JWKS, "/whatever/is/added/later"):
            assert (await http.get(path)).status_code == 503, path
        restore_database(sqlite_url)
        await until_ready(http)
        assert await Api(http).codes("{ __typename }") == []
        assert (await RestEndpoint(http).refresh("nonsense")).status == 401
        assert len((await http.get(JWKS)).json()["keys"]) == 1


async def test_the_log_has_one_line_when_waiting_begins_and_one_when_it_ends(
    waiting_app: FastAPI, sqlite_url: str, attempts: list[Startup]
) -> None:
    with logging_to(CapturedLog(as_json=False)) as lines:
        async with client_of(waiting_app) as http:
            await until_tried(attempts, 4)
            restore_database(sqlite_url)
            await until_ready(http)
    own = [line for line in lines.texts if "worker" in line]
    assert len(own) == 2, own
    assert "The database did not answer (OperationalError)." in own[0]
    assert "The worker is ready" in own[1]


async def test_an_unexpected_error_at_the_start_ends_the_worker(
    sqlite_url: str, settings_for: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings_for(sqlite_url))
    monkeypatch.setattr(SigningKeyStore, "ensure_first_key", broken)
    with pytest.raises(ZeroDivisionError):
        async with client_of(app):
            pass


async def test_an_unexpected_error_while_waiting_is_logged_once_and_waiting_continues(
    waiting_app: FastAPI, sqlite_url: str, attempts: list[Startup], monkeypatch: pytest.MonkeyPatch
) -> None:
    with logging_to(CapturedLog(as_json=False), logging.ERROR) as lines:
        async with client_of(waiting_app) as http:
            with monkeypatch.context() as patched:
                patched.setattr(SigningKeyStore, "ensure_first_key", broken)
                restore_database(sqlite_url)
                await until_tried(attempts, 3)
                assert (await http.get("/readyz")).json() == {"status": "starting"}
            await until_ready(http)
    (line,) = lines.texts
    assert "The worker cannot start." in line
    assert "ZeroDivisionError" in line


async def broken(*_: object) -> None:
    raise ZeroDivisionError
