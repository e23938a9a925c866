"""The processes of `kindred serve`: one that serves by itself, or one that keeps several workers alive.

In place of uvicorn's own supervisor, which ends the service with exit code 0 when a worker cannot start, replaces one
that dies without a pause or a reason in the log, and kills one that takes more than five seconds to import.

Written against uvicorn 0.54. Of what its manual does not describe, this uses: `Config.bind_socket`; `Server.run`, which
takes sockets that are bound already and, when a signal has stopped it, raises that signal for the handler of before.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import uvicorn

from auth.config.settings import Settings
from graph.http.protocol import RequestDeadlineProtocol

logger = logging.getLogger("kindred")

STOPPING = (signal.SIGTERM, signal.SIGINT)
# Seconds until a worker that ended is replaced: at once, then this, then twice as long each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# A worker that lived for so many seconds had started well, and the next pause is the first again.
SETTLED = 60
# How often a worker is asked whether it is alive, and how long it may take to answer. Both in seconds.
BETWEEN_PULSES, LONGEST_SILENCE = 5, 30


@contextmanager
def leaving_when_asked() -> Iterator[None]:
    """While the block runs, SIGTERM and SIGINT end this process with exit code 0: it was asked to stop, and does."""

    def leave(_number: int, _frame: object) -> NoReturn:
        sys.exit(0)

    before = {number: signal.signal(number, leave) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(settings: Settings, host: str, port: int, workers: int) -> NoReturn:
    """Run the service. Exits with 0 if a signal asked for the stop (`leaving_when_asked`), else with another code.

    Several workers share one socket. Each reads the settings for itself, from the same environment.
    """
    _open_standard_streams()
    config = _configured(settings, host=host, port=port)
    if workers == 1:
        _serve(config)
    listener = config.bind_socket()
    asyncio.run(_keep_all(listener, workers))
    sys.exit(0)


def _open_standard_streams() -> None:
    # Where a service manager closed one, a socket would get its number, and libuv aborts when it closes such a socket.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _configured(settings: Settings, *, host: str = "", port: int = 0) -> uvicorn.Config:
    return uvicorn.Config(
        "graph.app:from_environment",
        factory=True,
        host=host,
        port=port,
        http=RequestDeadlineProtocol,
        ws="none",
        timeout_keep_alive=settings.http_read_timeout,
        # Whose X-Forwarded-For to believe is not for uvicorn to guess: it trusts 127.0.0.1 (NET-03).
        proxy_headers=False,
        server_header=False,
        log_config=None,
    )


def _serve(config: uvicorn.Config, listeners: list[socket.socket] | None = None) -> NoReturn:
    """Serve in this process."""
    uvicorn.Server(config).run(listeners)
    sys.exit(1)  # no signal asked for it, or uvicorn would have raised that


async def _keep_all(listener: socket.socket, workers: int) -> None:
    """Keep workers alive until a signal asks for the end."""
    asked = asyncio.Event()
    for number in STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    async with asyncio.TaskGroup() as group:
        keepers = [group.create_task(_keep(index + 1, listener)) for index in range(workers)]
        await asked.wait()
        # First, so that no client can connect after the last worker has closed its copy.
        listener.close()
        for keeper in keepers:
            keeper.cancel()


async def _keep(index: int, listener: socket.socket) -> NoReturn:
    """Keep one worker alive, until cancelled: start it, and start another one whenever it ends."""
    time = asyncio.get_running_loop().time
    pauses = Pauses()
    while True:
        began = time()
        try:
            ended = await _run(listener)
        except OSError as error:  # no more processes, or no memory for one
            ended = f"could not be started ({error.strerror})"
        pause = pauses.after(time() - began)
        next_start = f"in {pause:g} s" if pause else "now"
        logger.error("Worker %d %s. The next one starts %s.", index, ended, next_start)
        await asyncio.sleep(pause)


class Pauses:
    """How long to wait before the next start of a worker."""

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, lived: float) -> float:
        """The pause in seconds after a worker that lived for so many."""
        pause = 0.0 if lived >= SETTLED else self._next
        self._next = min(2 * pause or FIRST_PAUSE, LONGEST_PAUSE)
        return pause


async def _run(listener: socket.socket) -> str:
    """Run one worker. Returns how it ended, as the second half of a sentence. Cancelled, it stops the worker first."""
    pulse, its_end = socket.socketpair()
    pulse.setblocking(False)
    with pulse, its_end:
        descriptors = (listener.fileno(), its_end.fileno())
        command = (sys.executable, "-P", "-m", "graph.cli.workers", *map(str, descriptors))
        worker = await asyncio.create_subprocess_exec(*command, pass_fds=descriptors)
        its_end.close()
        name = f"(process {worker.pid})"
        ended = asyncio.create_task(worker.wait())
        try:
            if await _hangs(ended, pulse):
                worker.kill()
                await ended
                return f"{name} did not answer for {LONGEST_SILENCE} s and was killed"
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                worker.terminate()
                if await _hangs(ended, pulse):  # it would keep the whole service from stopping
                    worker.kill()
            await ended
            raise
    code = ended.result()
    how = f"with exit code {code}" if code >= 0 else f"by signal {-code} ({signal.strsignal(-code)})"
    return f"{name} ended {how}"


async def _hangs(ended: "asyncio.Task[int]", pulse: socket.socket) -> bool:
    """Wait until a worker has ended, and return False; or until it does not answer, and return True."""
    while not ended.done():
        await asyncio.wait((ended,), timeout=BETWEEN_PULSES)
        if not ended.done() and not await _answers(pulse):
            return True
    return False


async def _answers(pulse: socket.socket) -> bool:
    """Whether a worker answers, and does not hang."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LONGEST_SILENCE):
            await loop.sock_sendall(pulse, b".")
            await loop.sock_recv(pulse, 1)
    except TimeoutError:
        return False
    except OSError:
        return True  # it has just ended, which the next look finds
    return True


def _answer(pulse: socket.socket) -> None:
    """Answer the process that keeps this worker alive; stop when it is gone, or this worker would keep the port."""
    with suppress(OSError):
        while asked := pulse.recv(1):
            pulse.sendall(asked)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _listener, _pulse = (socket.socket(fileno=int(descriptor)) for descriptor in sys.argv[1:])
    threading.Thread(target=_answer, args=(_pulse,), daemon=True).start()
    with leaving_when_asked():
        _serve(_configured(Settings()), [_listener])
