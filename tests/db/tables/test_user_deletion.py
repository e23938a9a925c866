"""A deleted user: the database keeps no data about them, and no token that was issued to them works."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from auth.credentials.login_throttle import LoginAttempt
from auth.services import Services
from db import metadata
from db.tables import login_failures, users
from db.tables.users import UserRow
from graph.cli import main
from tests.support.clocks import FakeClock
from tests.support.endpoints import INVALID, LOGIN, PASSWORD, ROTATED, Api, RefreshEndpoint
from tests.support.servers import SECRET
from tests.support.sql import NO_LOCK_WAITS, looking_at

AGENT = "Alices-Telephone/4.2 (only she has one)"


async def tables_with(services: Services, user: UserRow) -> set[str]:
    """Return the tables with a row that contains the user's id, name or user agent."""
    found = set()
    async with looking_at(services.db) as conn:
        for table in metadata.sorted_tables:
            rows = str([tuple(row) for row in (await conn.execute(select(table))).all()])
            if any(word in rows for word in (str(user.id), user.username, AGENT)):
                found.add(table.name)
    return found


async def test_data_04_tok_07_a_deleted_user_leaves_no_row_and_no_working_token(
    api: Api,
    endpoint: RefreshEndpoint,
    alice: UserRow,
    bob: UserRow,
    services: Services,
    add_user: Callable[[str], Awaitable[UserRow]],
) -> None:
    given = {"username": "alice", "password": PASSWORD, "deviceName": "alice's telephone"}
    response = await api.post(LOGIN, {"input": given}, **{"user-agent": AGENT})
    tokens = response.json()["data"]["login"]["tokens"]
    replayed, of_bob = await api.login(), await api.login("bob")
    assert (await endpoint.refresh(replayed.refresh)).outcome == ROTATED
    assert (await endpoint.refresh(replayed.refresh)).outcome != ROTATED
    await api.try_login("alice", "not her password")
    everywhere = {"users", "usernames", "token_families", "refresh_tokens", "security_events", "familiar_networks"}
    assert await tables_with(services, alice) == everywhere

    await services.accounts.delete(alice)
    assert await tables_with(services, alice) == set()
    assert await tables_with(services, bob) >= everywhere - {"familiar_networks"}
    assert not await api.is_live(tokens["accessToken"])
    assert (await endpoint.refresh(tokens["refreshToken"])).outcome == INVALID
    assert (await api.try_login("alice", PASSWORD))["__typename"] == "InvalidCredentialsError"
    await services.accounts.delete(alice)

    # Another user takes the name and inherits nothing.
    await add_user("alice")
    again = await api.login()
    assert not await api.is_live(tokens["accessToken"])
    assert (await endpoint.refresh(tokens["refreshToken"])).outcome == INVALID
    assert await api.is_live(again.access)
    assert await api.is_live(of_bob.access)


async def test_wrong_passwords_for_a_deleted_user_do_not_delay_the_next_owner_of_the_name(
    api: Api, alice: UserRow, services: Services, add_user: Callable[[str], Awaitable[UserRow]]
) -> None:
    while (await api.try_login("alice", "wrong"))["__typename"] == "InvalidCredentialsError":
        pass
    assert (await api.try_login("alice", PASSWORD))["__typename"] == "TooManyAttemptsError"
    await services.accounts.delete(alice)
    await add_user("alice")
    await api.login()


@pytest.mark.real_hash_cost
async def test_data_04_a_deletion_while_the_user_signs_in_and_refreshes_leaves_no_row(
    api: Api, endpoint: RefreshEndpoint, alice: UserRow, services: Services, clock: FakeClock
) -> None:
    pair = await api.login()

    async def refresh() -> None:
        token = pair.refresh
        for _ in range(10):
            refreshed = await endpoint.refresh(token)
            if refreshed.outcome != ROTATED:
                assert refreshed.outcome == INVALID
                return
            token = refreshed.tokens.refresh

    async def delete() -> None:
        await asyncio.sleep(0.02)
        await services.accounts.delete(alice)

    signing_in = (api.try_login("alice", PASSWORD) for _ in range(3))
    *results, _, _ = await asyncio.gather(*signing_in, refresh(), delete())
    assert {result["__typename"] for result in results} <= {"LoginSuccess", "InvalidCredentialsError"}
    assert await tables_with(services, alice) == set()


@pytest.fixture
def kindred_user(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `kindred user ...` and return its result."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "") -> Result:
        env = {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": SECRET}
        result = CliRunner().invoke(main, ["user", *arguments], input=stdin, env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def test_data_04_the_command_asks_before_it_deletes(kindred_user: Callable[..., Result]) -> None:
    for name in ("alice", "bob"):
        assert kindred_user("add", name, stdin=PASSWORD).exit_code == 0
    for answer in ("n\n", "\n", ""):
        refused = kindred_user("delete", "alice", stdin=answer)
        assert refused.exit_code == 1
        assert "Deleted" not in refused.output
    assert "Deleted alice." in kindred_user("delete", "ALICE", stdin="y\n").stdout
    assert kindred_user("delete", "bob", "--yes").stdout == "Deleted bob.\n"
    assert kindred_user("list").stdout.splitlines()[1:] == []
    assert "There is no user 'bob'" in kindred_user("delete", "bob", "--yes").stderr
    assert kindred_user("add", "bob", stdin=PASSWORD).exit_code == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_deleting_a_user_locks_the_user_before_the_rows_of_the_throttle(
    services: Services, alice: UserRow, clock: FakeClock
) -> None:
    """A sign-in locks them in the same order; in different orders the two could deadlock."""
    attempt = await services.sign_in.throttle.register_attempt("alice", "198.51.100.7", clock.now())
    assert isinstance(attempt, LoginAttempt)
    async with services.db.transaction() as conn:
        await users.lock(conn, alice.id)
        deleting = asyncio.ensure_future(services.accounts.delete(alice))
        await asyncio.sleep(0.2)
        assert not deleting.done()
        await NO_LOCK_WAITS.execute(conn, {})
        await login_failures.refund(conn, attempt.addresses, deleted=attempt.name_digest)
    await deleting
    assert await services.accounts.get(alice.id) is None
