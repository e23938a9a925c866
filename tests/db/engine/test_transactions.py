"""Transactions on PostgreSQL, which the service begins and ends itself: none is left open, and none is half done."""

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
# Whoever is cut off twice tells the server nothing more: it finds out when the statement is done.
SLOW = Compiled(text("SELECT pg_sleep(1)"))

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
through_a_proxy = pytest.mark.parametrize("database_url", ["proxied"], indirect=True)


async def assert_nothing_is_left(services: Services, url: str, user: UserRow) -> None:
    """No connection with a transaction open, none that is missing, and the user as before."""
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
    # Each of them can be used.
    await asyncio.gather(*(use(services, user) for _ in range(2 * size)))


def pool_of(services: Services) -> Pool:
    assert isinstance(services.db, PostgreSQLDatabase)
    return services.db._pool


async def use(services: Services, user: UserRow) -> None:
    async with services.db.transaction() as conn:
        assert await users.lock(conn, user.id)


@on_postgresql
async def test_what_is_in_a_transaction_is_there_when_it_ends_and_not_before(
    services: Services, alice: UserRow
) -> None:
    async with services.db.transaction() as conn:
        await RENAMED.execute(conn, {"id": alice.id})
        assert (await services.accounts.get(alice.id)).username == "alice"  # type: ignore[union-attr]
    assert (await services.accounts.get(alice.id)).username == "renamed"  # type: ignore[union-attr]


@on_postgresql
async def test_what_raises_is_rolled_back_and_leaves_its_connection_as_it_was(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async def raising() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await raising()
    await assert_nothing_is_left(services, database_url, alice)


@on_postgresql
async def test_a_statement_that_fails_takes_the_transaction_with_it(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async def failing() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            await users.insert_user(conn, alice)

    with pytest.raises(asyncpg.UniqueViolationError):
        await failing()
    await assert_nothing_is_left(services, database_url, alice)


@on_postgresql
@pytest.mark.parametrize("again", [False, True], ids=["once", "and once more"])
@pytest.mark.parametrize("moment", [0, 0.001, 0.003, 0.2])
async def test_whoever_is_cut_off_leaves_no_transaction_and_no_rest_of_an_answer(
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
        await assert_nothing_is_left(services, database_url, alice)


@on_postgresql
async def test_whoever_is_cut_off_between_two_statements_leaves_no_transaction(
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
    await assert_nothing_is_left(services, database_url, alice)


@on_postgresql
@pytest.mark.parametrize("more_settings", [{"database_timeout": 0.3}], ids=[""])
async def test_a_transaction_in_which_nothing_happens_for_long_is_rolled_back_and_is_an_outage(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async def idle() -> None:
        async with services.db.transaction() as conn:
            await RENAMED.execute(conn, {"id": alice.id})
            await asyncio.sleep(1)
            await families.get(conn, alice.id, alice.id)

    with pytest.raises(RolledBack):
        await idle()
    await assert_nothing_is_left(services, database_url, alice)


@through_a_proxy
@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
async def test_where_the_connection_breaks_during_the_commit_the_outcome_is_unknown(
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
async def test_what_went_on_after_its_connection_broke_is_not_taken_for_committed(
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
async def test_where_the_connection_breaks_before_the_commit_nothing_was_written(
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
    await assert_nothing_is_left(services, postgresql_url, alice)


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
    await assert_nothing_is_left(services, database_url, alice)


@on_postgresql
@pytest.mark.parametrize("more_settings", [{"database_pool_size": 2, "database_timeout": 0.3}], ids=[""])
async def test_whoever_waits_too_long_for_a_connection_is_told_that_the_database_is_not_there(
    services: Services, database_url: str, alice: UserRow
) -> None:
    async with pool_of(services).transactions:
        with pytest.raises(DatabaseUnavailable):
            await services.accounts.enable(alice.id)
    await assert_nothing_is_left(services, database_url, alice)


@on_postgresql
async def test_a_transaction_is_retried_on_a_new_connection_where_the_kept_one_has_gone(
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
    await assert_nothing_is_left(services, database_url, alice)
