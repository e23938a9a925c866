"""The processes of `kindred serve`: a single worker, or a supervisor that keeps several workers alive.

It takes the place of uvicorn's supervisor, which ends the service with exit code 0 when a worker cannot start, restarts
a dead worker without a pause or a reason in the log, and kills a worker that imports for more than five seconds.
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

from auth.config.settings import Settings
from graph.http import server

logger = logging.getLogger("kindred")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Seconds until a worker that ended is replaced: none, then this, then twice as long each time.
FIRST_PAUSE, MAX_PAUSE = 0.5, 30.0
# After a worker that ran for so many seconds, the next pause is the first again.
SETTLED_AFTER = 60
# Seconds between two liveness checks of a worker, and the timeout of a check.
CHECK_INTERVAL, CHECK_TIMEOUT = 5, 30


@contextmanager
def exit_zero_on_stop_signals() -> Iterator[None]:
    """While the block runs, SIGTERM and SIGINT end this process with exit code 0, as an orderly stop."""

    def stop(_number: int, _frame: object) -> NoReturn:
        sys.exit(0)

    previous = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def serve(settings: Settings, host: str, port: int, workers: int) -> NoReturn:
    """Run the service. Exits with 0 if a signal stopped it (`exit_zero_on_stop_signals`), else with another code.

    Several workers share one socket. Each of them reads the settings from the environment.
    """
    _open_standard_streams()
    config = server.configuration(settings, host=host, port=port)
    if workers == 1:
        server.run(config)
    listener = server.bind(config)
    asyncio.run(_supervise(listener, workers))
    sys.exit(0)


def _open_standard_streams() -> None:
    # If a service manager closed one, a socket would get its number, and libuv aborts when it closes such a socket.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


async def _supervise(listener: socket.socket, workers: int) -> None:
    """Keep workers alive until a stop signal arrives."""
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        keepers = [group.create_task(_keep_alive(index + 1, listener)) for index in range(workers)]
        await stop.wait()
        # First, so that no client can connect after the last worker has closed its copy.
        listener.close()
        for keeper in keepers:
            keeper.cancel()


async def _keep_alive(index: int, listener: socket.socket) -> NoReturn:
    """Start a worker, and another one each time it ends, until cancelled."""
    time = asyncio.get_running_loop().time
    backoff = RestartBackoff()
    while True:
        started = time()
        try:
            ending = await _run(listener)
        except OSError as error:  # the limit of processes is reached, or memory is exhausted
            ending = f"could not be started ({error.strerror})"
        pause = backoff.after(time() - started)
        next_start = f"in {pause:g} s" if pause else "now"
        logger.error("Worker %d %s. The next one starts %s.", index, ending, next_start)
        await asyncio.sleep(pause)


class RestartBackoff:
    """The pauses between the starts of one worker."""

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, lifetime: float) -> float:
        """The pause in seconds after a worker that ran for `lifetime` seconds."""
        pause = 0.0 if lifetime >= SETTLED_AFTER else self._next
        self._next = min(2 * pause or FIRST_PAUSE, MAX_PAUSE)
        return pause


async def _run(listener: socket.socket) -> str:
    """Run one worker and return how it ended, for the log line. If cancelled, stop the worker first."""
    liveness, worker_liveness = socket.socketpair()
    liveness.setblocking(False)
    with liveness, worker_liveness:
        descriptors = (listener.fileno(), worker_liveness.fileno())
        command = (sys.executable, "-P", "-m", "graph.cli.workers", *map(str, descriptors))
        worker = await asyncio.create_subprocess_exec(*command, pass_fds=descriptors)
        worker_liveness.close()
        name = f"(process {worker.pid})"
        exit_code = asyncio.create_task(worker.wait())
        try:
            if await _hangs(exit_code, liveness):
                worker.kill()
                await exit_code
                return f"{name} did not answer for {CHECK_TIMEOUT} s and was killed"
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                worker.terminate()
                if await _hangs(exit_code, liveness):  # it would keep the service from stopping
                    worker.kill()
            await exit_code
            raise
    code = exit_code.result()
    cause = f"with exit code {code}" if code >= 0 else f"by signal {-code} ({signal.strsignal(-code)})"
    return f"{name} ended {cause}"


async def _hangs(exit_code: "asyncio.Task[int]", liveness: socket.socket) -> bool:
    """Wait until the worker ends, then return False; return True as soon as it fails a liveness check."""
    while not exit_code.done():
        await asyncio.wait((exit_code,), timeout=CHECK_INTERVAL)
        if not exit_code.done() and not await _is_alive(liveness):
            return True
    return False


async def _is_alive(liveness: socket.socket) -> bool:
    """Check whether the worker answers within the timeout."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            await loop.sock_sendall(liveness, b".")
            await loop.sock_recv(liveness, 1)
    except TimeoutError:
        return False
    except OSError:
        return True  # the worker has just ended; the caller notices that next
    return True


def _answer_liveness_checks(liveness: socket.socket) -> None:
    """Answer the supervisor. When the supervisor has died, stop this worker, which would otherwise hold the port."""
    with suppress(OSError):
        while data := liveness.recv(1):
            liveness.sendall(data)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _listener, _liveness = (socket.socket(fileno=int(descriptor)) for descriptor in sys.argv[1:])
    threading.Thread(target=_answer_liveness_checks, args=(_liveness,), daemon=True).start()
    with exit_zero_on_stop_signals():
        server.run(server.configuration(Settings()), [_listener])
