"""An HTTP proxy that sees each request and its answer, and may drop either, or put another in its place."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

Answer = bytes  # as it goes over the wire


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def posted(self) -> dict[str, Any]:
        """The body, where it is a JSON object."""
        posted: dict[str, Any] = json.loads(self.body) if self.body else {}
        return posted

    def calls(self, mutation: str) -> bool:
        """Whether it is of that mutation."""
        return self.method == "POST" and self.path == "/graphql" and f"{{{mutation}" in self.posted["query"]


def answer(status: int, body: bytes | str = b"", **headers: str) -> Answer:
    """An answer of ours."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} .", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


class Relay:
    """Passes on what comes to its port to that of a server; each may change at any time.

    `before` is shown each request, and may return an answer in place of the server's. `after` is shown the request and
    its answer, and returns what the client gets of it; None for nothing. After less than all the connection is cut.
    """

    def __init__(self, port: int) -> None:
        self.to = port
        self.seen: list[Asked] = []
        self.before: Callable[[Asked], Answer | None] = lambda asked: None
        self.after: Callable[[Asked, Answer], Answer | None] = lambda asked, answered: answered
        self.url = ""
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def count(self, mutation: str) -> int:
        """How many requests of that mutation have come."""
        return sum(asked.calls(mutation) for asked in self.seen)

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
                asked = Asked(method, path, headers, body)
                self.seen.append(asked)
                answered = self.before(asked)
                if answered is None:
                    answered = self.after(asked, await self._pass_on(head + body))
                if answered is None:
                    break
                writer.write(answered)
                await writer.drain()
                if _is_short(answered):
                    writer.close()  # so that what there is of it arrives
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other end is gone
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
        """Cut what is left."""
        for writer in self._serving.values():
            writer.transport.abort()
        await asyncio.gather(*self._serving)


def _is_short(answered: Answer) -> bool:
    head, _, body = answered.partition(b"\r\n\r\n")
    return len(body) < int(_headers(head)["content-length"])


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    # No other white space: what else there is may be what a test is about.
    return {name.lower(): value.strip(" \t") for name, _, value in (line.partition(":") for line in lines)}


async def _abort(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, str], bytes] | None:
    """The next request or answer: its head, the headers in it, its body. None where the connection is at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = _headers(head)
    return head, headers, await reader.readexactly(int(headers.get("content-length", 0)))


@asynccontextmanager
async def relaying(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    """A relay to the server at that port, until the block ends. With `tls` its own clients speak TLS."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, ssl=tls)
    relay.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
