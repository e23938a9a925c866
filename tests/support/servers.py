"""The service as an operator runs it: `kindred serve` in processes of its own."""

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
# A whole bcrypt hash of no known password, for users whose password no test uses.
UNKNOWN_PASSWORD_HASH = f"$2b$04${'.' * 53}"


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(database_url: str, **settings: str) -> dict[str, str]:
    """The environment of a process of the service: this one's, without its settings, and those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KINDRED_")}
    return kept | {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": SECRET} | settings


class Process:
    """A server that runs."""

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
        """Send a signal. Returns the exit code, when it has ended."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 60)

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes that answer, where there are several."""
        return psutil.Process(self.process.pid).children()

    def events(self) -> list[str]:
        """The lines of its log but those for requests, as far as they are there."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line["event"] for line in lines if line["event"] != "request"]

    async def until(self, said: str, times: int = 1) -> list[str]:
        """Wait until so many lines of its log have this in them; returns them."""
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
    """While the block runs, these workers do not answer: others, which share their socket, take all that comes."""
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
    """`kindred serve` until the block ends, in `folder`, as in production; answers when the block begins."""
    async with starting(database_url, folder, *arguments, workers=workers, **settings) as server:
        await _answering(server)
        yield server


@asynccontextmanager
async def starting(
    database_url: str, folder: Path, *arguments: str, workers: int = 1, **settings: str
) -> AsyncIterator[Process]:
    """The same, without waiting for an answer."""
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
    """Two servers, each a process of its own, on one database."""

    database_url: str
    servers: list[Process]

    @asynccontextmanager
    async def endpoints(self) -> AsyncIterator[list[RefreshEndpoint]]:
        """Both endpoints of both servers, through which a hundred requests go at once."""
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
    # As a proxy in front would say it. So many sign-ins from one address would be throttled.
    request.headers["x-forwarded-for"] = str(IPv4Address(random.randrange(2**24, 2**31)))


@contextmanager
def fleet_on(kind: str, postgres: str, folder: Path) -> Iterator[Fleet]:
    """A fleet on a database of its own, of that kind. For fixtures that outlive a test, and so its event loop."""
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
    """The use cases over a database that servers are on, in a process that is not theirs: an operator's, say."""

    services: Services
    password_hash: str

    async def user(self) -> UserRow:
        """A new user, without hashing the same password once for each."""
        name = f"user-{uuid4().hex}"
        return await self.services.accounts.import_user(name, None, self.password_hash, SystemClock().now())

    async def sign_in(self, user: UserRow) -> Pair | None:
        """What comes of a sign-in once the password was found right; None where it came to nothing."""
        signed_in: SignedIn | None = await self.services.sign_in.open_session(
            user, None, ClientInfo(), SystemClock().now()
        )
        if signed_in is None:
            return None
        return Pair(signed_in.tokens.access_token, signed_in.tokens.refresh_token, str(signed_in.family.id))

    async def session(self, user: UserRow) -> Pair:
        """A new session of a user."""
        pair = await self.sign_in(user)
        assert pair is not None
        return pair


@asynccontextmanager
async def backstage(database_url: str, password_hash: str) -> AsyncIterator[Backstage]:
    """Backstage of the servers on a database."""
    settings = Settings(database_url=database_url, secret=SECRET)
    services = Services.create(settings, load_secret(settings, Entropy()), Entropy())
    try:
        await services.start(SystemClock().now())
        yield Backstage(services, password_hash)
    finally:
        await services.stop()
