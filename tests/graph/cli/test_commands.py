"""The command `kindred`, over both databases: its commands, their output and their errors."""

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import insert
from sqlalchemy import text as sql
from typer.testing import CliRunner, Result

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.outcomes import ClientInfo, SignedIn
from auth.services import Services
from db.migration import head
from db.tables.families import families
from graph.cli import main
from tests.graph.api.test_session_pages import family_row
from tests.support.clocks import FakeClock
from tests.support.endpoints import NEW_PASSWORD, PASSWORD
from tests.support.servers import SECRET
from tests.support.sql import looking_at

OTHER_SECRET = "Zt5Wq8Rk1Vb7Nc3Xm9Lp2Jh6Gf4Ds0Ay"
Command = Callable[..., Result]


@pytest.fixture
def kindred(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `kindred ...` with the database. `stdin` is standard input; other keyword arguments are settings."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
        env = {"DATABASE_URL": database_url, "SECRET": SECRET, "DATABASE_TIMEOUT": "2"} | settings
        result = CliRunner().invoke(main, arguments, input=stdin, env={f"KINDRED_{name}": v for name, v in env.items()})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert PASSWORD not in result.output
        assert SECRET not in result.output
        return result

    return run


def output_of(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def error_of(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.startswith("kindred: ")
    assert "Traceback" not in result.stderr
    return result.stderr.removeprefix("kindred: ").strip()


def rows(result: Result) -> list[list[str]]:
    return [re.split(r"\s{2,}", line) for line in output_of(result).splitlines()][1:]


def with_service(database_url: str, work: Callable[[Services], Any]) -> Any:
    """Run `work` with the services of another process."""

    async def run() -> Any:
        services = Services.create(Settings(database_url=database_url, secret=SECRET), SECRET.encode(), Entropy())
        try:
            await services.start(SystemClock().now())
            return await work(services)
        finally:
            await services.stop()

    return asyncio.run(run())


def sign_in(database_url: str, name: str, password: str, times: int = 1) -> list[str | None]:
    """The IDs of new sessions; None for a failed sign-in."""

    async def work(services: Services) -> list[str | None]:
        outcomes = [
            await services.sign_in.login(name, password, "Laptop", ClientInfo("192.0.2.1"), SystemClock().now())
            for _ in range(times)
        ]
        return [str(outcome.family.id) if isinstance(outcome, SignedIn) else None for outcome in outcomes]

    ids: list[str | None] = with_service(database_url, work)
    return ids


def test_users_are_added_listed_disabled_enabled_and_get_passwords(kindred: Command, database_url: str) -> None:
    assert output_of(kindred("user", "list")) == "NAME  STATE  EMAIL  CREATED  PASSWORD CHANGED\n"
    assert (
        output_of(kindred("user", "add", "Alice", "--email", "a@example.org", stdin=PASSWORD + "\n"))
        == "Added user Alice.\n"
    )
    assert output_of(kindred("user", "add", "bob", stdin=PASSWORD + "\r\nsecond line")) == "Added user bob.\n"
    assert [row[:3] for row in rows(kindred("user", "list"))] == [
        ["Alice", "active", "a@example.org"],
        ["bob", "active", "-"],
    ]
    assert None not in sign_in(database_url, "alice", PASSWORD, 2)
    assert output_of(kindred("user", "disable", "ALICE")) == "Disabled Alice and revoked 2 sessions.\n"
    assert [row[:2] for row in rows(kindred("user", "list"))] == [["Alice", "disabled"], ["bob", "active"]]
    assert sign_in(database_url, "alice", PASSWORD) == [None]
    assert output_of(kindred("user", "enable", "alice")) == "Enabled Alice.\n"
    assert None not in sign_in(database_url, "alice", PASSWORD)
    changed = output_of(kindred("user", "set-password", "alice", stdin=NEW_PASSWORD))
    assert changed == "Set the password of Alice and revoked 1 session.\n"
    assert sign_in(database_url, "alice", PASSWORD) == [None]
    assert None not in sign_in(database_url, "alice", NEW_PASSWORD)


def test_an_invalid_user_is_refused_with_the_reason(kindred: Command) -> None:
    output_of(kindred("user", "add", "alice", stdin=PASSWORD))
    for taken in ("alice", "ALICE", " Alice", "ａｌｉｃｅ"):
        assert "is taken, or compares equal to one that is" in error_of(kindred("user", "add", taken, stdin=PASSWORD))
    assert "at least 8 characters" in error_of(kindred("user", "add", "bob", stdin="short"))
    assert "at least 15 characters" in error_of(
        kindred("user", "add", "bob", stdin="7Q!x k2Vp;wZ r", PASSWORD_MIN_LENGTH="15")
    )
    assert "too easy to guess" in error_of(kindred("user", "add", "bob", stdin="password1"))
    assert "Standard input contains no password." in error_of(kindred("user", "add", "bob", stdin="\n"))
    assert "Standard input contains no password." in error_of(kindred("user", "add", "bob", stdin=""))
    for unfit in ("", " ", "x" * 129, "a\nb", "a\u200bb"):
        assert "Use 1 to 128 characters" in error_of(kindred("user", "add", unfit, stdin=PASSWORD))
    for address in ("x" * 300, "unknown", "a@" + "x" * 300):
        assert "address" in error_of(kindred("user", "add", "bob", "--email", address, stdin=PASSWORD))
    assert [row[0] for row in rows(kindred("user", "list"))] == ["alice"]


def test_every_command_reports_an_unknown_user(kindred: Command) -> None:
    for command in (["user", "disable"], ["user", "enable"], ["session", "list"]):
        assert (
            error_of(kindred(*command, "unknown")) == "There is no user 'unknown'. `kindred user list` lists all users."
        )
    assert "There is no user" in error_of(kindred("user", "set-password", "unknown", stdin=PASSWORD))
    assert "There is no user" in error_of(kindred("session", "revoke", "unknown", "--all"))


def test_sess_10_an_operator_lists_and_revokes_sessions(kindred: Command, database_url: str) -> None:
    output_of(kindred("user", "add", "alice", stdin=PASSWORD))
    output_of(kindred("user", "add", "bob", stdin=PASSWORD))
    first, second, third = sign_in(database_url, "alice", PASSWORD, 3)
    (bobs,) = sign_in(database_url, "bob", PASSWORD)
    listed = rows(kindred("session", "list", "alice"))
    assert [row[0] for row in listed] == [third, second, first]
    assert listed[0][1:4] == ["ACTIVE", "Laptop", "192.0.2.1"]
    ended = "The session is revoked (REVOKED_BY_OPERATOR).\n"
    assert (
        output_of(kindred("session", "revoke", "alice", str(first)))
        == ended
        == output_of(kindred("session", "revoke", "alice", str(first)))
    )
    assert [row[0] for row in rows(kindred("session", "list", "alice"))] == [third, second]
    states = {row[0]: row[1] for row in rows(kindred("session", "list", "alice", "--all"))}
    assert states == {first: "REVOKED_BY_OPERATOR", second: "ACTIVE", third: "ACTIVE"}
    for unknown in (str(bobs), str(first).upper(), "x"):
        assert f"alice has no session {unknown}." in error_of(kindred("session", "revoke", "alice", unknown))
    for misused in (["alice"], ["alice", str(second), "--all"]):
        assert kindred("session", "revoke", *misused).exit_code == 2
    assert output_of(kindred("session", "revoke", "alice", "--all")) == "Revoked 2 sessions of alice.\n"
    assert rows(kindred("session", "list", "alice")) == []
    assert [row[0] for row in rows(kindred("session", "list", "bob"))] == [bobs]


def test_sessions_of_several_pages_are_listed(kindred: Command, database_url: str) -> None:
    output_of(kindred("user", "add", "alice", stdin=PASSWORD))

    async def work(services: Services) -> None:
        alice = await services.accounts.find_by_username("alice")
        assert alice is not None
        async with looking_at(services.db) as conn:
            await conn.execute(insert(families), [family_row(alice, FakeClock()) for _ in range(205)])

    with_service(database_url, work)
    assert len({row[0] for row in rows(kindred("session", "list", "alice"))}) == 205


def test_signing_keys_are_listed_and_rotated(kindred: Command, database_url: str) -> None:
    assert output_of(kindred("key", "list")) == "ID  ALGORITHM  STATE  ACTIVE FROM  RETIRED AT\n"
    with_service(database_url, lambda services: services.keys.reload())
    ((first, *signs),) = rows(kindred("key", "list"))
    assert signs[:2] == ["EdDSA", "signs"]
    output = output_of(kindred("key", "rotate", SIGNING_ALGORITHM="ES256"))
    assert re.fullmatch(r"Created key [\w-]{43}\. It is published now and signs from \S+ \S+Z on\.\n", output)
    assert [(row[1], row[2]) for row in rows(kindred("key", "list"))] == [("EdDSA", "signs"), ("ES256", "published")]
    assert rows(kindred("key", "list"))[0][0] == first
    assert "another server secret" in error_of(kindred("key", "list", SECRET=OTHER_SECRET))


def test_check_reports_what_is_correct(kindred: Command, database_url: str) -> None:
    with_service(database_url, lambda services: services.keys.reload())
    kind = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    lines = output_of(kindred("check", ENVIRONMENT="production")).splitlines()
    assert [line[:4] for line in lines] == ["ok  "] * 7
    assert lines[0] == "ok  settings (production)"
    assert lines[2] == f"ok  database reachable ({kind})"


def test_check_reports_what_is_wrong(kindred: Command, database_url: str) -> None:
    with_service(database_url, lambda services: services.keys.reload())

    async def run(services: Services, *texts: str) -> None:
        async with looking_at(services.db) as conn:
            for text in texts:
                await conn.execute(sql(text))

    def fails(**settings: str) -> str:
        result = kindred("check", **settings)
        assert result.exit_code == 1
        return result.stderr

    assert "another server secret" in fails(SECRET=OTHER_SECRET)
    with_service(database_url, lambda services: run(services, "UPDATE alembic_version SET version_num = '0000'"))
    try:
        assert "Run `alembic upgrade head`" in fails()
        for command in (["user", "list"], ["key", "list"], ["prune"]):
            assert "Run `alembic upgrade head`" in error_of(kindred(*command))
    finally:
        with_service(
            database_url, lambda services: run(services, f"UPDATE alembic_version SET version_num = '{head()}'")
        )
    rename = "ALTER TABLE {} RENAME TO {}"
    with_service(database_url, lambda services: run(services, rename.format("usernames", "aside")))
    try:
        assert fails() == "kindred: Tables are missing: usernames. Run `alembic upgrade head`.\n"
    finally:
        with_service(database_url, lambda services: run(services, rename.format("aside", "usernames")))
    assert output_of(kindred("check")).count("ok") == 7


UNAVAILABLE_AT = [
    "postgresql://kindred:hunter2@127.0.0.1:1/kindred",
    "postgresql://kindred:hunter2@nowhere.invalid/kindred",
]
NO_DATABASE_AT = [
    "postgresql://kindred:hunter2@127.0.0.1:hunter2/kindred",
    "mysql://kindred:hunter2@127.0.0.1/kindred",
    "hunter2",
    "sqlite:////nowhere/hunter2/../kindred.db",
]


@pytest.mark.parametrize(
    ("command", "address"),
    [
        *product([["check"], ["user", "list"]], UNAVAILABLE_AT + NO_DATABASE_AT),
        # `serve` waits for an unavailable database (tests/faults/test_database_unavailable.py).
        *product([["serve"]], NO_DATABASE_AT),
    ],
)
def test_an_unavailable_database_is_one_line_without_a_secret(
    kindred: Command, command: list[str], address: str, sqlite_url: str
) -> None:
    result = kindred(*command, DATABASE_URL=address, DATABASE_TIMEOUT="0.3", ENVIRONMENT="production")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: ")
    assert len(result.stderr.splitlines()) == 1
    assert "hunter2" not in result.output.replace("/nowhere/hunter2/", "")
    assert "Traceback" not in result.output


def test_prune_reports_what_it_deleted(kindred: Command, database_url: str) -> None:
    output_of(kindred("user", "add", "alice", stdin=PASSWORD))
    sign_in(database_url, "alice", PASSWORD, 2)
    sign_in(database_url, "alice", "wrong")
    assert output_of(kindred("prune")).startswith("Deleted 0 sessions, 0 security events, 0 counts")

    async def later(services: Services) -> None:
        past = SystemClock().now() - timedelta(days=400)
        async with looking_at(services.db) as conn:
            await conn.execute(sql("DELETE FROM signing_keys"))
            for table, column in (
                ("token_families", "expires_at"),
                ("token_families", "absolute_expires_at"),
                ("security_events", "occurred_at"),
                ("login_failures", "last_failed_at"),
                ("familiar_networks", "last_seen_at"),
            ):
                await conn.execute(sql(f"UPDATE {table} SET {column} = '{past:%Y-%m-%d %H:%M:%S.%f}'"))

    with_service(database_url, later)
    assert output_of(kindred("prune")) == (
        "Deleted 2 sessions, 3 security events, 3 counts of failed logins, 1 familiar network and 0 notifications.\n"
    )


def commands() -> Iterator[tuple[list[str], Any]]:
    waiting: list[tuple[list[str], Any]] = [([], typer.main.get_command(main))]
    while waiting:
        path, command = waiting.pop()
        yield path, command
        for name, child in getattr(command, "commands", {}).items():
            waiting.append(([*path, name], child))


def test_every_command_option_and_argument_has_a_help_text() -> None:
    by_name = {" ".join(path): command for path, command in commands()}
    assert set(by_name) == {
        *("", "serve", "check", "prune", "settings", "schema", "user", "session", "key", "webhook", "mail"),
        *(f"user {name}" for name in ("add", "list", "disable", "enable", "delete", "set-password", "unlock")),
        *("session list", "session revoke", "key list", "key rotate", "key reseal"),
        *(f"{channel} {name}" for channel in ("webhook", "mail") for name in ("test", "list", "retry")),
    }
    for name, command in by_name.items():
        shown = CliRunner().invoke(main, [*name.split(), "--help"])
        assert shown.exit_code == 0
        assert (command.help or "").strip()
        for parameter in command.params:
            assert (getattr(parameter, "help", "") or "").strip(), (name, parameter.name)
            # Every process of the machine can read the arguments of the others.
            assert "password" not in (parameter.name or "")
    assert CliRunner().invoke(main, ["user", "add", "alice", "a password"]).exit_code == 2


def test_version_prints_the_installed_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"kindred {version('kindred-auth')}\n")


def test_an_operator_unlocks_a_user_an_address_or_both(kindred: Command) -> None:
    output_of(kindred("user", "add", "alice", stdin=PASSWORD))
    assert output_of(kindred("user", "unlock", "alice")) == "Unlocked alice.\n"
    assert output_of(kindred("user", "unlock", "--address", "::ffff:203.0.113.9")) == "Unlocked 203.0.113.9/32.\n"
    both = kindred("user", "unlock", "alice", "--address", "[2001:DB8:1:2::1]")
    assert output_of(both) == "Unlocked alice.\nUnlocked 2001:db8:1::/48 and 2001:db8:1:2::/64.\n"
    for wrong in ("", "alice", "203.0.113.0/24", "203.0.113.256", "203.0.113.9:443"):
        result = kindred("user", "unlock", "--address", wrong)
        assert result.exit_code == 2
        assert "ADDRESS must be an IPv4 or IPv6 address, such as 203.0.113.9" in " ".join(result.stderr.split())
    neither = kindred("user", "unlock")
    assert neither.exit_code == 2
    assert "Give the NAME of a user, or --address." in neither.stderr
