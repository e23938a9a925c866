"""A TCP proxy that cuts connections: at once, or before or after it has passed on a given request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

from sqlalchemy.engine import make_url

from tests.support.databases import text

# ReadyForQuery, the end of PostgreSQL's answer to a query. After that of a COMMIT, the transaction is committed.
_READY = b"Z\x00\x00\x00\x05"
_CHUNK = 1 << 16


class Proxy:
    """Forwards its port to `host` and `port`. `host` may be the folder of a Unix socket."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._to = host, port
        self._links: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._before: bytes | None = None
        self._after: bytes | None = None
        self._swallowing = False
        self._refusing_next = False
        self._passing = asyncio.Event()
        self._passing.set()
        self.port = 0
        self.url = ""
        self.cuts = 0

    async def listen(self) -> Self:
        """Accept connections, always on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def refuse(self) -> None:
        """Refuse new connections and cut the open ones."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> int:
        """Cut every connection in both directions. Return their number."""
        cut = len(self._links)
        for ends in self._links:
            for writer in ends:
                writer.transport.abort()
        self._links.clear()
        self.cuts += cut
        if self._refusing_next:
            self._refusing_next = False
            self.refuse()
        return cut

    def cut_before(self, request: bytes) -> None:
        """Cut when the client sends these bytes. PostgreSQL does not receive them."""
        self._before = request

    def cut_after(self, request: bytes) -> None:
        """Cut when PostgreSQL has answered a request with these bytes. The client does not receive the answer."""
        self._after = request

    def refuse_after_the_next_cut(self) -> None:
        """Refuse connections from the next cut on."""
        self._refusing_next = True

    def freeze(self) -> None:
        """Forward nothing and keep the connections open, as a network does that drops all packets."""
        self._passing.clear()

    async def close(self) -> None:
        """Cut every connection and wait until its task has ended."""
        self._passing.set()
        self.refuse()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if self._host.startswith("/"):
                path = str(Path(self._host) / f".s.PGSQL.{self._to}")
                from_server, to_server = await asyncio.open_unix_connection(path)
            else:
                from_server, to_server = await asyncio.open_connection(self._host, self._to)
        except OSError:
            writer.transport.abort()
            return
        link = (writer, to_server)
        self._links.add(link)
        try:
            await asyncio.gather(self._pass_requests(reader, to_server), self._pass_answers(from_server, writer))
        finally:
            self._links.discard(link)
            for end in link:
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()

    async def _pass_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await _read(reader):
            await self._passing.wait()
            if self._before is not None and self._before in sent:
                self._before = None
                self.cut()
                return
            if self._after is not None and self._after in sent:
                self._after, self._swallowing = None, True
            if not await _write(writer, sent):
                break
        writer.transport.abort()

    async def _pass_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answered := await _read(reader):
            await self._passing.wait()
            if self._swallowing:
                if _READY in answered:
                    self._swallowing = False
                    self.cut()
                    return
                continue
            if not await _write(writer, answered):
                break
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except OSError:
        return b""


async def _write(writer: asyncio.StreamWriter, sent: bytes) -> bool:
    try:
        writer.write(sent)
        await writer.drain()
    except OSError:
        return False
    return True


@asynccontextmanager
async def proxy_to(host: str, port: int) -> AsyncIterator[Proxy]:
    """Run a proxy until the block ends."""
    proxy = await Proxy(host, port).listen()
    try:
        yield proxy
    finally:
        await proxy.close()


@asynccontextmanager
async def proxied(database_url: str) -> AsyncIterator[Proxy]:
    """Run a proxy in front of PostgreSQL. Its `url` leads to this database."""
    url = make_url(database_url)
    folder = url.query.get("host")
    host = folder if isinstance(folder, str) else url.host or "127.0.0.1"
    async with proxy_to(host, url.port or 5432) as proxy:
        # Without encryption, because the proxy searches the bytes for a request.
        proxy.url = text(url.set(host="127.0.0.1", port=proxy.port, query={"ssl": "disable"}))
        yield proxy
