"""Connections to a server that runs: who is slow is cut off, what is no HTTP is refused, and answers are let finish."""

import asyncio
import json
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.support.servers import Process, serving

LIMIT = 1  # second
HOST = b"Host: kindred.test\r\n"
POST = b"POST /auth/token/refresh HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
async def server(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> AsyncIterator[Process]:
    """A server with little patience."""
    workers = {"workers": request.param}
    async with serving(sqlite_url, tmp_path, KINDRED_HTTP_READ_TIMEOUT=str(LIMIT), **workers) as process:
        yield process


class Connection:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """All that comes until the server closes; fails where it does not."""
        try:
            async with asyncio.timeout(10):
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


async def seconds_until_closed(server: Process, first: bytes, drip: bytes = b"") -> tuple[float, bytes]:
    """How long a client is borne with that sends `first`, and then a byte of `drip` every tenth of a second."""
    loop = asyncio.get_running_loop()
    async with connected(server) as connection:
        started = loop.time()
        await connection.send(first)
        rest = asyncio.create_task(connection.rest())
        for position in range(len(drip)):
            done, _ = await asyncio.wait([rest], timeout=0.1)
            if done:
                break
            try:
                await connection.send(drip[position : position + 1])
            except ConnectionError:
                break
        answer = await rest
        return loop.time() - started, answer


SLOW: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "line ends": (b"", b"\r\n" * 50),
    "half a line": (b"GET /heal", b""),
    "half a head": (HEALTH + b"X-A: ", b""),
    "a head, byte by byte": (b"", HEALTH + b"X-A: " + b"a" * 80),
    "half a body": (POST + b"Content-Length: 100\r\n\r\n{", b""),
    "no body": (POST + b"Content-Length: 100\r\n\r\n", b""),
    "a body, byte by byte": (POST + b"Content-Length: 100\r\n\r\n{", b" " * 99),
    "chunks, byte by byte": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 20),
    "a body that was refused": (POST + b"Content-Length: 100000\r\n\r\n", b" " * 99),
    "a body that nobody asked for": (HEALTH + b"Content-Length: 100\r\n\r\n", b" " * 99),
}


async def test_dos_03_who_is_slow_is_cut_off(server: Process) -> None:
    cases = list(SLOW.values())
    found = await asyncio.gather(*(seconds_until_closed(server, *case) for case in cases))
    for name, (seconds, answer) in zip(SLOW, found, strict=True):
        # Its answer to a body that it refuses is there at once; then the connection has to fall silent.
        assert LIMIT * 0.9 < seconds < LIMIT * 2 + 1, name
        if name not in ("nothing", "line ends"):
            assert b"cache-control: no-store" in answer, name
        if "body" in name and "refused" not in name:
            assert answer.startswith(b"HTTP/1.1 408 "), name
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"].startswith("The body took too long")


async def test_dos_03_who_has_been_answered_may_stay_for_no_longer(server: Process) -> None:
    loop = asyncio.get_running_loop()
    for following in (b"", b"\r\n", b"GET /", POST + b"Content-Length: 5\r\n\r\n"):
        async with connected(server) as connection:
            await connection.send(HEALTH + b"\r\n")
            assert b" 200 " in await connection.reader.readline()
            await asyncio.sleep(LIMIT / 2)
            started = loop.time()
            await connection.send(following)
            await connection.rest()
            assert loop.time() - started < LIMIT + 1, following


async def test_dos_03_a_head_has_an_end(server: Process) -> None:
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


async def test_a_connection_serves_many_requests_also_several_at_once(server: Process) -> None:
    async with connected(server) as connection:
        for _ in range(4):
            await connection.send(HEALTH + b"\r\n")
            await connection.reader.readuntil(b'"}')
            await asyncio.sleep(LIMIT / 2)
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
async def test_net_08_a_request_that_two_may_read_differently_is_refused(server: Process, framing: bytes) -> None:
    async with connected(server) as connection:
        await connection.send(POST + framing + HEALTH + b"\r\n")
        answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"x-content-type-options: nosniff" in answer
    assert b"server:" not in answer.lower()


@pytest.mark.parametrize("server", [1], indirect=True)
async def test_net_08_what_follows_an_upgrade_is_no_request(server: Process) -> None:
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
async def test_net_03_net_08_what_follows_a_body_is_no_header(server: Process) -> None:
    """A proxy in front does not look at trailers, so they must not say what it would not let pass."""
    chunks = b"Transfer-Encoding: chunked\r\n\r\n15\r\n" + b'{"refresh_token":"x"}' + b"\r\n0\r\n"
    async with connected(server) as connection:
        # As a header, it is read: this key is too short.
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
async def test_dos_03_who_was_refused_early_and_sends_the_rest_is_cut_off_too(
    server: Process, refused_early: bytes
) -> None:
    async with connected(server) as connection:
        await connection.send(refused_early)
        assert b" 4" in await connection.reader.readline()
        with suppress(ConnectionError):
            await connection.send(b"x" * 70_000)
        await connection.rest()  # ends


async def test_dos_03_an_answer_that_takes_its_time_is_not_cut_off(server: Process, sqlite_url: str) -> None:
    document = 'mutation { login(input: {username: "nobody", password: "a wrong one"}) { __typename } }'
    body = json.dumps({"query": document}).encode()
    head = b"POST /graphql HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    file = sqlite3.connect(str(make_url(sqlite_url).database), isolation_level=None)
    async with connected(server) as connection:
        file.execute("BEGIN IMMEDIATE")
        await connection.send(head % len(body) + body)
        await asyncio.sleep(LIMIT * 2.5)
        file.execute("ROLLBACK")
        answer = await connection.reader.readline()
        file.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"InvalidCredentialsError" in await connection.rest()


async def test_dos_03_who_does_not_take_the_answer_is_cut_off(sqlite_url: str, tmp_path: Path) -> None:
    # In development there is an answer too large for the buffers on the way, GraphiQL's program.
    settings: dict[str, Any] = {"KINDRED_HTTP_READ_TIMEOUT": str(LIMIT), "KINDRED_ENVIRONMENT": "development"}
    loop = asyncio.get_running_loop()
    async with serving(sqlite_url, tmp_path, **settings) as process:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", int(process.url.rpartition(":")[2])))
            deaf.sendall(b"GET /assets/graphiql.js HTTP/1.1\r\n" + HOST + b"\r\n")
            started = loop.time()
            with suppress(ConnectionError):
                while loop.time() - started < 10:
                    await asyncio.sleep(0.1)
                    deaf.send(b"\r")
            assert LIMIT * 0.9 < loop.time() - started < LIMIT * 2 + 1
