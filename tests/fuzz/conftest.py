"""Fixtures: an application whose event loop a test can go back to for each input."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from auth.config.settings import Settings
from graph.app import create_app
from tests.fuzz.inputs import Asker


@pytest.fixture
def fuzzed_app(sqlite_url: str, settings_for: Callable[..., Settings]) -> Iterator[tuple[FastAPI, asyncio.Runner]]:
    """The application, started, and the loop that it runs on."""
    app = create_app(settings_for(sqlite_url))
    lifespan: Any = app.router.lifespan_context(app)
    with asyncio.Runner() as runner:
        runner.run(lifespan.__aenter__())
        yield app, runner
        runner.run(lifespan.__aexit__(None, None, None))


@pytest.fixture
def ask(fuzzed_app: tuple[FastAPI, asyncio.Runner]) -> Asker:
    """A client of it."""
    return Asker(*fuzzed_app)
