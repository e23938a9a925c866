"""The service as an operator runs it: `kindred serve` in processes of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from httpx2 import AsyncClient, HTTPError

SECRET = "a7Jr0zVb4mQk9Xw2Lf8Tn6Yc1Gs5Hd3P"


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
        self.url = f"http://127.0.0.1:{port}"
        self.log = log

    def kill(self) -> None:
        """`kill -9`."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@asynccontextmanager
async def serving(database_url: str, folder: Path, *, workers: int = 1, **settings: str) -> AsyncIterator[Process]:
    """`kindred serve` until the block ends, in `folder`, in production, on a database that is migrated."""
    port = free_port()
    log = folder / f"server-{port}.log"
    command = [str(Path(sys.executable).with_name("kindred")), "serve", "--port", str(port), "--workers", str(workers)]
    variables = environment(database_url, KINDRED_ENVIRONMENT="production", **settings)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
    server = Process(process, port, log)
    try:
        await _answering(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
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
