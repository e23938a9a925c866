"""The space that a session takes in the database does not grow with the number of its refreshes."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, inspect, select, text

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.credentials.login_throttle import REFRESH_RATE_LIMIT
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import TokenKind, decode_token, derive_successor, digest
from auth.outcomes import ClientInfo, Replayed, Revoked, Rotated, SignedIn
from auth.services import Services
from db.engine.database import url_of
from db.hot_path.rotation import RotationClaim, rotate
from db.migration import upgrade
from db.tables.families import families
from db.tables.refresh_tokens import OVERWRITTEN, SLOTS, refresh_tokens
from db.tables.users import UserRow
from tests.bench.seeding import seed
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.servers import SECRET, UNKNOWN_PASSWORD_HASH
from tests.support.sql import looking_at

HOT_TABLES = ("token_families", "refresh_tokens")
ORIGIN = ClientInfo(
    "2001:db8:85a3:8d3:1319:8a2e:370:7348", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) " + "x" * 80
)


@pytest.fixture(scope="module")
def own_server() -> Iterator[str]:
    """A PostgreSQL server for this file alone: an open transaction of another test, even in another database, prevents
    the removal of old row versions."""
    server = databases.Server()
    yield server.url
    server.stop()


@pytest.fixture
def new_postgresql_url(own_server: str) -> Iterator[str]:
    """A migrated PostgreSQL database for one test, so that its statistics count nothing else."""
    url = asyncio.run(databases.create_database(own_server))
    upgrade(url_of(url))
    yield url
    asyncio.run(databases.drop_database(url, own_server))


@pytest.fixture(params=["sqlite_url", "new_postgresql_url"])
def own_url(request: pytest.FixtureRequest) -> str:
    """A migrated database for one test, of either kind."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def service(own_url: str, settings_for: Callable[..., Settings], clock: FakeClock) -> AsyncIterator[Services]:
    """The services on that database."""
    services = Services.create(settings_for(own_url, refresh_token_ttl=timedelta(days=7)), SECRET.encode(), Entropy())
    await services.start(clock.now())
    yield services
    await services.stop()


@pytest.fixture
async def user(service: Services, clock: FakeClock) -> UserRow:
    """A user."""
    return await service.accounts.import_user("alice", None, UNKNOWN_PASSWORD_HASH, clock.now())


async def sign_in(service: Services, user: UserRow, clock: FakeClock) -> SignedIn:
    """Open a session, as a sign-in does once the password is verified."""
    signed_in = await service.sign_in.open_session(user, "a device", ORIGIN, clock.now())
    assert signed_in is not None
    return signed_in


async def refresh_times(service: Services, token: str, clock: FakeClock, times: int) -> str:
    """Refresh so many times, ten seconds apart, and return the last token."""
    for _ in range(times):
        clock.advance(timedelta(seconds=REFRESH_RATE_LIMIT.interval))
        outcome = await service.rotation.refresh(token, None, ORIGIN, clock.now())
        assert isinstance(outcome, Rotated)
        token = outcome.tokens.refresh_token
    return token


async def rotate_in_one_transaction(service: Services, token: str, clock: FakeClock, times: int) -> str:
    """Send the same statements as `refresh_times` in one transaction, because SQLite waits for each commit."""
    issuer = service.rotation.token_pairs.issuer
    async with service.db.transaction() as conn:
        for number in range(times):
            clock.advance(timedelta(seconds=REFRESH_RATE_LIMIT.interval))
            now = clock.now()
            presented = decode_token(issuer, token, TokenKind.REFRESH, now)
            successor = derive_successor(presented, f"attempt {number}")
            family = await rotate(
                conn,
                RotationClaim(
                    presented.user_id,
                    presented.session_id,
                    presented=digest(presented.jti),
                    successor=digest(successor),
                    now=now,
                    idle_limit=now + service.rotation.idle_limit,
                    ip=ORIGIN.ip,
                    user_agent=ORIGIN.user_agent,
                ),
                slots=service.settings.lineage_depth,
                rate_limit=service.rotation.rate_limit,
            )
            assert family is not None
            token = service.rotation.token_pairs.create(family, successor, now).refresh_token
    return token


async def size(service: Services) -> int:
    """Return the bytes of the hot tables and their indexes; on SQLite, of the whole file."""
    async with looking_at(service.db) as conn:
        if service.db.dialect == "sqlite":
            pages = (await conn.execute(text("PRAGMA page_count"))).scalar_one()
            return int(pages) * int((await conn.execute(text("PRAGMA page_size"))).scalar_one())
        # Without the maps that the first vacuum of a table creates: a fixed few pages.
        query = text("SELECT pg_relation_size(CAST(:name AS regclass)) + pg_indexes_size(CAST(:name AS regclass))")
        return sum([int((await conn.execute(query, {"name": name})).scalar_one()) for name in HOT_TABLES])


