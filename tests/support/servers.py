"""The service as an operator runs it: `kindred serve` in separate processes."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import product
from pathlib import Path
from uuid import uuid4

import psutil
from httpx2 import AsyncClient, HTTPError, Limits, Request

from auth.clock import SystemClock
from auth.config.secret import load_secret
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.outcomes import ClientInfo, SignedIn
from auth.services import Services
from db.engine.database import url_of
from db.migration import upgrade
from db.tables.users import UserRow
from tests.support import databases
from tests.support.endpoints import ENDPOINTS, Pair, RefreshEndpoint

SECRET = "a7Jr0zVb4mQk9Xw2Lf8Tn6Yc1Gs5Hd3P"
# A complete bcrypt hash of an unknown password, for users whose password no test uses.
UNKNOWN_PASSWORD_HASH = f"$2b$04${'.' * 53}"


def free_port() -> int:
    """A port that no process listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(database_url: str, **settings: str) -> dict[str, str]:
    """Environment variables for a process of the service: this process's, with these settings instead of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KINDRED_")}
    return kept | {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": SECRET} | settings


class Process:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log

    def kill(self) -> None:
        """`kill -9`."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def leave(self, number: signal.Signals) -> int:
        """Send a signal and wait until the server has ended. Return its exit code."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 60)

    @property
    def workers(self) -> list[psutil.Process]:
        """The worker processes, if the server has several."""
        return psutil.Process(self.process.pid).children()

    def events(self) -> list[str]:
        """The events in the server's log so far, except requests."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line["event"] for line in lines if line["event"] != "request"]

    async def until(self, said: str, times: int = 1) -> list[str]:
        """Wait until this many events of the log contain a text. Return these events."""
        async with asyncio.timeout(60):
            while len(found := [event for event in self.events() if said in event]) < times:
                assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.05)
        return found

    async def until_ready(self) -> None:
        """Wait until every worker has started."""
        async with asyncio.timeout(60):
            for index in range(len(self.workers) or 1):
                while not await self._is_ready(index):
                    await asyncio.sleep(0.1)

    async def _is_ready(self, index: int) -> bool:
        others = [worker for number, worker in enumerate(self.workers) if number != index]
        with silenced(others):
            try:
                async with AsyncClient(base_url=self.url) as http:
                    return (await http.get("/readyz")).status_code == 200
            except HTTPError:
                return False


@contextmanager
def silenced(workers: list[psutil.Process]) -> Iterator[None]:
    """Suspend these workers during the block. The other workers, which share their socket, accept all connections."""
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


@asynccontextmanager
async def serving(
    database_url: str, folder: Path, *arguments: str, workers: int = 1, **settings: str
) -> AsyncIterator[Process]:
    """Run `kindred serve` in `folder`, by default in production. It answers from the start of the block to its end."""
    async with starting(database_url, folder, *arguments, workers=workers, **settings) as server:
        await _answering(server)
        yield server


@asynccontextmanager
async def starting(
    database_url: str, folder: Path, *arguments: str, workers: int = 1, **settings: str
) -> AsyncIterator[Process]:
    """Do the same as `serving`, but do not wait until the server answers."""
    port = free_port()
    log = folder / f"server-{port}.log"
    command = [str(Path(sys.executable).with_name("kindred")), "serve", "--port", str(port), "--workers", str(workers)]
    command += arguments
    variables = environment(database_url, **{"KINDRED_ENVIRONMENT": "production"} | settings)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Process(process, port, log)
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _answering(server: Process) -> None:
    async with AsyncClient(base_url=server.url) as http:
        for _ in range(300):
            if server.process.poll() is not None:
                break
            try:
                await http.get("/healthz")
                return
            except HTTPError:
                await asyncio.sleep(0.1)
    raise AssertionError(f"the server did not come up:\n{server.log.read_text()}")


@dataclass(frozen=True)
class Fleet:
    """Two server processes on one database."""

    database_url: str
    servers: list[Process]

    @asynccontextmanager
    async def endpoints(self) -> AsyncIterator[list[RefreshEndpoint]]:
        """Both endpoints of both servers, each with room for a hundred requests at once."""
        limits = Limits(max_connections=100, max_keepalive_connections=100)
        hooks = {"request": [_from_anywhere]}
        async with AsyncExitStack() as stack:
            clients = [
                AsyncClient(base_url=server.url, limits=limits, timeout=30, event_hooks=hooks)
                for server in self.servers
            ]
            for client in clients:
                await stack.enter_async_context(client)
            yield [endpoint(client) for endpoint, client in product(ENDPOINTS.values(), clients)]


async def _from_anywhere(request: Request) -> None:
    # The header of a trusted proxy. The service would throttle so many sign-ins from one address.
    request.headers["x-forwarded-for"] = str(IPv4Address(random.randrange(2**24, 2**31)))


@contextmanager
def fleet_on(kind: str, postgres: str, folder: Path) -> Iterator[Fleet]:
    """Run a fleet on a new database of this kind. For fixtures that outlive a test, and so its event loop."""
    with asyncio.Runner() as runner:
        if kind == "sqlite":
            database_url = databases.migrated_sqlite(folder / "kindred.db")
        else:
            database_url = runner.run(databases.create_database(postgres))
            upgrade(url_of(database_url))
        both = AsyncExitStack()

        async def start() -> list[Process]:
            starting = [serving(database_url, folder, KINDRED_TRUSTED_PROXIES="127.0.0.1") for _ in range(2)]
            return list(await asyncio.gather(*map(both.enter_async_context, starting)))

        try:
            yield Fleet(database_url, runner.run(start()))
        finally:
            runner.run(both.aclose())
            if kind != "sqlite":
                runner.run(databases.drop_database(database_url, postgres))


@dataclass(frozen=True)
class Backstage:
    """The use cases over the database of running servers, in another process, as a command of an operator has them."""

    services: Services
    password_hash: str

    async def user(self) -> UserRow:
        """Add a user with the stored hash, because hashing the same password for each user is slow."""
        name = f"user-{uuid4().hex}"
        return await self.services.accounts.import_user(name, None, self.password_hash, SystemClock().now())

    async def sign_in(self, user: UserRow) -> Pair | None:
        """Open a session, as a sign-in does after the password check. None if the sign-in fails."""
        signed_in: SignedIn | None = await self.services.sign_in.open_session(
            user, None, ClientInfo(), SystemClock().now()
        )
        if signed_in is None:
            return None
        return Pair(signed_in.tokens.access_token, signed_in.tokens.refresh_token, str(signed_in.family.id))

    async def session(self, user: UserRow) -> Pair:
        """Open a session, which must succeed."""
        pair = await self.sign_in(user)
        assert pair is not None
        return pair


@asynccontextmanager
async def backstage(database_url: str, password_hash: str) -> AsyncIterator[Backstage]:
    """Open the use cases over a database of running servers."""
    settings = Settings(database_url=database_url, secret=SECRET)
    services = Services.create(settings, load_secret(settings, Entropy()), Entropy())
    try:
        await services.start(SystemClock().now())
        yield Backstage(services, password_hash)
    finally:
        await services.stop()
