"""`kindred webhook` and `kindred mail` over both databases: list and retry notifications."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.services import Services
from db.tables.outbox import outbox
from graph.cli import main
from tests.support.endpoints import PASSWORD
from tests.support.receivers import WEBHOOK_SECRET
from tests.support.servers import SECRET, free_port
from tests.support.sql import looking_at

Command = Callable[..., Result]


@pytest.fixture
def kindred(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `kindred ...` with both notification channels."""
    monkeypatch.chdir(tmp_path)
    unused = f"127.0.0.1:{free_port()}"

    def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
        env = {
            "DATABASE_URL": database_url,
            "SECRET": SECRET,
            "WEBHOOK_URL": f"http://{unused}/hunter2",
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SMTP_URL": f"smtp://kindred:hunter2@{unused}",
            "MAIL_FROM": "kindred@example.org",
        } | settings
        result = CliRunner().invoke(main, arguments, input=stdin, env={f"KINDRED_{name}": v for name, v in env.items()})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        for secret in (PASSWORD, SECRET, WEBHOOK_SECRET, "hunter2"):
            assert secret not in result.output
        return result

    return run


def output_of(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def cells(result: Result) -> list[list[str]]:
    """The rows of a table without IDs and times."""
    lines = [re.split(r"\s{2,}", line) for line in output_of(result).splitlines()]
    assert lines[0] == ["ID", "KIND", "USER", "OCCURRED", "ATTEMPTS", "NEXT ATTEMPT", "LAST ERROR"]
    return [line[1:3] + line[4:] for line in lines[1:]]


def change(database_url: str, **values: Any) -> None:
    """Set the result of a delivery."""

    async def run() -> None:
        services = Services.create(Settings(database_url=database_url, secret=SECRET), SECRET.encode(), Entropy())
        async with looking_at(services.db) as conn:
            await conn.execute(update(outbox).where(outbox.c.channel == "webhook").values(**values))
        await services.stop()

    asyncio.run(run())


def test_undelivered_notifications_are_listed_counted_and_requeued(kindred: Command, database_url: str) -> None:
    output_of(kindred("user", "add", "alice", "--email", "alice@example.org", stdin=PASSWORD))
    output_of(kindred("user", "add", "bob", stdin=PASSWORD))
    for channel in ("webhook", "mail"):
        assert cells(kindred(channel, "list")) == []
    output_of(kindred("user", "disable", "alice"))
    output_of(kindred("user", "set-password", "bob", stdin="three grey owls read 7 maps"))
    listed = cells(kindred("webhook", "list"))
    assert [row[:3] for row in listed] == [["user.password_changed", "bob", "0"], ["user.disabled", "alice", "0"]]
    assert [row[:3] for row in cells(kindred("mail", "list"))] == [["user.disabled", "alice", "0"]]
    lines = output_of(kindred("check")).splitlines()
    assert lines[-2:] == [
        "ok  webhook (2 waiting, 0 failed)",
        "ok  mail (1 waiting, 0 failed)",
    ]
    now = SystemClock().now()
    change(database_url, attempts=10, next_attempt_at=None, failed_at=now, last_error="HTTP 500")
    assert cells(kindred("webhook", "list"))[0] == ["user.password_changed", "bob", "10", "failed", "HTTP 500"]
    assert "ok  webhook (0 waiting, 2 failed; see `kindred webhook list`)" in output_of(kindred("check"))
    assert output_of(kindred("webhook", "retry")) == "2 notifications due now. The running service delivers them.\n"
    requeued = cells(kindred("webhook", "list"))[0]
    assert (requeued[2], requeued[4]) == ("0", "HTTP 500")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", requeued[3])
    change(database_url, next_attempt_at=None, delivered_at=now, last_error=None)
    assert cells(kindred("webhook", "list")) == []
    assert output_of(kindred("webhook", "retry")).startswith("0 notifications")
    change(database_url, occurred_at=now - timedelta(days=31))
    assert output_of(kindred("prune")).endswith("and 2 notifications.\n")
    assert len(cells(kindred("mail", "list"))) == 1


@pytest.mark.parametrize("command", [["webhook", "list"], ["mail", "retry"]])
def test_an_unavailable_database_is_one_line(kindred: Command, command: list[str]) -> None:
    result = kindred(*command, DATABASE_URL="postgresql://kindred:hunter2@127.0.0.1:1/kindred", DATABASE_TIMEOUT="0.3")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: The database did not answer")
