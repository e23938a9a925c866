"""Replacing keys and secrets under load, on two servers: no user is signed out and no request fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from httpx2 import AsyncClient, Response, TransportError

from auth.clock import SystemClock
from auth.crypto.derived_keys import SecretKeys
from tests.support.endpoints import Pair
from tests.support.servers import SECRET as OLD
from tests.support.servers import Backstage, backstage, serving

NEW = "Qe7Ty2Ui9Op4As6Df1Gh8Jk3Lz5Xc0Vb"
CLIENTS = 20
VIEWER = {"query": "{ viewer { id } }"}


@dataclass
class Load:
    """Clients that each read ten times a second, refresh after a 401, and refresh from time to time."""

    servers: list[AsyncClient] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    signed_out: list[str] = field(default_factory=list)
    held: dict[int, Pair] = field(default_factory=dict)
    # Clients that refresh in their next turn.
    due: set[int] = field(default_factory=set)
    stopped: bool = False
    turn: int = 0
    working: int = 0
    in_flight: Counter[AsyncClient] = field(default_factory=Counter)

    async def post(self, path: str, **request: Any) -> Response:
        self.turn += 1
        server = self.servers[self.turn % len(self.servers)]
        self.in_flight[server] += 1
        try:
            return await server.post(path, **request)
        finally:
            self.in_flight[server] -= 1

    async def drain(self, server: AsyncClient) -> None:
        """Remove a server from the load balancer, and wait for its open requests: closing the client during a request
        would leave a connection open."""
        self.servers.remove(server)
        while self.in_flight[server]:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop every client."""
        self.stopped = True
        while self.working:
            await asyncio.sleep(0.01)

    async def client(self, number: int, pair: Pair) -> None:
        self.working += 1
        try:
            await self.work(number, pair)
        finally:
            self.working -= 1

    async def work(self, number: int, pair: Pair) -> None:
        self.held[number] = pair
        turns = 0
        while not self.stopped:
            turns += 1
            if number in self.due or turns % (20 + number) == 0 or not await self.read(self.held[number]):
                refreshed = await self.refresh(self.held[number])
                if refreshed is None:
                    return
                self.held[number] = refreshed
                self.due.discard(number)
            await asyncio.sleep(0.1)

    async def read(self, pair: Pair) -> bool:
        headers = {"authorization": f"Bearer {pair.access}"}
        try:
            response = await self.post("/graphql", json=VIEWER, headers=headers)
        except TransportError:
            self.answers["no answer"] += 1
            return True
        self.answers[f"read {response.status_code}"] += 1
        return response.status_code == 200

    async def refresh(self, pair: Pair) -> Pair | None:
        """Refresh as docs/clients.md requires: repeat the same token with the same key until there is an answer."""
        headers = {"idempotency-key": uuid4().hex}
        while True:
            try:
                response = await self.post("/auth/token/refresh", json={"refresh_token": pair.refresh}, headers=headers)
            except TransportError:
                self.answers["no answer"] += 1
                await asyncio.sleep(0.05)
                continue
            self.answers[f"refresh {response.status_code}"] += 1
            if response.status_code == 200:
                return Pair(response.json()["access_token"], response.json()["refresh_token"])
            if response.status_code not in (429, 503):
                self.signed_out.append(response.text)
                return None
            await asyncio.sleep(0.5)

    def assert_no_failure(self) -> None:
        """Check that no answer was an error and no user was signed out."""
        print(dict(self.answers))
        assert self.signed_out == []
        assert {answer for answer in self.answers if answer[-3:-2] == "5"} == set()
        assert self.answers["read 200"] > 200
        assert self.answers["refresh 200"] >= CLIENTS


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """A migrated database. Each test runs on SQLite and on PostgreSQL."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@asynccontextmanager
async def under_load(behind: Backstage) -> AsyncIterator[Load]:
    """Run clients until the block ends. The block says which servers they use."""
    load = Load()
    user = await behind.user()
    pairs = [await behind.session(user) for _ in range(CLIENTS)]
    async with asyncio.TaskGroup() as clients:

        async def begin() -> None:
            while not load.servers:
                await asyncio.sleep(0.01)
            for number, pair in enumerate(pairs):
                clients.create_task(load.client(number, pair))

        clients.create_task(begin())
        try:
            yield load
        finally:
            load.stopped = True


def kids(load: Load) -> set[str]:
    return {jwt.get_unverified_header(pair.access)["kid"] for pair in load.held.values()}


async def test_ops_02_tok_12_rotating_signing_keys_under_load_signs_no_user_out(
    database: str, tmp_path: Path, password_hash: str
) -> None:
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(backstage(database, password_hash))
        servers = await asyncio.gather(*(stack.enter_async_context(serving(database, tmp_path)) for _ in range(2)))
        http = [await stack.enter_async_context(AsyncClient(base_url=server.url, timeout=30)) for server in servers]
        async with under_load(behind) as load:
            load.servers += http
            algorithm, ttl = behind.services.settings.signing_algorithm, behind.services.settings.access_token_ttl
            await asyncio.sleep(1)
            early_pair = load.held[0]
            for at_once in (False, True, True):
                new_key = await behind.services.keys.rotate(
                    algorithm, SystemClock().now(), access_token_ttl=ttl, immediately=at_once
                )
                for server in http:  # on each server within seconds
                    async with asyncio.timeout(5):
                        while new_key.kid not in str((await server.get("/.well-known/jwks.json")).json()):
                            await asyncio.sleep(0.1)
                if at_once:
                    for server in http:
                        keys = (await server.get("/.well-known/jwks.json")).json()["keys"]
                        assert [key["kid"] for key in keys] == [new_key.kid]
                        # Each server refuses tokens of the old key.
                        bearer = {"authorization": f"Bearer {early_pair.access}"}
                        assert (await server.post("/graphql", json=VIEWER, headers=bearer)).status_code == 401
                    async with asyncio.timeout(10):
                        while kids(load) != {new_key.kid}:
                            await asyncio.sleep(0.1)
                    early_pair = load.held[0]
                else:
                    assert new_key.kid not in kids(load)
                await asyncio.sleep(0.5)
        load.assert_no_failure()


async def test_ops_02_tok_12_replacing_the_server_secret_under_load_signs_no_user_out(
    postgresql_url: str, tmp_path: Path, password_hash: str
) -> None:
    """As in docs/keys.md: server by server, each first removed from the load balancer."""
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(backstage(postgresql_url, password_hash))
        async with under_load(behind) as load:
            running: list[tuple[AsyncClient, AsyncExitStack]] = []

            async def deploy(secrets: str) -> None:
                """Replace both servers, one after the other, with servers that have these secrets."""
                for _ in range(2):
                    own = AsyncExitStack()
                    server = await own.enter_async_context(serving(postgresql_url, tmp_path, KINDRED_SECRET=secrets))
                    http = await own.enter_async_context(AsyncClient(base_url=server.url, timeout=30))
                    load.servers.append(http)
                    running.append((http, own))
                    if len(running) > 2:
                        old, its = running.pop(0)
                        await load.drain(old)
                        await its.aclose()

            async def refresh_all() -> None:
                before = dict(load.held)
                load.due |= set(before)
                async with asyncio.timeout(20):
                    while any(load.held[number] is pair for number, pair in before.items()):
                        await asyncio.sleep(0.1)

            try:
                await deploy(OLD)
                await deploy(f"{OLD} {NEW}")
                await deploy(f"{NEW} {OLD}")
                behind.services.keys.secrets = SecretKeys.derive_all(f"{NEW} {OLD}".encode())
                assert await behind.services.keys.reseal() == 1
                await refresh_all()  # stands for the thirty days
                await deploy(NEW)
                await refresh_all()
            finally:
                await load.stop()
                for _, its in running:
                    await its.aclose()
        load.assert_no_failure()
        refresh_key = SecretKeys.derive(NEW.encode()).refresh_tokens
        for pair in load.held.values():
            jwt.decode(pair.refresh, refresh_key, algorithms=["HS256"], audience="kindred#refresh")