@pytest.mark.parametrize("own_url", ["new_postgresql_url"], indirect=True)
async def test_on_postgresql_every_rotation_is_a_hot_update(
    service: Services, user: UserRow, own_url: str, clock: FakeClock
) -> None:
    """PostgreSQL writes the new row version to the page of the old one and touches no index."""
    tokens = [(await sign_in(service, user, clock)).tokens.refresh_token for _ in range(100)]
    for _ in range(25):
        tokens = [await refresh_times(service, token, clock, 1) for token in tokens]
    await service.db.close()  # a connection reports its statistics when it closes
    statistics = await statistics_of(own_url)
    updates, hot = statistics["token_families"]
    assert updates == 2500
    assert hot / updates > 0.99
    # 26 generations in 16 slots: ten of them were overwritten.
    updates, hot = statistics["refresh_tokens"]
    assert updates == 1000
    assert hot / updates > 0.99


@pytest.mark.parametrize("own_url", ["new_postgresql_url"], indirect=True)
async def test_on_postgresql_a_rotation_writes_little_to_the_log_alone_and_in_a_batch(
    service: Services, own_url: str
) -> None:
    """PostgreSQL flushes the write-ahead log and sends it to standbys. The updates are HOT in both cases."""
    sessions, rng = await seed(own_url, people=50, sessions_each=40), random.Random(1)
    tokens = rng.sample([session.refresh_token for session in sessions], len(sessions))
    connection = await databases.connect(own_url)
    await connection.execute("VACUUM ANALYZE")

    async def written_by(at_once: int) -> float:
        nonlocal tokens
        before = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
        renewed: list[str] = []
        for start in range(0, len(tokens), at_once):
            outcomes = await asyncio.gather(
                *(
                    service.rotation.refresh(token, None, ORIGIN, SystemClock().now())
                    for token in tokens[start : start + at_once]
                )
            )
            renewed += [outcome.tokens.refresh_token for outcome in outcomes if isinstance(outcome, Rotated)]
        assert len(renewed) == len(tokens)
        tokens = rng.sample(renewed, len(renewed))  # sessions that refresh at once are from all over the table
        after = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)", before)
        return float(after) / len(tokens)

    await written_by(1)  # the first change of a page after a checkpoint logs the whole page
    alone, together = await written_by(1), await written_by(16)
    await connection.close()
    assert 300 < alone < 1100
    assert together < alone * 1.25
    await service.db.close()
    updates, hot = (await statistics_of(own_url))["token_families"]
    assert updates == 3 * len(tokens)
    # A page holds 25 families, so some of a batch share a page. It keeps their old versions until the batch commits.
    assert hot / updates > 0.93


async def rows(service: Services) -> list[dict[str, Any]]:
    """Return the rows of the hot tables in the order of their keys."""
    async with looking_at(service.db) as conn:
        queries = select(families).order_by(families.c.id), select(refresh_tokens).order_by(refresh_tokens.c.slot)
        return [dict(row._mapping) for query in queries for row in await conn.execute(query)]


async def statistics_of(url: str) -> dict[str, tuple[int, int]]:
    """Return the number of updates and of HOT updates of each table, once all connections have reported."""
    connection = await databases.connect(url)
    try:
        for _ in range(100):
            others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"
            own = connection.get_server_pid()
            if not await connection.fetchval(others + " AND backend_type = 'client backend'", own):
                break
            await asyncio.sleep(0.05)
        rows = await connection.fetch("SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables")
        return {row["relname"]: (row["n_tup_upd"], row["n_tup_hot_upd"]) for row in rows}
    finally:
        await connection.close()


