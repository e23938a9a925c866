"""The HTTP server: uvicorn, its configuration, and a deadline for each request.

Everything that relies on undocumented parts of uvicorn is in this module, for one process and for several alike: the
same configuration and the same protocol serve both. Before an upgrade of uvicorn, read its new version against this:

- `HttpToolsProtocol`: its callbacks, `cycle`, `pipeline`, `transport`, `headers`, `timeout_keep_alive`, and
  `_unsupported_upgrade_warning`; and `STATUS_LINE` beside it
- `Config.bind_socket`
- `Server.run`: it takes bound sockets, and after a signal stopped it, it raises that signal again for the handler
  that was set before
"""

import asyncio
import json
import socket
import sys
from typing import NoReturn

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from auth.config.settings import Settings
from graph.http.middleware import HEADERS

# The version of uvicorn that this module was read against. A test compares it with the installed one.
READ_AGAINST = "0.54"

# A read may exceed it by the size of one chunk. uvicorn's httptools protocol has no limit.
MAX_HEAD_BYTES = 64 * 1024


def configuration(settings: Settings, *, host: str = "", port: int = 0) -> uvicorn.Config:
    """The configuration of one worker. Without `host` and `port` it serves on a socket that is bound already."""
    return uvicorn.Config(
        "graph.app:from_environment",
        factory=True,
        host=host,
        port=port,
        http=RequestDeadlineProtocol,
        ws="none",
        timeout_keep_alive=settings.http_read_timeout,
        # uvicorn would trust the `X-Forwarded-For` of 127.0.0.1. KINDRED_TRUSTED_PROXIES decides (NET-03).
        proxy_headers=False,
        server_header=False,
        log_config=None,
    )


def bind(config: uvicorn.Config) -> socket.socket:
    """Bind the address of a configuration. Logs the reason and exits if another process has the port."""
    return config.bind_socket()


def run(config: uvicorn.Config, listeners: list[socket.socket] | None = None) -> NoReturn:
    """Serve in this process until a signal stops it. Exits with 1 if it stops for another reason."""
    uvicorn.Server(config).run(listeners)
    sys.exit(1)  # no signal stopped it, or uvicorn would have raised that signal


class RequestDeadlineProtocol(HttpToolsProtocol):
    """One connection. uvicorn's keep-alive timeout becomes the limit for everything that a client can be slow at.

    uvicorn stops its own timer at the first byte of a request, so half a request head holds a connection for ever
    (DOS-03). Here a timer runs from the first byte of a request to its last, and on a connection that has sent none.
    It never cuts a response: while the application works, the client is not what is slow, and the application
    waits for a body no longer than that either (`RequestBodyLimit`).
    """

    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    _request_complete = False
    _head_size = 0
    _ignore_input = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer: the client has connected."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer: the connection is closed."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes: a part of a request, or several requests."""
        if self._ignore_input or self.transport.is_closing():
            return
        self._request_complete = False
        super().data_received(data)
        if self._request_complete or self.transport.is_closing():
            return
        if self._deadline is None:
            self._start_timer()
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_BYTES:
                self._refuse(431, "The headers are too large. Send fewer or shorter headers.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._request_complete, self._head_size = True, False, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head of the request is complete."""
        self._in_head = False
        super().on_headers_complete()
        # The parser reports the trailers after a chunked body as headers too. A proxy does not check trailers, so an
        # attacker could send another `X-Forwarded-For` in them (NET-03). They go into a list that nothing reads.
        self.headers = []

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._request_complete = True
        self._stop_timer()
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            # The request was refused before it was complete, and its last bytes have stopped uvicorn's own timer.
            self._start_timer()

    def on_response_complete(self) -> None:
        """The response is complete."""
        super().on_response_complete()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            # Closing waits for the client to read what was written.
            self._start_timer()

    def pause_writing(self) -> None:
        """The client does not read the response: close the connection when the timeout has passed."""
        super().pause_writing()
        self._write_deadline = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._write_deadline.cancel()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection: no request followed the last response."""
        self._close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse bytes that are not HTTP."""
        self._refuse(400, "Invalid HTTP request.")

    def _unsupported_upgrade_warning(self) -> None:
        # No upgrade is supported. What follows is in another protocol and must not be parsed as a request (NET-08).
        # uvicorn would also log a warning, so a client could fill the log.
        self._ignore_input = True
        self.cycle.keep_alive = False

    def _start_timer(self) -> None:
        self._stop_timer()
        self._deadline = self.loop.call_later(self.timeout_keep_alive, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_timeout(self) -> None:
        if self.pipeline or (self.cycle is not None and not self.cycle.response_complete):
            self._start_timer()
        elif self._in_head and not self.transport.is_closing():
            self._refuse(408, "The request took too long to arrive. Send it again.")
        else:
            self._close()

    def _close(self) -> None:
        # `close` would wait for a client that does not read.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer a request that does not reach the application, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started or self.pipeline:
                # Another response has begun. This one would become part of its body.
                return self.transport.abort()
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = json.dumps({"detail": message}).encode()
        headers = HEADERS | {
            b"content-type": b"application/json",
            b"content-length": str(len(body)).encode(),
            b"connection": b"close",
        }
        lines = [name + b": " + value + b"\r\n" for name, value in headers.items()]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.close()
        self._start_timer()
        return None
