"""Connections to a running server: slow clients are disconnected, invalid HTTP is refused, responses are complete."""

import asyncio
import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from graph.http.server import READ_AGAINST
from tests.support import databases
from tests.support.servers import Process, serving

DATABASE = "kindred.db"
LIMIT = 1  # second
DEADLINE = 60  # seconds for what must happen, on any machine
HOST = b"Host: kindred.test\r\n"
POST = b"POST /auth/token/refresh HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with a short timeout. These tests share it: none of them changes it or needs it to be new."""
    folder = tmp_path_factory.mktemp("server")
    database_url = databases.migrated_sqlite(folder / DATABASE)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        running = serving(database_url, folder, workers=request.param, KINDRED_HTTP_READ_TIMEOUT=str(LIMIT))
        try:
            yield runner.run(stack.enter_async_context(running))
        finally:
            runner.run(stack.aclose())


class Connection:
    """A connection of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """Everything until the server closes the connection. Fails if it does not close."""
        try:
            async with asyncio.timeout(DEADLINE):
                return await self.reader.read()
        except ConnectionError:
            return b""


@asynccontextmanager
async def connected(server: Process) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


async def until_closed(server: Process, first: bytes, drip: bytes = b"") -> tuple[float, bytes]:
    """Send `first`, then a byte of `drip` every tenth of a second until the server closes the connection.

    Returns the seconds it took, and the response.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with connected(server) as connection:
        await connection.send(first)
        rest = asyncio.create_task(connection.rest())
        for byte in cycle(drip):
            done, _ = await asyncio.wait([rest], timeout=0.1)
            if done:
                break
            with suppress(ConnectionError):
                await connection.send(bytes([byte]))
        response = await rest
        return loop.time() - started, response


SLOW: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "line ends": (b"", b"\r\n"),
    "half a line": (b"GET /heal", b""),
    "half a head": (HEALTH + b"X-A: ", b""),
    "a head, byte by byte": (HEALTH + b"X-A: ", b"a"),
    "half a body": (POST + b"Content-Length: 1000\r\n\r\n{", b""),
    "no body": (POST + b"Content-Length: 1000\r\n\r\n", b""),
    "a body, byte by byte": (POST + b"Content-Length: 1000\r\n\r\n{", b" "),
    "chunks, byte by byte": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body that was refused": (POST + b"Content-Length: 100000\r\n\r\n", b" "),
    "a body of a GET request": (HEALTH + b"Content-Length: 1000\r\n\r\n", b" "),
}


def test_the_server_module_was_read_against_the_installed_version_of_uvicorn() -> None:
    """After an upgrade, compare the parts that the module names with their new source, then change `READ_AGAINST`."""
    assert uvicorn.__version__.startswith(f"{READ_AGAINST}.")


async def test_dos_03_a_slow_client_is_disconnected(server: Process) -> None:
    results = await asyncio.gather(*(until_closed(server, *case) for case in SLOW.values()))
    for name, (seconds, response) in zip(SLOW, results, strict=True):
        # Not earlier than its timeout. An endless drip shows that it is one timeout, which no byte restarts.
        assert seconds > LIMIT * 0.9, name
        if name not in ("nothing", "line ends"):
            assert b"cache-control: no-store" in response, name
        if "body" in name and "refused" not in name:
            assert response.startswith(b"HTTP/1.1 408 "), name
            assert json.loads(response.partition(b"\r\n\r\n")[2])["detail"].startswith("The body took too long")


async def test_dos_03_an_idle_connection_is_closed_after_a_response(server: Process) -> None:
    for following in (b"", b"\r\n", b"GET /", POST + b"Content-Length: 5\r\n\r\n"):
        async with connected(server) as connection:
            await connection.send(HEALTH + b"\r\n")
            assert b" 200 " in await connection.reader.readline()
            await connection.send(following)
            await connection.rest()  # ends


async def test_dos_03_the_size_of_a_request_head_is_limited(server: Process) -> None:
    for start in (b"GET /", HEALTH + b"X-A: "):
        async with connected(server) as connection:
            await connection.send(start)
            sent = 0
            with suppress(ConnectionError):
                while sent < 4_000_000 and not connection.reader.at_eof():
                    await connection.send(b"a" * 16 * 1024)
                    sent += 16 * 1024
                    await asyncio.sleep(0.005)
            assert sent < 4_000_000