async def test_no_index_contains_a_column_that_a_rotation_changes(
    service: Services, user: UserRow, clock: FakeClock
) -> None:
    """Read from the database, not from the declared tables."""
    signed_in = await sign_in(service, user, clock)
    token = await refresh_times(service, signed_in.tokens.refresh_token, clock, SLOTS - 1)
    before = await rows(service)
    clock.advance(timedelta(days=1))
    elsewhere = ClientInfo("192.0.2.1", "another browser")
    for _ in range(SLOTS):
        outcome = await service.rotation.refresh(token, None, elsewhere, clock.now())
        assert isinstance(outcome, Rotated)
        token = outcome.tokens.refresh_token
    after = await rows(service)
    changed = {name for old, new in zip(before, after, strict=True) for name in old if old[name] != new[name]}
    assert changed == {*OVERWRITTEN, "token_digest", "last_used_at", "rate_limit_tat"}

    def indexed(connection: Any) -> set[str]:
        found: set[str] = set()
        for table in HOT_TABLES:
            inspector = inspect(connection)
            found |= {str(name) for index in inspector.get_indexes(table) for name in index["column_names"]}
            found |= set(inspector.get_pk_constraint(table)["constrained_columns"])
            found |= {name for unique in inspector.get_unique_constraints(table) for name in unique["column_names"]}
        return found

    async with looking_at(service.db) as conn:
        names = await conn.run_sync(indexed)
        assert names == {"user_id", "id", "family_id", "slot", "absolute_expires_at", "revoked_at"}
        assert not names & changed
        if service.db.dialect == "postgresql":
            # Expressions and conditions of partial indexes count as well.
            query = text("SELECT indexdef FROM pg_indexes WHERE tablename IN ('token_families', 'refresh_tokens')")
            definitions = (await conn.execute(query)).scalars().all()
            assert definitions
            for definition in definitions:
                columns = definition.partition(" USING ")[2]
                words = set(columns.replace("(", " ").replace(")", " ").replace(",", " ").split())
                assert not words & changed, definition


async def test_rot_22_a_family_refreshed_ten_thousand_times_is_as_large_as_one_refreshed_a_thousand_times(
    service: Services, user: UserRow, clock: FakeClock
) -> None:
    first = (await sign_in(service, user, clock)).tokens.refresh_token
    on_sqlite = service.db.dialect == "sqlite"
    many = rotate_in_one_transaction if on_sqlite else refresh_times
    token = await refresh_times(service, first, clock, 100)
    token = await many(service, token, clock, 900)
    after_a_thousand = await size(service)
    for _ in range(9):
        token = await many(service, token, clock, 1000)
    # Up to four pages, for old row versions that PostgreSQL has not removed yet.
    assert await size(service) <= after_a_thousand + 4 * 8192
    async with looking_at(service.db) as conn:
        assert (await conn.execute(select(families.c.generation))).scalar_one() == 10_001
        rows = (await conn.execute(select(refresh_tokens.c.generation))).scalars().all()
    assert sorted(rows) == list(range(10_001 - SLOTS + 1, 10_002))
    # The replay of a token is detected however long ago the token was rotated.
    token = await refresh_times(service, token, clock, 1)
    assert isinstance(await service.rotation.refresh(first, None, ORIGIN, clock.now()), Replayed)
    assert isinstance(await service.rotation.refresh(token, None, ORIGIN, clock.now()), Revoked)


async def test_rot_09_a_replay_of_the_first_token_is_detected_with_every_lineage_row_deleted(
    service: Services, user: UserRow, clock: FakeClock
) -> None:
    first = (await sign_in(service, user, clock)).tokens.refresh_token
    token = await refresh_times(service, first, clock, 40)
    async with looking_at(service.db) as conn:
        await conn.execute(delete(refresh_tokens))
    assert isinstance(await service.rotation.refresh(first, None, ORIGIN, clock.now()), Replayed)
    assert isinstance(await service.rotation.refresh(token, None, ORIGIN, clock.now()), Revoked)
    async with looking_at(service.db) as conn:
        assert (await conn.execute(select(func.count()).select_from(refresh_tokens))).scalar_one() == 0


@pytest.mark.parametrize("depth", [0, 1, 5])
async def test_a_lineage_has_the_configured_depth_and_a_replay_is_detected_even_without_lineage(
    own_url: str, settings_for: Callable[..., Settings], clock: FakeClock, depth: int
) -> None:
    service = Services.create(settings_for(own_url, lineage_depth=depth), SECRET.encode(), Entropy())
    await service.start(clock.now())
    user = await service.accounts.import_user("alice", None, UNKNOWN_PASSWORD_HASH, clock.now())
    first = (await sign_in(service, user, clock)).tokens.refresh_token
    token = await refresh_times(service, first, clock, 20)
    async with looking_at(service.db) as conn:
        assert (await conn.execute(select(func.count()).select_from(refresh_tokens))).scalar_one() == depth
    assert isinstance(await service.rotation.refresh(first, None, ORIGIN, clock.now()), Replayed)
    assert isinstance(await service.rotation.refresh(token, None, ORIGIN, clock.now()), Revoked)
    await service.stop()
