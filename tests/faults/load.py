"""Clients that refresh and read all the time, each refresh with an idempotency key and retried until it is answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

from httpx2 import AsyncClient, HTTPError

from tests.faults.history import ACCEPTED, NOTHING, History, Request
from tests.support.endpoints import ENDPOINTS, REPLAYED, REVOKED, ROTATED, UNAVAILABLE, Api, Pair, RefreshEndpoint

SESSIONS = 24
# Seconds between two attempts of a session, and before a retry.
PAUSE, RETRY_PAUSE = 0.4, 0.1


class Client:
    """A client with one session. It tries one server after the other until one answers."""

    def __init__(self, number: int, https: Sequence[AsyncClient], pair: Pair, history: History) -> None:
        self.number, self.pair, self.history = number, pair, history
        self.first = pair
        kind = list(ENDPOINTS)[number % len(ENDPOINTS)]
        self._endpoints: list[tuple[RefreshEndpoint, Api]] = [(ENDPOINTS[kind](http), Api(http)) for http in https]
        self._turn = number
        self._keys = count()

    async def use(self, over: asyncio.Event) -> None:
        """Refresh and read until the event `over` is set."""
        while not over.is_set():
            await self.refresh()
            await self.read()
            await asyncio.sleep(PAUSE)

    async def refresh(self) -> None:
        """Refresh once, and retry with the same key until the request is answered."""
        key = f"session-{self.number:03d}-attempt-{next(self._keys):06d}"
        while True:
            endpoint, _ = self._next()
            begun = time.monotonic()
            try:
                answer = await endpoint.refresh(self.pair.refresh, key)
            except HTTPError:
                self._note(begun, NOTHING, key)
            else:
                successor = answer.pair.refresh if answer.pair else ""
                self._note(begun, answer.outcome, key, successor, answer.retry_after)
                if answer.pair is not None:
                    self.pair = answer.pair
                if answer.outcome != UNAVAILABLE:
                    return
            await asyncio.sleep(RETRY_PAUSE)

    async def read(self) -> None:
        """Read once which user is signed in."""
        _, api = self._next()
        begun = time.monotonic()
        try:
            response = await api.post("{ viewer { id } }", bearer=self.pair.access)
        except HTTPError:
            self._note(begun, NOTHING)
            return
        outcome = {200: ACCEPTED, 503: UNAVAILABLE}.get(response.status_code, f"HTTP {response.status_code}")
        self._note(begun, outcome, retry_after=int(response.headers.get("retry-after", "0")))

    async def detects_replay(self) -> bool:
        """Replay the first token, and return whether this was detected and revoked the session."""
        endpoint, _ = self._next()
        last = await endpoint.refresh(self.pair.refresh)
        replay = await endpoint.refresh(self.first.refresh)
        ended = await endpoint.refresh(last.tokens.refresh)
        return (last.outcome, replay.outcome, ended.outcome) == (ROTATED, REPLAYED, REVOKED)

    def _next(self) -> tuple[RefreshEndpoint, Api]:
        self._turn += 1
        return self._endpoints[self._turn % len(self._endpoints)]

    def _note(self, begun: float, outcome: str, key: str = "", successor: str = "", retry_after: int = 0) -> None:
        token = self.pair.refresh if key else ""
        ended = time.monotonic()
        self.history.requests.append(Request(self.number, begun, ended, outcome, token, key, successor, retry_after))


@asynccontextmanager
async def under_load(servers: Sequence[str], pairs: Sequence[Pair]) -> AsyncIterator[History]:
    """Run clients against these servers while the block runs.

    Afterwards every client has its last answer, the history is correct, and every session still detects a replay.
    """
    history, over = History(len(pairs)), asyncio.Event()
    https = [AsyncClient(base_url=url, timeout=15) for url in servers]
    clients = [Client(number, https, pair, history) for number, pair in enumerate(pairs)]
    try:
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.use(over))
            try:
                await history.until_each_is(ROTATED)
                yield history
            finally:
                over.set()
        history.check()
        assert history.count(ROTATED) > len(clients)
        assert all(await asyncio.gather(*(client.detects_replay() for client in clients)))
    finally:
        for http in https:
            await http.aclose()
