"""A database restored from a backup: consumed tokens are current again, until a command revokes their sessions."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner, Result

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.outcomes import ClientInfo
from auth.services import Services
from auth.use_cases import sessions
from db import metadata
from db.engine.compiled import Compiled
from db.engine.parameters import in_list
from db.tables import families as family_table
from db.tables import usernames, users
from db.tables.families import families
from db.tables.security_events import security_events
from db.tables.users import UserRow
from graph.cli import main
from tests.support.clocks import FakeClock
from tests.support.endpoints import ENDPOINTS, REVOKED, ROTATED, Api
from tests.support.servers import SECRET
from tests.support.sql import looking_at
from tests.support.statements import statements

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
Rows = dict[str, list[dict[str, Any]]]


async def backup(services: Services) -> Rows:
    """Copy every table, as `pg_dump` or `.backup` does."""
    async with looking_at(services.db) as conn:
        return {
            table.name: [dict(row._mapping) for row in (await conn.execute(select(table))).all()]
            for table in metadata.sorted_tables
        }


async def restore(services: Services, rows: Rows) -> None:
    """Replace the rows of every table with those of the backup."""
    async with looking_at(services.db) as conn:
        for table in reversed(metadata.sorted_tables):
            await conn.execute(table.delete())
        for table in metadata.sorted_tables:
            if rows[table.name]:
                await conn.execute(insert(table), rows[table.name])


@pytest.mark.parametrize("name", list(ENDPOINTS))
async def test_ops_04_attack_8_a_token_that_a_restored_backup_makes_current_is_refused_after_the_command(
    api: Api, alice: UserRow, bob: UserRow, services: Services, clock: FakeClock, name: str
) -> None:
    endpoint = ENDPOINTS[name](api.http)
    stolen, spared = await api.login(), await api.login("bob")
    copy = await backup(services)
    clock.advance(DAY)
    current = (await endpoint.refresh(stolen.refresh)).tokens
    await restore(services, copy)
    # The attack: R0 is current again, so an attacker with a copy of it can refresh.
    assert (await endpoint.refresh(stolen.refresh)).outcome == ROTATED

    await restore(services, copy)
    restored_at = clock.now()
    clock.advance(MINUTE)
    signed_in_since = await api.login("bob")
    assert await services.sessions.revoke_issued_before(restored_at, ClientInfo(), clock.now()) == 2
    for token in (stolen.refresh, current.refresh, spared.refresh):
        assert (await endpoint.refresh(token)).outcome == REVOKED
    for access in (stolen.access, current.access, spared.access):
        assert not await api.is_live(access)
    assert (await endpoint.refresh(signed_in_since.refresh)).outcome == ROTATED
    # No replay is recorded. The owner sees that an operator revoked the session.
    assert await kinds(services) == [("SESSION_REVOKED", "REVOKED_BY_OPERATOR")] * 2
    assert await services.sessions.revoke_issued_before(restored_at, ClientInfo(), clock.now()) == 0


async def kinds(services: Services) -> list[tuple[str, str | None]]:
    async with looking_at(services.db) as conn:
        events = (await conn.execute(select(security_events))).all()
    return [(event.kind, event.detail) for event in events if event.kind != "LOGIN_SUCCEEDED"]


async def test_ops_04_the_age_of_the_current_token_decides(
    api: Api, alice: UserRow, services: Services, clock: FakeClock
) -> None:
    rest = ENDPOINTS["rest"](api.http)
    idle, used = await api.login(), await api.login()
    clock.advance(DAY)
    used = (await rest.refresh(used.refresh)).tokens
    at_that_instant = clock.now()
    clock.advance(MINUTE)
    assert await services.sessions.revoke_issued_before(at_that_instant, ClientInfo(), clock.now()) == 1
    assert await api.is_live(used.access)
    assert (await rest.refresh(idle.refresh)).outcome == REVOKED


async def test_ops_04_the_sessions_of_one_user_can_be_revoked(
    api: Api, alice: UserRow, bob: UserRow, services: Services, clock: FakeClock
) -> None:
    mine, theirs = await api.login(), await api.login("bob")
    clock.advance(MINUTE)
    ended = await services.sessions.revoke_issued_before(clock.now(), ClientInfo(), clock.now(), user_id=alice.id)
    assert ended == 1
    assert [await api.is_live(pair.access) for pair in (mine, theirs)] == [False, True]


async def test_ops_04_many_sessions_are_revoked_in_batches_each_with_its_event(
    alice: UserRow, bob: UserRow, services: Services, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "BATCH", 10)
    now = clock.now()
    async with looking_at(services.db) as conn:
        for user in (alice, bob):
            await conn.execute(insert(families), [family(user, now - DAY) for _ in range(25)])
            await conn.execute(insert(families), [family(user, now) for _ in range(3)])
    with statements(services) as sent:
        assert await services.sessions.revoke_issued_before(now, ClientInfo(), now) == 50
    assert len([statement for statement in sent if statement.startswith("UPDATE")]) <= 6
    assert await kinds(services) == [("SESSION_REVOKED", "REVOKED_BY_OPERATOR")] * 50
    async with looking_at(services.db) as conn:
        rows = (await conn.execute(select(families))).all()
    assert {row.revoked_at is None for row in rows if row.last_used_at == now} == {True}
    assert {row.revoked_at for row in rows if row.last_used_at < now} == {now}


async def test_ops_04_a_session_refreshed_during_the_command_keeps_its_new_token(
    alice: UserRow, services: Services, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every session of a batch is refreshed after the batch was read: the next batch is revoked all the same."""
    monkeypatch.setattr(sessions, "BATCH", 2)
    now = clock.now()
    rows = sorted((family(alice, now - DAY) for _ in range(6)), key=lambda row: row["id"])
    async with looking_at(services.db) as conn:
        await conn.execute(insert(families), rows)
    issued_before = family_table.issued_before

    async def refresh_after_read(conn: Any, *arguments: Any, after: Any, **others: Any) -> Any:
        found = await issued_before(conn, *arguments, after=after, **others)
        if after is None:
            update = families.update().where(in_list(families.c.id, "ids")).values(last_used_at=now)
            await Compiled(update).execute(conn, {"ids": [key.id for key in found]})
        return found

    monkeypatch.setattr(family_table, "issued_before", refresh_after_read)
    assert await services.sessions.revoke_issued_before(now, ClientInfo(), now) == 4


