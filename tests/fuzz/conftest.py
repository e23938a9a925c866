"""Fixtures: an application whose event loop a test can run once for each input."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from auth.config.settings import Settings
from graph.app import create_app
from tests.fuzz.inputs import SyncClient


@pytest.fixture
def fuzzed_app(sqlite_url: str, settings_for: Callable[..., Settings]) -> Iterator[tuple[FastAPI, asyncio.Runner]]:
    """The started application and the runner of its event loop."""
    app = create_app(settings_for(sqlite_url))
    lifespan: Any = app.router.lifespan_context(app)
    with asyncio.Runner() as runner:
        runner.run(lifespan.__aenter__())
        yield app, runner
        runner.run(lifespan.__aexit__(None, None, None))


@pytest.fixture
def client(fuzzed_app: tuple[FastAPI, asyncio.Runner]) -> SyncClient:
    """A synchronous client of the application."""
    return SyncClient(*fuzzed_app)
