"""The command `kindred` as a process: at a terminal, at its first start, and when it must not start."""

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

from tests.support.endpoints import LOGIN, PASSWORD
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
    """Run `kindred ...` at a pseudo-terminal."""
    controller, terminal_end = pty.openpty()
    process = subprocess.Popen(
        [KINDRED, *arguments],
        env=environment(database_url),
        stdin=terminal_end,
        stdout=terminal_end,
        stderr=terminal_end,
        start_new_session=True,
    )
    os.close(terminal_end)
    try:
        yield Terminal(controller, process)
    finally:
        process.kill()
        process.wait()
        os.close(controller)


class Terminal:
    """The output of a pseudo-terminal, and input for it."""

    def __init__(self, controller: int, process: subprocess.Popen[bytes]) -> None:
        self.controller, self.process, self.output = controller, process, ""

    def answer(self, prompt: str, typed: str) -> None:
        self._read_until(prompt)
        os.write(self.controller, typed.encode() + b"\n")

    def exit_code(self) -> int:
        self._read_until(None)
        return self.process.wait(timeout=10)

    def _read_until(self, prompt: str | None) -> None:
        received = ""
        deadline = time.monotonic() + 20
        while prompt is None or prompt not in received:
            assert time.monotonic() < deadline, f"no {prompt!r} in {self.output!r}"
            if not select.select([self.controller], [], [], 0.1)[0]:
                continue
            data = b""
            with suppress(OSError):  # how a terminal ends on Linux
                data = os.read(self.controller, 4096)
            if not data:
                assert prompt is None, f"no {prompt!r} in {self.output!r}"
                return
            received += data.decode()
            self.output += data.decode()


def test_a_terminal_prompts_twice_for_a_password_and_never_shows_it(sqlite_url: str) -> None:
    with at_a_terminal("user", "add", "carol", database_url=sqlite_url) as terminal:
        terminal.answer("New password: ", PASSWORD)
        terminal.answer("Repeat the new password: ", PASSWORD + " but not quite")
        terminal.answer("New password: ", PASSWORD)  # they do not match, so once more from the start
        terminal.answer("Repeat the new password: ", PASSWORD)
        assert terminal.exit_code() == 0
        assert "do not match" in terminal.output
        assert "Added user carol." in terminal.output
        assert PASSWORD not in terminal.output


def test_leaving_the_prompt_adds_no_user(sqlite_url: str) -> None:
    with at_a_terminal("user", "add", "dave", database_url=sqlite_url) as terminal:
        terminal.answer("New password: ", PASSWORD)
        terminal._read_until("Repeat the new password: ")
        os.write(terminal.controller, b"\x04")
        assert terminal.exit_code() == 1
        assert "Traceback" not in terminal.output


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Run `kindred serve` in a folder with umask 0. Yields its address and its output."""
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


def test_data_02_the_first_start_creates_its_files_and_the_second_keeps_them(tmp_path: Path) -> None:
    with served(tmp_path) as (address, printed):
        created = modes(tmp_path)
        assert set(created) == {"kindred.db", "kindred.db-shm", "kindred.db-wal", "kindred.secret"}
        assert set(created.values()) == {"0o600"}
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


def test_ops_01_production_refuses_a_database_that_lacks_migrations(tmp_path: Path) -> None:
    variables = variables_of(tmp_path, {"ENVIRONMENT": "production"})
    command = [KINDRED, "serve", "--port", "0"]
    answer = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, timeout=60)
    assert (answer.returncode, answer.stdout) == (1, b"")
    sentence = "kindred: The database is not up to date. Run `alembic upgrade head`, then start again.\n"
    assert answer.stderr.decode() == sentence


def test_a_password_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8:strict"):
        variables = variables_of(tmp_path, {}) | {"PYTHONIOENCODING": encoding}
        command = [KINDRED, "user", "add", "alice"]
        answer = subprocess.run(
            command, cwd=tmp_path, env=variables, input=b"\xff\xfe\n", capture_output=True, timeout=60
        )
        assert answer.returncode == 1
        assert answer.stderr.startswith(b"kindred: ")
        assert b"Traceback" not in answer.stderr
