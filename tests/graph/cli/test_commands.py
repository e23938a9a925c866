"""The command `kindred`, over both databases: what an operator types, and what it says when it cannot."""

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
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
from auth.outcomes import Origin, SignedIn
from auth.services import Services
from db.migration import head
from db.tables.families import families
from graph.cli import main
from tests.graph.api.test_session_pages import family_row
from tests.support.clocks import FakeClock
from tests.support.doors import PASSWORD
from tests.support.servers import SECRET
from tests.support.sql import looking_at

NEW_PASSWORD = "three grey owls read 7 maps"
OTHER_SECRET = "Zt5Wq8Rk1Vb7Nc3Xm9Lp2Jh6Gf4Ds0Ay"
Kin = Callable[..., Result]


@pytest.fixture
def kin(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kin:
    """`kindred ...`, over the database. `stdin` is what comes on standard input; other names are settings."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
        env = {"DATABASE_URL": database_url, "SECRET": SECRET, "DATABASE_TIMEOUT": "2"} | settings
        result = CliRunner().invoke(main, arguments, input=stdin, env={f"KINDRED_{name}": v for name, v in env.items()})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert PASSWORD not in result.output
        assert SECRET not in result.output
        return result

    return run


def said(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.startswith("kindred: ")
    assert "Traceback" not in result.stderr
    return result.stderr.removeprefix("kindred: ").strip()


def rows(result: Result) -> list[list[str]]:
    return [re.split(r"\s{2,}", line) for line in said(result).splitlines()][1:]


def with_service(database_url: str, work: Callable[[Services], Any]) -> Any:
    """What the service does meanwhile."""

    async def run() -> Any:
        services = Services.create(Settings(database_url=database_url, secret=SECRET), SECRET.encode(), Entropy())
        try:
            await services.start(SystemClock().now())
            return await work(services)
        finally:
            await services.stop()

    return asyncio.run(run())


def sign_in(database_url: str, name: str, password: str, times: int = 1) -> list[str | None]:
    """The ids of new sessions; None where the person does not get in."""

    async def work(services: Services) -> list[str | None]:
        outcomes = [
            await services.sign_in.login(name, password, "Laptop", Origin("192.0.2.1"), SystemClock().now())
            for _ in range(times)
        ]
        return [str(outcome.family.id) if isinstance(outcome, SignedIn) else None for outcome in outcomes]

    ids: list[str | None] = with_service(database_url, work)
    return ids


def test_a_user_is_made_listed_disabled_enabled_and_given_a_new_password(kin: Kin, database_url: str) -> None:
    assert said(kin("user", "list")) == "NAME  STATE  EMAIL  CREATED  PASSWORD CHANGED\n"
    assert said(kin("user", "add", "Alice", "--email", "a@example.org", stdin=PASSWORD + "\n")) == "Made user Alice.\n"
    assert said(kin("user", "add", "bob", stdin=PASSWORD + "\r\nsecond line")) == "Made user bob.\n"
    assert [row[:3] for row in rows(kin("user", "list"))] == [
        ["Alice", "active", "a@example.org"],
        ["bob", "active", "-"],
    ]
    assert None not in sign_in(database_url, "alice", PASSWORD, 2)
    assert said(kin("user", "disable", "ALICE")) == "Disabled Alice, and ended 2 of their sessions.\n"
    assert [row[:2] for row in rows(kin("user", "list"))] == [["Alice", "disabled"], ["bob", "active"]]
    assert sign_in(database_url, "alice", PASSWORD) == [None]
    assert said(kin("user", "enable", "alice")) == "Enabled Alice.\n"
    assert None not in sign_in(database_url, "alice", PASSWORD)
    changed = said(kin("user", "set-password", "alice", stdin=NEW_PASSWORD))
    assert changed == "Set a new password for Alice, and ended 1 of their sessions.\n"
    assert sign_in(database_url, "alice", PASSWORD) == [None]
    assert None not in sign_in(database_url, "alice", NEW_PASSWORD)


def test_a_user_who_cannot_be_is_not_made_and_the_reason_said(kin: Kin) -> None:
    said(kin("user", "add", "alice", stdin=PASSWORD))
    for taken in ("alice", "ALICE", " Alice", "ａｌｉｃｅ"):
        assert "There is a user" in refused(kin("user", "add", taken, stdin=PASSWORD))
    assert "at least 8 characters" in refused(kin("user", "add", "bob", stdin="short"))
    assert "at least 15 characters" in refused(
        kin("user", "add", "bob", stdin="7Q!x k2Vp;wZ r", PASSWORD_MIN_LENGTH="15")
    )
    assert "too easy to guess" in refused(kin("user", "add", "bob", stdin="password1"))
    assert "No password" in refused(kin("user", "add", "bob", stdin="\n"))
    assert "No password" in refused(kin("user", "add", "bob", stdin=""))
    for unfit in ("", " ", "x" * 129, "a\nb", "a\u200bb"):
        assert "A username has 1 to 128 characters" in refused(kin("user", "add", unfit, stdin=PASSWORD))
    for address in ("x" * 300, "nobody", "a@" + "x" * 300):
        assert "address" in refused(kin("user", "add", "bob", "--email", address, stdin=PASSWORD))
    assert [row[0] for row in rows(kin("user", "list"))] == ["alice"]


def test_nobody_is_nobody_for_every_command(kin: Kin) -> None:
    for command in (["user", "disable"], ["user", "enable"], ["session", "list"]):
        assert refused(kin(*command, "nobody")) == "There is no user 'nobody'. `kindred user list` shows all."
    assert "There is no user" in refused(kin("user", "set-password", "nobody", stdin=PASSWORD))
    assert "There is no user" in refused(kin("session", "revoke", "nobody", "--all"))


def test_sess_10_sessions_are_listed_and_ended_by_an_operator(kin: Kin, database_url: str) -> None:
    said(kin("user", "add", "alice", stdin=PASSWORD))
    said(kin("user", "add", "bob", stdin=PASSWORD))
    one, two, three = sign_in(database_url, "alice", PASSWORD, 3)
    (theirs,) = sign_in(database_url, "bob", PASSWORD)
    listed = rows(kin("session", "list", "alice"))
    assert [row[0] for row in listed] == [three, two, one]
    assert listed[0][1:4] == ["ACTIVE", "Laptop", "192.0.2.1"]
    ended = "The session is at its end (REVOKED_BY_OPERATOR).\n"
    assert (
        said(kin("session", "revoke", "alice", str(one))) == ended == said(kin("session", "revoke", "alice", str(one)))
    )
    assert [row[0] for row in rows(kin("session", "list", "alice"))] == [three, two]
    states = {row[0]: row[1] for row in rows(kin("session", "list", "alice", "--all"))}
    assert states == {one: "REVOKED_BY_OPERATOR", two: "ACTIVE", three: "ACTIVE"}
    for unknown in (str(theirs), str(one).upper(), "x"):
        assert f"alice has no session {unknown}." in refused(kin("session", "revoke", "alice", unknown))
    for misused in (["alice"], ["alice", str(two), "--all"]):
        assert kin("session", "revoke", *misused).exit_code == 2
    assert said(kin("session", "revoke", "alice", "--all")) == "Ended 2 sessions of alice.\n"
    assert rows(kin("session", "list", "alice")) == []
    assert [row[0] for row in rows(kin("session", "list", "bob"))] == [theirs]


def test_more_sessions_than_fit_a_page_are_listed(kin: Kin, database_url: str) -> None:
    said(kin("user", "add", "alice", stdin=PASSWORD))

    async def work(services: Services) -> None:
        alice = await services.accounts.find_by_username("alice")
        assert alice is not None
        async with looking_at(services.db) as conn:
            await conn.execute(insert(families), [family_row(alice, FakeClock()) for _ in range(205)])

    with_service(database_url, work)
    assert len({row[0] for row in rows(kin("session", "list", "alice"))}) == 205


def test_keys_are_listed_and_a_new_one_brought_in(kin: Kin, database_url: str) -> None:
    assert said(kin("key", "list")) == "ID  ALGORITHM  STATE  ACTIVE FROM  RETIRED AT\n"
    with_service(database_url, lambda services: services.keys.reload())
    ((first, *signs),) = rows(kin("key", "list"))
    assert signs[:2] == ["EdDSA", "signs"]
    made = said(kin("key", "rotate", SIGNING_ALGORITHM="ES256"))
    assert re.fullmatch(r"Made key [\w-]{43}\. It is published now, and signs from \S+ \S+Z on\.\n", made)
    assert [(row[1], row[2]) for row in rows(kin("key", "list"))] == [("EdDSA", "signs"), ("ES256", "published")]
    assert rows(kin("key", "list"))[0][0] == first
    assert "another server secret" in refused(kin("key", "list", SECRET=OTHER_SECRET))


def test_check_says_what_is_well(kin: Kin, database_url: str) -> None:
    with_service(database_url, lambda services: services.keys.reload())
    kind = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    lines = said(kin("check", ENVIRONMENT="production")).splitlines()
    assert [line[:4] for line in lines] == ["ok  "] * 7
    assert lines[0] == "ok  settings (production)"
    assert lines[2] == f"ok  database reachable ({kind})"


def test_check_says_what_is_not(kin: Kin, database_url: str) -> None:
    with_service(database_url, lambda services: services.keys.reload())

    async def run(services: Services, *texts: str) -> None:
        async with looking_at(services.db) as conn:
            for text in texts:
                await conn.execute(sql(text))

    def fails(**settings: str) -> str:
        result = kin("check", **settings)
        assert result.exit_code == 1
        return result.stderr

    assert "another server secret" in fails(SECRET=OTHER_SECRET)
    with_service(database_url, lambda services: run(services, "UPDATE alembic_version SET version_num = '0000'"))
    try:
        assert "Run `alembic upgrade head`" in fails()
        for command in (["user", "list"], ["key", "list"], ["prune"]):
            assert "Run `alembic upgrade head`" in refused(kin(*command))
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
    assert said(kin("check")).count("ok") == 7


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
        # It waits for a database that is unavailable (tests/faults/test_database_unavailable.py).
        *product([["serve"]], NO_DATABASE_AT),
    ],
)
def test_a_database_that_is_not_there_is_a_sentence_and_no_secret(
    kin: Kin, command: list[str], address: str, sqlite_url: str
) -> None:
    result = kin(*command, DATABASE_URL=address, DATABASE_TIMEOUT="0.3", ENVIRONMENT="production")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: ")
    assert len(result.stderr.splitlines()) == 1
    assert "hunter2" not in result.output.replace("/nowhere/hunter2/", "")
    assert "Traceback" not in result.output


def test_pruning_says_what_went(kin: Kin, database_url: str) -> None:
    said(kin("user", "add", "alice", stdin=PASSWORD))
    sign_in(database_url, "alice", PASSWORD, 2)
    sign_in(database_url, "alice", "wrong")
    assert said(kin("prune")).startswith("Deleted 0 sessions, 0 security events, 0 counts")

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
    assert said(kin("prune")) == (
        "Deleted 2 sessions, 3 security events, 3 counts of failed sign-ins, "
        "1 networks that users once signed in from and 0 notices to owners.\n"
    )


def commands() -> Iterator[tuple[list[str], Any]]:
    waiting: list[tuple[list[str], Any]] = [([], typer.main.get_command(main))]
    while waiting:
        path, command = waiting.pop()
        yield path, command
        for name, child in getattr(command, "commands", {}).items():
            waiting.append(([*path, name], child))


def test_every_command_option_and_argument_has_a_help_text() -> None:
    found = {" ".join(path): command for path, command in commands()}
    assert set(found) == {
        *("", "serve", "check", "prune", "schema", "user", "session", "key", "webhook", "mail"),
        *(f"user {name}" for name in ("add", "list", "disable", "enable", "delete", "set-password", "unlock")),
        *("session list", "session revoke", "key list", "key rotate", "key reseal"),
        *(f"{channel} {name}" for channel in ("webhook", "mail") for name in ("test", "list", "retry")),
    }
    for name, command in found.items():
        shown = CliRunner().invoke(main, [*name.split(), "--help"])
        assert shown.exit_code == 0
        assert (command.help or "").strip()
        for parameter in command.params:
            assert (getattr(parameter, "help", "") or "").strip(), (name, parameter.name)
            # A password as an argument would be seen by every process of the machine.
            assert "password" not in (parameter.name or "")
    assert CliRunner().invoke(main, ["user", "add", "alice", "a password"]).exit_code == 2


def test_an_operator_lets_go_a_name_an_address_or_both(kin: Kin) -> None:
    said(kin("user", "add", "alice", stdin=PASSWORD))
    assert said(kin("user", "unlock", "alice")) == "Unlocked alice.\n"
    assert said(kin("user", "unlock", "--address", "::ffff:203.0.113.9")) == "Unlocked 203.0.113.9/32.\n"
    both = kin("user", "unlock", "alice", "--address", "[2001:DB8:1:2::1]")
    assert said(both) == "Unlocked alice.\nUnlocked 2001:db8:1::/48 and 2001:db8:1:2::/64.\n"
    for wrong in ("", "alice", "203.0.113.0/24", "203.0.113.256", "203.0.113.9:443"):
        told = kin("user", "unlock", "--address", wrong)
        assert told.exit_code == 2
        assert "ADDRESS must be an IPv4 or IPv6 address, such as 203.0.113.9" in " ".join(told.stderr.split())
    neither = kin("user", "unlock")
    assert neither.exit_code == 2
    assert "Give the NAME of a user, or --address." in neither.stderr
