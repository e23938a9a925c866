"""Connections: uvicorn's HTTP protocol, with an end to the patience for what arrives slowly or not at all."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from graph.http.middleware import HEADERS

MAX_HEAD_BYTES = 64 * 1024  # bytes, and what one read brings beyond; uvicorn's httptools protocol has no limit


class RequestDeadlineProtocol(HttpToolsProtocol):
    """One connection. What uvicorn calls the keep-alive timeout is the limit of all that a client can be slow at.

    uvicorn stops its own clock at the first byte of a request, so that half a head keeps a connection for ever
    (DOS-03). Here a clock runs from the first byte of a request to its last, and on a connection that has sent none.
    It never cuts an answer: while the application is at work, it is not the client that is slow, and the application
    waits no longer than that for a body either (`graph.edge.WholeBody`).
    """

    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    _request_complete = False
    _head_size = 0
    _ignore_input = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes, which are anything from less than a head to several requests."""
        if self._ignore_input or self.transport.is_closing():
            return
        self._request_complete = False
        super().data_received(data)
        if self._request_complete or self.transport.is_closing():
            return
        if self._deadline is None:
            self._start_clock()
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_BYTES:
                self._refuse(431, "The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._request_complete, self._head_size = True, False, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._in_head = False
        super().on_headers_complete()
        # The parser reports trailers, which follow a body in chunks, as headers too. A proxy does not look at them, so
        # they could say what it would not let pass, such as another `X-Forwarded-For`. They go into a list of nobody's.
        self.headers = []

    def on_message_complete(self) -> None:
        """It is all there."""
        self._request_complete = True
        self._stop_clock()
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            # It was refused before it was all there, and its last bytes have stopped uvicorn's own clock.
            self._start_clock()

    def on_response_complete(self) -> None:
        """It has been answered."""
        super().on_response_complete()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            # Closing waits for the client to take what was written.
            self._start_clock()

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._writing_stops = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        self._writing_stops.cancel()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came after the last answer."""
        self._close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """What came is not HTTP."""
        self._refuse(400, "This is not a valid HTTP request.")

    def _unsupported_upgrade_warning(self) -> None:
        # There is nothing to upgrade to. What follows is in whatever protocol the client had hoped for, and must not
        # be read as another request; and nobody shall fill the log with it.
        self._ignore_input = True
        self.cycle.keep_alive = False

    def _start_clock(self) -> None:
        self._stop_clock()
        self._deadline = self.loop.call_later(self.timeout_keep_alive, self._on_timeout)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_timeout(self) -> None:
        if self.pipeline or (self.cycle is not None and not self.cycle.response_complete):
            self._start_clock()
        elif self._in_head and not self.transport.is_closing():
            self._refuse(408, "The request took too long to arrive.")
        else:
            self._close()

    def _close(self) -> None:
        # `close` would wait for a client that does not take what was written.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what no application will see, and close."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started or self.pipeline:
                # An answer is under way: another one in the midst of it would pass for its body.
                return self.transport.abort()
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = json.dumps({"detail": message}).encode()
        own: dict[bytes, Any] = {
            b"content-type": b"application/json",
            b"content-length": str(len(body)).encode(),
            b"connection": b"close",
        }
        lines = [name + b": " + value + b"\r\n" for name, value in [*own.items(), *HEADERS.items()]]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.close()
        self._start_clock()
        return None
