"""Transactions on PostgreSQL, which the service begins and ends itself: none stays open, and none is half done."""

import asyncio
from contextlib import suppress

import asyncpg
import pytest
from sqlalchemy import text

from auth.services import Services
from db.drivers.errors import DatabaseUnavailable, OutcomeUnknown, RolledBack
from db.drivers.postgresql import Pool
from db.engine.compiled import Compiled
from db.engine.database import PostgreSQLDatabase
from db.tables import families, users
from db.tables.users import UserRow
from tests.support import databases
from tests.support.proxy import Proxy

OPEN = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kindred' "
    "AND state <> 'idle'"
)
RENAMED = Compiled(text("UPDATE users SET username = 'renamed' WHERE id = :id"))
# A task that is cancelled twice sends the server nothing more: the server notices when the statement ends.
SLOW = Compiled(text("SELECT pg_sleep(1)"))

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
through_a_proxy = pytest.mark.parametrize("database_url", ["proxied"], indirect=True)


async def assert_pool_and_user_are_unchanged(services: Services, url: str, user: UserRow) -> None:
    """No connection has an open transaction, the pool has them all, and the user is unchanged."""
    size = services.db.connections[1]
    assert services.db.connections == (0, size)
    pool = pool_of(services)
    assert (pool.statements._value, pool.transactions._value) == (size // 2, size - size // 2)
    connection = await databases.connect(url)
    try:
        async with asyncio.timeout(60):
            while await connection.fetchval(OPEN):
                await asyncio.sleep(0.01)
    finally:
        await connection.close()
    found = await services.accounts.get(user.id)
    assert found is not None
    assert found.username == "alice"
    # Every connection can be used.
    await asyncio.gather(*(use(services, user) for _ in range(2 * size)))


def pool_of(services: Services) -> Pool:
    assert isinstance(services.db, PostgreSQLDatabase)
    return services.db._pool


async def use(services: Services, user: UserRow) -> None:
    async with services.db.transaction() as conn:
        assert await users.lock(conn, user.id)


@on_postgresql
async def test_a_write_is_visible_after_the_commit_and_not_before(services: Services, alice: UserRow) -> None:
    async with services.db.transaction() as conn:
        await RENAMED.execute(conn, {"id": alice.id})
        assert (await services.accounts.get(alice.id)).username == "alice"  # type: ignore[union-attr]
    assert (await services.accounts.get(alice.id)).username == "renamed"  # type: ignore[union-attr]


@on_postgresql
async def test_an_exception_rolls_back_and_its_connection_stays_usable(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async def raising() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await raising()
    await assert_pool_and_user_are_unchanged(services, database_url, alice)


@on_postgresql
async def test_a_failed_statement_rolls_back_its_transaction(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async def failing() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            await users.insert_user(conn, alice)

    with pytest.raises(asyncpg.UniqueViolationError):
        await failing()
    await assert_pool_and_user_are_unchanged(services, database_url, alice)


@on_postgresql
@pytest.mark.parametrize("again", [False, True], ids=["cancelled once", "cancelled twice"])
@pytest.mark.parametrize("moment", [0, 0.001, 0.003, 0.2])
async def test_a_cancelled_task_leaves_no_open_transaction_and_no_unread_answer(
    services: Services, database_url: str, alice: UserRow, moment: float, again: bool
) -> None:
    async def slow() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            await SLOW.execute(conn, {})

    for _ in range(3):
        tasks = [asyncio.create_task(slow()) for _ in range(3)]
        await asyncio.sleep(moment)
        for task in tasks:
            task.cancel()
        if again:
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        await assert_pool_and_user_are_unchanged(services, database_url, alice)


@on_postgresql
async def test_a_task_cancelled_between_two_statements_leaves_no_open_transaction(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async def waiting() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            await asyncio.sleep(5)

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_pool_and_user_are_unchanged(services, database_url, alice)


@on_postgresql
@pytest.mark.parametrize("more_settings", [{"database_timeout": 0.3}], ids=[""])
async def test_a_transaction_that_is_idle_beyond_the_timeout_is_rolled_back(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async def idle() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            await asyncio.sleep(1)
            await families.get(conn, alice.id, alice.id)

    with pytest.raises(RolledBack):
        await idle()
    await assert_pool_and_user_are_unchanged(services, database_url, alice)


@through_a_proxy
@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
async def test_a_connection_that_breaks_during_the_commit_leaves_the_outcome_unknown(
    services: Services, proxy: Proxy, alice: UserRow, committed: bool
) -> None:
    called = []

    async def rename() -> None:
        async with services.db.transaction() as conn:
            conn.after_commit(lambda: called.append(True))
            await RENAMED.execute(conn, {"id": alice.id})

    (proxy.cut_after if committed else proxy.cut_before)(b"COMMIT;")
    with pytest.raises(OutcomeUnknown):
        await rename()
    assert (await services.accounts.get(alice.id)).username == ("renamed" if committed else "alice")  # type: ignore[union-attr]
    assert called == []
    assert services.db.connections[0] == 0


@through_a_proxy
async def test_a_transaction_that_continues_after_its_connection_broke_is_not_reported_as_committed(
    services: Services, proxy: Proxy, alice: UserRow
) -> None:
    async def rename() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            proxy.cut()
            with suppress(Exception):
                await families.get(conn, alice.id, alice.id)

    with pytest.raises(OutcomeUnknown):
        await rename()
    assert (await services.accounts.get(alice.id)).username == "alice"  # type: ignore[union-attr]
    assert services.db.connections[0] == 0


@through_a_proxy
@pytest.mark.parametrize("where", [b"BEGIN;", b"UPDATE users", b"ROLLBACK;"])
async def test_a_connection_that_breaks_before_the_commit_writes_nothing(
    services: Services, proxy: Proxy, postgresql_url: str, alice: UserRow, where: bytes
) -> None:
    async def rename() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            raise ValueError("a bug")

    await use(services, alice)
    proxy.cut_before(where)
    with pytest.raises(RolledBack):
        await rename()
    assert proxy.cuts >= 1
    await assert_pool_and_user_are_unchanged(services, postgresql_url, alice)


@on_postgresql
@pytest.mark.parametrize("more_settings", [{"database_pool_size": 2}], ids=[""])
async def test_transactions_and_single_statements_do_not_starve_each_other(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async with services.db.transaction():
        assert await services.accounts.get(alice.id)
        assert services.db.connections == (1, 2)
    async with services.db.read():
        await services.accounts.enable(alice.id)
    await assert_pool_and_user_are_unchanged(services, database_url, alice)


@on_postgresql
@pytest.mark.parametrize("more_settings", [{"database_pool_size": 2, "database_timeout": 0.3}], ids=[""])
async def test_a_request_that_waits_too_long_for_a_connection_fails_with_database_unavailable(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async with pool_of(services).transactions:
        with pytest.raises(DatabaseUnavailable):
            await services.accounts.enable(alice.id)
    await assert_pool_and_user_are_unchanged(services, database_url, alice)


@on_postgresql
async def test_a_transaction_is_retried_on_a_new_connection_if_the_idle_one_was_closed(
    services: Services, database_url: str, alice: UserRow
) -> None:
    await use(services, alice)
    connection: asyncpg.Connection = await databases.connect(database_url)
    await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'kindred'"
    )
    await connection.close()
    await services.accounts.enable(alice.id)
    await assert_pool_and_user_are_unchanged(services, database_url, alice)
