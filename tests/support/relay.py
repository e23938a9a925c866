"""An HTTP proxy that records each request, and may replace or drop its response."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

Answer = bytes  # the raw bytes of a response


@dataclass(frozen=True)
class RelayedRequest:
    """A request that the relay received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def posted(self) -> dict[str, Any]:
        """The body as a JSON object; empty if there is no body."""
        posted: dict[str, Any] = json.loads(self.body) if self.body else {}
        return posted

    def calls(self, mutation: str) -> bool:
        """Whether the request calls this mutation."""
        return self.method == "POST" and self.path == "/graphql" and f"{{{mutation}" in self.posted["query"]


def answer(status: int, body: bytes | str = b"", **headers: str) -> Answer:
    """The bytes of a response."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} .", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


class Relay:
    """Forwards its port to the port of a server. A test may replace `before` and `after` at any time.

    `before` receives each request, and may return a response in place of the server's. `after` receives the request and
    its response, and returns what the client gets. None cuts the connection, and so does a part of a response.
    """

    def __init__(self, port: int) -> None:
        self.to = port
        self.seen: list[RelayedRequest] = []
        self.before: Callable[[RelayedRequest], Answer | None] = lambda request: None
        self.after: Callable[[RelayedRequest, Answer], Answer | None] = lambda request, response: response
        self.url = ""
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def count(self, mutation: str) -> int:
        """Count the requests that call this mutation."""
        return sum(request.calls(mutation) for request in self.seen)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        task.add_done_callback(self._serving.pop)
        try:
            while (whole := await _message(reader)) is not None:
                head, headers, body = whole
                method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                request = RelayedRequest(method, path, headers, body)
                self.seen.append(request)
                response = self.before(request)
                if response is None:
                    response = self.after(request, await self._pass_on(head + body))
                if response is None:
                    break
                writer.write(response)
                await writer.drain()
                if _is_short(response):
                    writer.close()  # not aborted, so that the client receives this part
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client or the server has closed its end
        finally:
            await _abort(writer)

    async def _pass_on(self, request: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.to)
        try:
            writer.write(request)
            whole = await _message(reader)
            assert whole is not None
            return whole[0] + whole[2]
        finally:
            await _abort(writer)

    async def close(self) -> None:
        """Cut the open connections."""
        for writer in self._serving.values():
            writer.transport.abort()
        await asyncio.gather(*self._serving)


def _is_short(response: Answer) -> bool:
    head, _, body = response.partition(b"\r\n\r\n")
    return len(body) < int(_headers(head)["content-length"])


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    # Only SP and HTAB are stripped, because a test may be about other white space.
    return {name.lower(): value.strip(" \t") for name, _, value in (line.partition(":") for line in lines)}


async def _abort(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, str], bytes] | None:
    """Read a request or response: its head, headers and body. None if the connection has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = _headers(head)
    return head, headers, await reader.readexactly(int(headers.get("content-length", 0)))


@asynccontextmanager
async def relaying(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    """Run a relay to the server at this port until the block ends. With `tls` its clients use TLS."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, ssl=tls)
    relay.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
