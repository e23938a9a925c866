"""Clients that refresh and read all the time, as good clients do: each names its attempts and tries again."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

from httpx2 import AsyncClient, HTTPError

from tests.faults.history import ACCEPTED, NOTHING, History, Request
from tests.support.endpoints import ENDPOINTS, REPLAYED, REVOKED, ROTATED, UNAVAILABLE, Api, Pair, RefreshEndpoint

SESSIONS = 24
# Between two attempts of a session, and before an attempt is repeated: seconds.
THINKING, BACKING_OFF = 0.4, 0.1


class Client:
    """A session and whoever uses it. It tries one server after the other until one answers."""

    def __init__(self, number: int, https: Sequence[AsyncClient], pair: Pair, history: History) -> None:
        self.number, self.pair, self.history = number, pair, history
        self.first = pair
        kind = list(ENDPOINTS)[number % len(ENDPOINTS)]
        self._endpoints: list[tuple[RefreshEndpoint, Api]] = [(ENDPOINTS[kind](http), Api(http)) for http in https]
        self._turn = number
        self._keys = count()

    async def use(self, over: asyncio.Event) -> None:
        """Refresh and read until it is over."""
        while not over.is_set():
            await self.refresh()
            await self.read()
            await asyncio.sleep(THINKING)

    async def refresh(self) -> None:
        """One attempt, under one name, until it is answered."""
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
            await asyncio.sleep(BACKING_OFF)

    async def read(self) -> None:
        """One look at who is signed in."""
        _, api = self._next()
        begun = time.monotonic()
        try:
            response = await api.post("{ viewer { id } }", bearer=self.pair.access)
        except HTTPError:
            self._note(begun, NOTHING)
            return
        outcome = {200: ACCEPTED, 503: UNAVAILABLE}.get(response.status_code, f"HTTP {response.status_code}")
        self._note(begun, outcome, retry_after=int(response.headers.get("retry-after", "0")))

    async def is_guarded(self) -> bool:
        """Whether its first token is still known to have been used, and ends it."""
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
    """Clients at work on these servers while the block runs.

    Afterwards each has had its last answer, the history holds, and every session still guards itself against a replay.
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
        assert all(await asyncio.gather(*(client.is_guarded() for client in clients)))
    finally:
        for http in https:
            await http.aclose()