def family(user: UserRow, used_at: datetime) -> dict[str, Any]:
    return {
        "user_id": user.id,
        "id": uuid4(),
        "token_digest": b"x" * 32,
        "generation": 1,
        "created_at": used_at,
        "last_used_at": used_at,
        "expires_at": used_at + 30 * DAY,
        "absolute_expires_at": used_at + 30 * DAY,
    }


@pytest.fixture
def kindred(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `kindred session revoke ...` on a database with two sessions of Alice's and one of Bob's, an hour old."""
    monkeypatch.chdir(tmp_path)

    insert_family = Compiled(insert(families))

    async def fill() -> None:
        services = Services.create(Settings(database_url=database_url, secret=SECRET), SECRET.encode(), Entropy())
        now = SystemClock().now() - timedelta(hours=1)
        async with services.db.transaction() as conn:
            for name, number in (("alice", 2), ("bob", 1)):
                user = UserRow(
                    id=uuid4(),
                    username=name,
                    email=None,
                    hashed_password="",
                    is_active=True,
                    created_at=now,
                    password_changed_at=now,
                )
                await users.insert_user(conn, user)
                await usernames.claim(conn, name, user.id)
                for _ in range(number):
                    await insert_family.execute(conn, family_table.DEFAULTS | family(user, now))
        await services.stop()

    asyncio.run(fill())

    def run(*arguments: str) -> Result:
        env = {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": SECRET}
        result = CliRunner().invoke(main, ["session", "revoke", *arguments], env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def test_ops_04_sess_10_the_command_revokes_sessions_whose_token_is_older(kindred: Callable[..., Result]) -> None:
    now = SystemClock().now()
    long_ago = (now - timedelta(hours=2)).isoformat()
    assert kindred("--issued-before", long_ago).stdout == "Revoked 0 sessions of all users.\n"
    assert kindred("alice", "--issued-before", f"{now:%Y-%m-%dT%H:%M:%SZ}").stdout == "Revoked 2 sessions of alice.\n"
    # A time without an offset is in UTC.
    five_hours_east = now.astimezone(UTC) + timedelta(hours=5)
    assert kindred("--issued-before", f"{now - timedelta(minutes=61):%Y-%m-%dT%H:%M:%S}").stdout.startswith(
        "Revoked 0 "
    )
    ended = kindred("--all", "--issued-before", f"{five_hours_east:%Y-%m-%dT%H:%M:%S}+05:00")
    assert ended.stdout == "Revoked 1 session of all users.\n"


def test_ops_04_the_command_refuses_invalid_arguments(kindred: Callable[..., Result]) -> None:
    at = ("--issued-before", "2026-01-01")
    for arguments in ((), ("alice",), ("alice", "--issued-before", "soon"), ("alice", "some-id", *at)):
        result = kindred(*arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
    ahead = (SystemClock().now() + timedelta(minutes=5)).isoformat()
    result = kindred("--issued-before", ahead)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is in the future" in result.stderr
    result = kindred("unknown", "--issued-before", "2026-01-01")
    assert (result.exit_code, "There is no user 'unknown'" in result.stderr) == (1, True)
