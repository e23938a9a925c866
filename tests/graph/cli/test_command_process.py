"""The command `kindred` as a process: at a terminal, on its first start, and where it must not start."""

import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from tests.support.doors import LOGIN, PASSWORD
from tests.support.servers import environment, free_port

KINDRED = str(Path(sys.executable).with_name("kindred"))


def variables_of(folder: Path, settings: dict[str, str | None]) -> dict[str, str]:
    variables = environment(f"sqlite:///{folder / 'kindred.db'}")
    for name, value in settings.items():
        variables.pop(f"KINDRED_{name}", None)
        if value is not None:
            variables[f"KINDRED_{name}"] = value
    return variables


@contextmanager
def at_a_terminal(*arguments: str, database_url: str) -> Iterator["Terminal"]:
    """`kindred ...` with somebody at the keys."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [KINDRED, *arguments],
        env=environment(database_url),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


class Terminal:
    """What is shown and typed there."""

    def __init__(self, ours: int, process: subprocess.Popen[bytes]) -> None:
        self.ours, self.process, self.shown = ours, process, ""

    def answer(self, prompt: str, typed: str) -> None:
        self._read_until(prompt)
        os.write(self.ours, typed.encode() + b"\n")

    def exit_code(self) -> int:
        self._read_until(None)
        return self.process.wait(timeout=10)

    def _read_until(self, prompt: str | None) -> None:
        fresh = ""
        deadline = time.monotonic() + 20
        while prompt is None or prompt not in fresh:
            assert time.monotonic() < deadline, f"no {prompt!r} in {self.shown!r}"
            if not select.select([self.ours], [], [], 0.1)[0]:
                continue
            data = b""
            with suppress(OSError):  # how a terminal ends on Linux
                data = os.read(self.ours, 4096)
            if not data:
                assert prompt is None, f"no {prompt!r} in {self.shown!r}"
                return
            fresh += data.decode()
            self.shown += data.decode()


def test_at_a_terminal_a_password_is_asked_for_twice_and_never_shown(sqlite_url: str) -> None:
    with at_a_terminal("user", "add", "carol", database_url=sqlite_url) as terminal:
        terminal.answer("New password: ", PASSWORD)
        terminal.answer("The same again: ", PASSWORD + " but not quite")
        terminal.answer("New password: ", PASSWORD)  # they do not match, so once more from the start
        terminal.answer("The same again: ", PASSWORD)
        assert terminal.exit_code() == 0
        assert "do not match" in terminal.shown
        assert "Made user carol." in terminal.shown
        assert PASSWORD not in terminal.shown


def test_who_leaves_the_prompt_makes_nobody(sqlite_url: str) -> None:
    with at_a_terminal("user", "add", "dave", database_url=sqlite_url) as terminal:
        terminal.answer("New password: ", PASSWORD)
        terminal._read_until("The same again: ")
        os.write(terminal.ours, b"\x04")
        assert terminal.exit_code() == 1
        assert "Traceback" not in terminal.shown


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """`kindred serve` as a developer types it, in a folder, with a careless umask; its address and what it printed."""
    port = free_port()
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [KINDRED, "serve", "--port", str(port)],
            cwd=folder,
            env=variables_of(folder, {"DATABASE_URL": None, "SECRET": None}),
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=0,
        )
    address, printed = f"http://127.0.0.1:{port}", list[str]()
    try:
        for _ in range(200):
            assert process.poll() is None, log.read_text()
            with suppress(httpx2.HTTPError):
                httpx2.get(f"{address}/healthz")
                break
            time.sleep(0.1)
        yield address, printed
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        printed += log.read_text().splitlines()
        log.unlink()


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir() if path.suffix != ".log"}


def sign_in(address: str, password: str) -> Any:
    body = {"query": LOGIN, "variables": {"input": {"username": "demo", "password": password}}}
    return httpx2.post(f"{address}/graphql", json=body).json()["data"]["login"]


def test_data_02_the_first_start_makes_all_it_needs_and_the_second_keeps_it(tmp_path: Path) -> None:
    with served(tmp_path) as (address, printed):
        found = modes(tmp_path)
        assert set(found) == {"kindred.db", "kindred.db-shm", "kindred.db-wal", "kindred.secret"}
        assert set(found.values()) == {"0o600"}
    (line,) = [line for line in printed if re.fullmatch(r"  demo  \S{20}", line)]
    password = line.split()[1]
    assert f"GraphiQL: {address}/graphql" in printed
    secret = (tmp_path / "kindred.secret").read_text()
    assert secret not in "\n".join(printed)
    with served(tmp_path) as (address, printed):
        result = sign_in(address, password)
        assert result["__typename"] == "LoginSuccess"
        assert result["viewer"]["username"] == "demo"
    assert not any("demo" in line for line in printed)
    assert password not in "\n".join(printed)
    assert (tmp_path / "kindred.secret").read_text() == secret


def test_ops_01_production_does_not_start_on_a_database_that_is_not_migrated(tmp_path: Path) -> None:
    variables = variables_of(tmp_path, {"ENVIRONMENT": "production"})
    command = [KINDRED, "serve", "--port", "0"]
    answer = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, timeout=60)
    assert (answer.returncode, answer.stdout) == (1, b"")
    sentence = "kindred: The database is not up to date. Run `alembic upgrade head`, then start again.\n"
    assert answer.stderr.decode() == sentence


def test_what_is_no_text_is_no_password(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8:strict"):
        variables = variables_of(tmp_path, {}) | {"PYTHONIOENCODING": encoding}
        command = [KINDRED, "user", "add", "alice"]
        answer = subprocess.run(
            command, cwd=tmp_path, env=variables, input=b"\xff\xfe\n", capture_output=True, timeout=60
        )
        assert answer.returncode == 1
        assert answer.stderr.startswith(b"kindred: ")
        assert b"Traceback" not in answer.stderr