async def test_a_connection_serves_many_requests_and_pipelined_ones(server: Process) -> None:
    async with connected(server) as connection:
        for _ in range(6):  # longer than the timeout, which runs for each request
            await connection.send(HEALTH + b"\r\n")
            await connection.reader.readuntil(b'"}')
            await asyncio.sleep(LIMIT / 4)
        body = b'{"refresh_token":"x"}'
        request = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
        await connection.send(request * 3)
        for _ in range(3):
            assert b" 401 " in await connection.reader.readline()
            await connection.reader.readuntil(b'"}')


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Content-Length: +4\r\n\r\n0\r\n\r\n",
        b"Content-Length: 4, 4\r\n\r\n0\r\n\r\n",
        b"X: y\r\n  folded: z\r\nContent-Length: 0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("server", [1], indirect=True)
async def test_net_08_an_ambiguous_request_is_refused(server: Process, framing: bytes) -> None:
    async with connected(server) as connection:
        await connection.send(POST + framing + HEALTH + b"\r\n")
        answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"x-content-type-options: nosniff" in answer
    assert b"server:" not in answer.lower()


@pytest.mark.parametrize("server", [1], indirect=True)
async def test_net_08_bytes_after_an_upgrade_are_not_parsed_as_a_request(server: Process) -> None:
    for protocol in (b"websocket", b"h2c"):
        async with connected(server) as connection:
            upgrade = b"Connection: Upgrade\r\nUpgrade: " + protocol
            await connection.send(POST + upgrade + b"\r\nContent-Length: 200\r\n\r\n")
            await asyncio.sleep(0.05)
            await connection.send(HEALTH + b"\r\n")
            answer = await connection.rest()
            assert answer.count(b"HTTP/1.1") <= 1
            assert b"200 OK" not in answer
    assert "pgrade" not in server.log.read_text()


@pytest.mark.parametrize("server", [1], indirect=True)
async def test_net_03_net_08_trailers_are_not_read_as_headers(server: Process) -> None:
    """A proxy in front does not check trailers, so an attacker could send there what the proxy would remove."""
    chunks = b"Transfer-Encoding: chunked\r\n\r\n15\r\n" + b'{"refresh_token":"x"}' + b"\r\n0\r\n"
    async with connected(server) as connection:
        # As a header, the key is read: it is too short.
        await connection.send(POST + b"Idempotency-Key: x\r\n" + chunks + b"\r\n")
        assert b" 422 " in await connection.reader.readline()
    async with connected(server) as connection:
        await connection.send(POST + chunks + b"Idempotency-Key: x\r\n\r\n")
        assert b" 401 " in await connection.reader.readline()


@pytest.mark.parametrize(
    "refused_early",
    [
        POST + b"Content-Length: 70000\r\n\r\n",
        b"POST /auth/token/refresh HTTP/1.1\r\nHost: a/b\r\nContent-Length: 5\r\n\r\n",
    ],
    ids=["too large", "no host"],
)
async def test_dos_03_a_client_that_sends_the_rest_after_an_early_refusal_is_disconnected(
    server: Process, refused_early: bytes
) -> None:
    async with connected(server) as connection:
        await connection.send(refused_early)
        assert b" 4" in await connection.reader.readline()
        with suppress(ConnectionError):
            await connection.send(b"x" * 70_000)
        await connection.rest()  # ends


async def test_dos_03_a_slow_response_is_not_cut(server: Process) -> None:
    document = 'mutation { login(input: {username: "unknown", password: "a wrong one"}) { __typename } }'
    body = json.dumps({"query": document}).encode()
    head = b"POST /graphql HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    file = sqlite3.connect(server.log.parent / DATABASE, isolation_level=None)
    async with connected(server) as connection:
        file.execute("BEGIN IMMEDIATE")
        await connection.send(head % len(body) + body)
        await asyncio.sleep(LIMIT * 2.5)
        file.execute("ROLLBACK")
        answer = await connection.reader.readline()
        file.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"InvalidCredentialsError" in await connection.rest()


async def test_dos_03_a_client_that_does_not_read_the_response_is_disconnected(sqlite_url: str, tmp_path: Path) -> None:
    # GraphiQL's program is larger than the socket buffers. It exists in development.
    settings: dict[str, Any] = {"KINDRED_HTTP_READ_TIMEOUT": str(LIMIT), "KINDRED_ENVIRONMENT": "development"}
    async with serving(sqlite_url, tmp_path, **settings) as process:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", int(process.url.rpartition(":")[2])))
            client.sendall(b"GET /assets/graphiql.js HTTP/1.1\r\n" + HOST + b"\r\n")
            with pytest.raises(ConnectionError):
                await send_for_ever(client)


async def send_for_ever(client: socket.socket) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            await asyncio.sleep(0.1)
            client.send(b"\r")
