"""`kindred` and the notices that it writes, lists and lets go out again, over both databases."""

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
from tests.support.doors import PASSWORD
from tests.support.receivers import WEBHOOK_SECRET
from tests.support.servers import SECRET, free_port
from tests.support.sql import looking_at

Kin = Callable[..., Result]


@pytest.fixture
def kin(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kin:
    """`kindred ...`, where owners are told both ways."""
    monkeypatch.chdir(tmp_path)
    nowhere = f"127.0.0.1:{free_port()}"

    def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
        env = {
            "DATABASE_URL": database_url,
            "SECRET": SECRET,
            "WEBHOOK_URL": f"http://{nowhere}/hunter2",
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SMTP_URL": f"smtp://kindred:hunter2@{nowhere}",
            "MAIL_FROM": "kindred@example.org",
        } | settings
        result = CliRunner().invoke(main, arguments, input=stdin, env={f"KINDRED_{name}": v for name, v in env.items()})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        for secret in (PASSWORD, SECRET, WEBHOOK_SECRET, "hunter2"):
            assert secret not in result.output
        return result

    return run


def said(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def cells(result: Result) -> list[list[str]]:
    """The rows of a table, without the ids and instants that differ each time."""
    lines = [re.split(r"\s{2,}", line) for line in said(result).splitlines()]
    assert lines[0] == ["ID", "KIND", "USER", "OCCURRED", "ATTEMPTS", "NEXT ATTEMPT", "LAST ERROR"]
    return [line[1:3] + line[4:] for line in lines[1:]]


def change(database_url: str, **values: Any) -> None:
    """What the delivery came to."""

    async def run() -> None:
        services = Services.create(Settings(database_url=database_url, secret=SECRET), SECRET.encode(), Entropy())
        async with looking_at(services.db) as conn:
            await conn.execute(update(outbox).where(outbox.c.channel == "webhook").values(**values))
        await services.stop()

    asyncio.run(run())


def test_what_owners_were_not_told_is_listed_counted_and_let_go_again(kin: Kin, database_url: str) -> None:
    said(kin("user", "add", "alice", "--email", "alice@example.org", stdin=PASSWORD))
    said(kin("user", "add", "bob", stdin=PASSWORD))
    for channel in ("webhook", "mail"):
        assert cells(kin(channel, "list")) == []
    said(kin("user", "disable", "alice"))
    said(kin("user", "set-password", "bob", stdin="three grey owls read 7 maps"))
    listed = cells(kin("webhook", "list"))
    assert [row[:3] for row in listed] == [["user.password_changed", "bob", "0"], ["user.disabled", "alice", "0"]]
    assert [row[:3] for row in cells(kin("mail", "list"))] == [["user.disabled", "alice", "0"]]
    lines = said(kin("check")).splitlines()
    assert lines[-2:] == [
        "ok  webhook (2 notices wait, 0 were given up)",
        "ok  mail (1 notices wait, 0 were given up)",
    ]
    now = SystemClock().now()
    change(database_url, attempts=10, next_attempt_at=None, failed_at=now, last_error="HTTP 500")
    assert cells(kin("webhook", "list"))[0] == ["user.password_changed", "bob", "10", "given up", "HTTP 500"]
    assert "ok  webhook (0 notices wait, 2 were given up: kindred webhook list)" in said(kin("check"))
    assert said(kin("webhook", "retry")) == "2 notices are due now; the service delivers them.\n"
    again = cells(kin("webhook", "list"))[0]
    assert (again[2], again[4]) == ("0", "HTTP 500")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", again[3])
    change(database_url, next_attempt_at=None, delivered_at=now, last_error=None)
    assert cells(kin("webhook", "list")) == []
    assert said(kin("webhook", "retry")).startswith("0 notices")
    change(database_url, occurred_at=now - timedelta(days=31))
    assert said(kin("prune")).endswith("and 2 notices to owners.\n")
    assert len(cells(kin("mail", "list"))) == 1


@pytest.mark.parametrize("command", [["webhook", "list"], ["mail", "retry"]])
def test_a_database_that_is_not_there_is_a_sentence(kin: Kin, command: list[str]) -> None:
    result = kin(*command, DATABASE_URL="postgresql://kindred:hunter2@127.0.0.1:1/kindred", DATABASE_TIMEOUT="0.3")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: The database did not answer")
