"""The number of inputs of each kind, and a synchronous client, because Hypothesis runs synchronous tests."""

import asyncio
import os
from typing import Any

from httpx2 import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, settings

INPUTS = int(os.environ.get("KINDRED_FUZZ_INPUTS", "500"))
fuzzed = settings(max_examples=INPUTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))


class SyncClient:
    """Sends requests to one application on its own event loop."""

    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def __call__(self, method: str, path: str, **parts: Any) -> Response:
        """Send one request. An exception of the application becomes an answer, as in a server."""

        async def send() -> Response:
            transport = ASGITransport(self._app, raise_app_exceptions=False)
            async with AsyncClient(transport=transport, base_url="http://kindred.test") as http:
                return await http.request(method, path, **parts)

        return self._runner.run(send())
