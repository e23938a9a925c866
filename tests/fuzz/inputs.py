"""How many inputs of each kind are tried, and how an application is asked from Hypothesis's synchronous world."""

import asyncio
import os
from typing import Any

from httpx2 import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, settings

INPUTS = int(os.environ.get("KINDRED_FUZZ_INPUTS", "500"))
fuzzed = settings(max_examples=INPUTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))


class Asker:
    """One application on one event loop of its own."""

    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def __call__(self, method: str, path: str, **parts: Any) -> Response:
        """One request. What the application raises is answered, as a server does."""

        async def ask() -> Response:
            transport = ASGITransport(self._app, raise_app_exceptions=False)
            async with AsyncClient(transport=transport, base_url="http://kindred.test") as http:
                return await http.request(method, path, **parts)

        return self._runner.run(ask())
