"""The processes of `kindred serve`: how they stop, how workers are replaced, and when the service must not start."""

import asyncio
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from httpx2 import AsyncClient, HTTPError

from graph.cli import workers
from graph.cli.workers import RestartBackoff
from tests.graph.observability.test_metrics import samples
from tests.support.servers import Process, backstage, environment, free_port, serving, silenced, starting

ONE_AND_SEVERAL = pytest.mark.parametrize("count", [1, 2], ids=["one worker", "two workers"])
BREAKS_WORKERS = """
import os, sys
if "graph.cli.workers" in sys.orig_argv:
    os._exit(7)
"""


async def ended(server: Process) -> int:
    """Wait until the service has stopped on its own. Return its exit code."""
    return await asyncio.to_thread(server.process.wait, 60)


@ONE_AND_SEVERAL
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_signal_ends_the_service_with_exit_code_0(
    sqlite_url: str, tmp_path: Path, count: int, number: signal.Signals
) -> None:
    async with serving(sqlite_url, tmp_path, workers=count) as server:
        processes = server.workers
        assert await server.leave(number) == 0
        assert not any(process.is_running() for process in processes)
        assert "Traceback" not in server.log.read_text()


@ONE_AND_SEVERAL
async def test_a_taken_port_ends_the_service_with_another_exit_code(
    sqlite_url: str, tmp_path: Path, count: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with starting(sqlite_url, tmp_path, "--port", port, workers=count) as server:
            assert await ended(server) not in (0, -signal.SIGTERM)
            assert "address already in use" in server.log.read_text().lower()


async def test_workers_stop_when_their_supervisor_is_killed(sqlite_url: str, tmp_path: Path) -> None:
    async with serving(sqlite_url, tmp_path, workers=2) as server:
        processes = server.workers
        assert len(processes) == 2
        server.kill()
        assert psutil.wait_procs(processes, timeout=20)[1] == []
        with socket.create_server(("127.0.0.1", server.port)):
            pass  # the port is free for the next start


@ONE_AND_SEVERAL
async def test_ops_01_a_service_does_not_start_with_a_wrong_secret_or_without_migrations(
    sqlite_url: str, password_hash: str, tmp_path: Path, count: int
) -> None:
    async with backstage(sqlite_url, password_hash):
        pass  # which makes the signing key
    other = {"KINDRED_SECRET": "Xk2mQ8rT5vWz1LbN7cPd4HgJ9sFyE3aU"}
    empty = {"KINDRED_DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}"}
    for settings, sentence in (
        (other, "kindred: The signing keys in this database were sealed with another server secret."),
        (empty, "kindred: The database is not up to date. Run `alembic upgrade head`"),
    ):
        async with starting(sqlite_url, tmp_path, workers=count, **settings) as server:
            assert await ended(server) == 1
            (line,) = server.log.read_text().splitlines()
            assert line.startswith(sentence)


async def test_a_killed_worker_is_replaced_and_the_log_says_the_reason(sqlite_url: str, tmp_path: Path) -> None:
    async with serving(sqlite_url, tmp_path, workers=2, KINDRED_METRICS="on") as server:
        await server.until_ready()
        async with AsyncClient(base_url=server.url) as http:
            before = await samples(http)
        killed, stays = server.workers
        killed.kill()
        (line,) = await server.until("ended by signal")
        assert f"(process {killed.pid}) ended by signal 9 (Killed). The next one starts now." in line
        async with asyncio.timeout(30):
            while len(server.workers) < 2:
                await asyncio.sleep(0.05)
        (replacement,) = set(server.workers) - {stays}
        with silenced([stays]):
            async with AsyncClient(base_url=server.url, timeout=60) as http:
                assert (await http.get("/readyz")).status_code == 200
        async with AsyncClient(base_url=server.url) as http:
            after = await samples(http)
        # The counters of the killed worker stay. Its gauges are removed.
        assert after["kindred_database_connections",] == before["kindred_database_connections",]
        assert after["kindred_requests_total", "/readyz", "ok"] > before["kindred_requests_total", "/readyz", "ok"]
        assert replacement.pid != killed.pid


async def test_a_worker_that_cannot_start_is_restarted_with_backoff_and_a_line_for_each_attempt(
    sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BREAKS_WORKERS)
    async with starting(sqlite_url, tmp_path, workers=2, PYTHONPATH=str(tmp_path)) as server:
        await server.until("Worker 1", 4)
        lines = await server.until("Worker 2", 4)
        assert all("ended with exit code 7. The next one starts" in line for line in lines)
        assert [line.partition("starts ")[2] for line in lines][:4] == ["now.", "in 0.5 s.", "in 1 s.", "in 2 s."]
        assert await server.leave(signal.SIGTERM) == 0  # also where no worker runs at the moment


def test_the_backoff_is_at_most_half_a_minute_and_resets_after_a_settled_worker() -> None:
    pauses = RestartBackoff()
    assert [pauses.after(1) for _ in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [pauses.after(lived) for lived in (61, 1, 1, 60, 1)] == [0, 0.5, 1, 0, 0.5]


async def test_a_hanging_worker_fails_the_liveness_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CHECK_TIMEOUT", 0.05)
    liveness, worker_end = socket.socketpair()
    liveness.setblocking(False)
    with liveness:
        with worker_end:
            assert not await workers._is_alive(liveness)
            worker_end.sendall(b".")
            assert await workers._is_alive(liveness)
        assert await workers._is_alive(liveness)  # one that has ended does not hang


async def test_a_hanging_worker_is_killed_when_the_service_stops(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started, script_file, command = tmp_path / "started", tmp_path / "deaf.py", tmp_path / "python"
    script_file.write_text(
        f"import pathlib, signal\nsignal.signal(15, signal.SIG_IGN)\npathlib.Path({str(started)!r}).touch()\n"
    )
    with script_file.open("a") as script:
        script.write("signal.pause()\n")
    command.write_text(f"#!/bin/sh\nexec {sys.executable} {script_file}\n")
    command.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(command))
    monkeypatch.setattr(workers, "CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(workers, "CHECK_TIMEOUT", 5)
    with socket.socket() as listener:
        running = asyncio.create_task(workers._run(listener))
        async with asyncio.timeout(60):
            while not started.exists():
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-"])
async def test_a_service_without_standard_streams_starts_and_stops(
    sqlite_url: str, tmp_path: Path, streams: str
) -> None:
    port, kindred = free_port(), Path(sys.executable).with_name("kindred")
    variables = environment(sqlite_url, KINDRED_ENVIRONMENT="production")
    command = ["sh", "-c", f"exec {kindred} serve --port {port} {streams}"]
    with subprocess.Popen(command, cwd=tmp_path, env=variables) as process:
        try:
            async with AsyncClient(base_url=f"http://127.0.0.1:{port}") as http, asyncio.timeout(60):
                while not await is_alive(http):
                    await asyncio.sleep(0.1)
            process.terminate()
            assert await asyncio.to_thread(process.wait, 60) == 0
        finally:
            process.kill()


async def is_alive(http: AsyncClient) -> bool:
    with suppress(HTTPError):
        return (await http.get("/healthz")).status_code == 200
    return False
