"""Migrations run up and down on both databases, and match the tables that the code declares."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Column, Connection, Index, Integer, MetaData, UniqueConstraint, inspect, text

from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.outcomes import ClientInfo, Rotated, SignedIn
from auth.services import Services
from db import metadata
from db.engine.database import url_of
from db.migration import head, run_in_transaction, upgrade
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.repository import ROOT
from tests.support.servers import SECRET, UNKNOWN_PASSWORD_HASH

T = TypeVar("T")
# Tables without a user, and `usernames`, which maps names to users.
OF_NO_USER = {"leases", "usernames", "signing_keys", "login_failures", "alembic_version"}


def alembic(database_url: str, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `alembic` as an operator does from a checkout, with only the database configured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KINDRED_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name("alembic")), *arguments],
        cwd=folder,
        env=kept | {"KINDRED_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )


def require_success(process: subprocess.CompletedProcess[str]) -> str:
    """Assert that a command succeeded, and return its output."""
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


def run_on(database_url: str, look: Callable[[Connection], T]) -> T:
    """Return the result of a function that is called with a connection of its own."""
    return run_in_transaction(url_of(database_url), look)


def tables(database_url: str) -> set[str]:
    return run_on(database_url, lambda connection: set(inspect(connection).get_table_names()))


@pytest.fixture
def empty_postgresql(postgres: str) -> Iterator[str]:
    url = asyncio.run(databases.create_database(postgres))
    yield url
    asyncio.run(databases.drop_database(url, postgres))


@pytest.fixture
def empty_sqlite(tmp_path: Path) -> str:
    return databases.sqlite_url(tmp_path / "kindred.db")


@pytest.fixture(params=["empty_sqlite", "empty_postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """A database without a table, of either kind."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def migrated_url(empty_url: str) -> str:
    """A database for one test, with every migration."""
    upgrade(url_of(empty_url))
    return empty_url


def test_ops_03_alembic_upgrades_downgrades_and_upgrades_again_from_a_plain_checkout(empty_url: str) -> None:
    assert tables(empty_url) == set()
    require_success(alembic(empty_url, "upgrade", "head"))
    assert tables(empty_url) == {*metadata.tables, "alembic_version"}
    assert "No new upgrade operations detected" in require_success(alembic(empty_url, "check"))
    require_success(alembic(empty_url, "downgrade", "base"))
    assert tables(empty_url) == {"alembic_version"}
    require_success(alembic(empty_url, "upgrade", "head"))
    assert tables(empty_url) == {*metadata.tables, "alembic_version"}
    require_success(alembic(empty_url, "upgrade", "head"))


def test_alembic_check_fails_if_the_database_lacks_a_column_or_a_check(empty_postgresql: str) -> None:
    """It also detects a model changed without a migration, including CHECKs, which it ignores by default."""
    upgrade(url_of(empty_postgresql))
    drop = "ALTER TABLE token_families DROP CONSTRAINT ck_token_families_generation"
    run_on(empty_postgresql, lambda connection: connection.execute(text(drop)))
    lacks_check = alembic(empty_postgresql, "check")
    assert lacks_check.returncode != 0
    assert "ck_token_families_generation" in lacks_check.stdout + lacks_check.stderr
    drop = "ALTER TABLE users DROP COLUMN email"
    run_on(empty_postgresql, lambda connection: connection.execute(text(drop)))
    lacks_column = alembic(empty_postgresql, "check")
    assert lacks_column.returncode != 0
    assert "email" in lacks_column.stdout + lacks_column.stderr


def differences(database_url: str, declared: MetaData) -> list[Any]:
    """Return what `alembic check` would report if the code declared these tables."""

    def compare(connection: Connection) -> list[Any]:
        plugins = ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"]
        options = {"autogenerate_plugins": plugins, "compare_type": True, "compare_server_default": True}
        found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), declared)
        return found

    return run_on(database_url, compare)


def copied_metadata() -> MetaData:
    """Return a copy of the declared tables, which a test may change."""
    copy = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(copy)
    return copy


def test_a_model_that_is_changed_without_a_migration_is_detected(migrated_url: str) -> None:
    assert differences(migrated_url, copied_metadata()) == []

    more = copied_metadata()
    more.tables["users"].append_column(Column("shoe_size", Integer))
    assert mentions(differences(migrated_url, more), "shoe_size")

    more = copied_metadata()
    more.tables["users"].append_constraint(UniqueConstraint("id", "email", name="uq_users_id"))
    assert mentions(differences(migrated_url, more), "uq_users_id")

    more = copied_metadata()
    Index("ix_token_families_ip", more.tables["token_families"].c.ip)
    assert mentions(differences(migrated_url, more), "ix_token_families_ip")

    more = copied_metadata()
    more.tables["users"].append_constraint(CheckConstraint("username <> ''", name="username"))
    assert mentions(differences(migrated_url, more), "ck_users_username")

    more = copied_metadata()
    more.tables["users"].c.email.nullable = False
    assert mentions(differences(migrated_url, more), "email")

    fewer = copied_metadata()
    fewer.remove(fewer.tables["login_failures"])
    assert mentions(differences(migrated_url, fewer), "login_failures")


def mentions(found: Any, name: str) -> bool:
    """Return whether the name is anywhere in the differences, which are nested tuples."""
    if isinstance(found, list | tuple):
        return any(mentions(part, name) for part in found)
    return name in (found, getattr(found, "name", None))


def checks(database_url: str) -> dict[str, str]:
    """Return every CHECK in a database by its name, as the database stores it."""

    def look(connection: Connection) -> dict[str, str]:
        inspector = inspect(connection)
        return {
            str(check["name"]): " ".join(check["sqltext"].split())
            for table in inspector.get_table_names()
            for check in inspector.get_check_constraints(table)
        }

    return run_on(database_url, look)


@pytest.fixture
def declared_url(empty_url: str, postgres: str, tmp_path: Path) -> Iterator[Callable[[MetaData], str]]:
    """Create a database of the kind of `empty_url` from declared tables, without migrations."""
    urls: list[str] = []

    def make(declared: MetaData) -> str:
        if empty_url.startswith("sqlite"):
            url = databases.sqlite_url(tmp_path / f"declared-{len(urls)}.db")
        else:
            url = asyncio.run(databases.create_database(postgres))
        urls.append(url)
        run_on(url, declared.create_all)
        return url

    yield make
    for url in urls:
        if not url.startswith("sqlite"):
            asyncio.run(databases.drop_database(url, postgres))


def test_a_check_that_is_changed_without_a_migration_is_detected(
    migrated_url: str, declared_url: Callable[[MetaData], str]
) -> None:
    """`alembic check` compares only the names of CHECKs, so it would miss a new enum value."""
    migrated = checks(migrated_url)
    assert len(migrated) == 16
    assert migrated == checks(declared_url(copied_metadata()))

    changed = copied_metadata()
    events = changed.tables["security_events"]
    (check,) = [constraint for constraint in events.constraints if constraint.name == "ck_security_events_kind"]
    assert isinstance(check, CheckConstraint)
    events.constraints.discard(check)
    more = str(check.sqltext).replace("'USER_DISABLED'", "'USER_DISABLED', 'USER_PROMOTED'")
    events.append_constraint(CheckConstraint(more, name="kind"))
    assert migrated != checks(declared_url(changed))


def shape(database_url: str) -> dict[str, dict[str, tuple[str, bool]]]:
    """Return the tables with their columns, the kind of each column's type, and whether it may be null."""

    def look(connection: Connection) -> dict[str, dict[str, tuple[str, bool]]]:
        inspector = inspect(connection)
        return {
            table: {
                column["name"]: (kind_of(column["type"]), column["nullable"]) for column in inspector.get_columns(table)
            }
            for table in inspector.get_table_names()
        }

    return run_on(database_url, look)


def kind_of(column_type: Any) -> str:
    # SQLite has no type for an id: it is stored as 32 hexadecimal digits.
    kind = str(column_type).upper()
    names = {"BYTEA": "BLOB", "TIMESTAMP": "DATETIME", "UUID": "CHAR(32)", "DOUBLE PRECISION": "FLOAT"}
    return names.get(kind, kind)


def test_both_databases_have_the_same_tables_columns_and_nulls(empty_sqlite: str, empty_postgresql: str) -> None:
    for url in (empty_sqlite, empty_postgresql):
        upgrade(url_of(url))
    sqlite, postgresql = shape(empty_sqlite), shape(empty_postgresql)
    assert sqlite == postgresql
    declared = {
        table.name: {column.name: column.nullable for column in table.columns} for table in metadata.sorted_tables
    }
    migrated = {table: {name: nullable for name, (_, nullable) in columns.items()} for table, columns in sqlite.items()}
    assert {table: columns for table, columns in migrated.items() if table != "alembic_version"} == declared


def constraints(database_url: str) -> list[tuple[str, str, str | None, list[str]]]:
    """Return the table, kind, name and columns of every key, unique constraint, foreign key, CHECK and index."""

    def look(connection: Connection) -> list[tuple[str, str, str | None, list[str]]]:
        inspector, found = inspect(connection), []
        for table in set(inspector.get_table_names()) - {"alembic_version"}:
            key = inspector.get_pk_constraint(table)
            found.append((table, "pk", key["name"], key["constrained_columns"]))
            for foreign in inspector.get_foreign_keys(table):
                found.append((table, "fk", foreign["name"], foreign["constrained_columns"]))
                found.append((foreign["referred_table"], "referred", foreign["name"], foreign["referred_columns"]))
            for unique in inspector.get_unique_constraints(table):
                found.append((table, "uq", unique["name"], unique["column_names"]))
            for check in inspector.get_check_constraints(table):
                found.append((table, "ck", check["name"], []))
            for index in inspector.get_indexes(table):
                kind = "uq" if index["unique"] else "ix"
                found.append((table, kind, index["name"], [str(name) for name in index["column_names"]]))
        return found

    return run_on(database_url, look)


def test_every_constraint_has_a_name_that_follows_the_convention(migrated_url: str) -> None:
    """A migration cannot drop an unnamed constraint on both databases."""
    found = [constraint for constraint in constraints(migrated_url) if constraint[1] != "referred"]
    assert len(found) > 20
    for table, kind, name, columns in found:
        assert name is not None, (table, kind, columns)
        assert name.startswith(f"{kind}_{table}"), name
        if kind in ("uq", "ix"):
            assert name == f"{kind}_{table}_{columns[0]}"
        assert len(name) <= 63, name  # PostgreSQL truncates longer names


def test_the_models_and_the_database_have_the_same_primary_keys(migrated_url: str) -> None:
    """Alembic does not compare them."""
    keys = {table: columns for table, kind, _, columns in constraints(migrated_url) if kind == "pk"}
    assert keys == {table.name: [column.name for column in table.primary_key] for table in metadata.sorted_tables}


def test_every_key_of_a_table_with_user_data_starts_with_the_user_id(migrated_url: str) -> None:
    """A distributed PostgreSQL can then keep all rows of one user on one shard."""
    checked = set()
    for table, kind, name, columns in constraints(migrated_url):
        if table in OF_NO_USER or kind in ("ck", "ix"):
            continue
        assert columns[0] == ("id" if table == "users" else "user_id"), name
        checked.add((table, kind))
    assert {table for table, _ in checked} == set(metadata.tables) - OF_NO_USER


def test_ops_03_live_families_survive_an_upgrade_of_an_up_to_date_database(
    migrated_url: str, settings_for: Callable[..., Settings]
) -> None:
    clock = FakeClock()
    token = asyncio.run(sign_in(settings_for(migrated_url), clock))
    before = run_on(migrated_url, rows)
    assert len(before["token_families"]) == len(before["refresh_tokens"]) == 1
    upgrade(url_of(migrated_url))
    require_success(alembic(migrated_url, "upgrade", "head"))
    assert run_on(migrated_url, rows) == before
    assert isinstance(asyncio.run(refresh(settings_for(migrated_url), clock, token)), Rotated)


def test_ops_03_live_families_survive_every_migration_down_to_the_first_and_up_again(
    migrated_url: str, settings_for: Callable[..., Settings]
) -> None:
    clock = FakeClock()
    token = asyncio.run(sign_in(settings_for(migrated_url), clock))
    before = run_on(migrated_url, lambda connection: rows(connection)["users"])
    require_success(alembic(migrated_url, "downgrade", "0001"))
    require_success(alembic(migrated_url, "upgrade", "head"))
    assert run_on(migrated_url, lambda connection: rows(connection)["users"]) == before
    # Not invalid, which would mean that the family or the keys of the secret were lost; and no replay.
    assert isinstance(asyncio.run(refresh(settings_for(migrated_url), clock, token)), Rotated)


ANOTHER = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head()}", None, None


def upgrade() -> None:
    with op.batch_alter_table("token_families", recreate="always") as batch:
        batch.add_column(sa.Column("colour", sa.Integer(), nullable=True))
"""


def test_a_batch_migration_on_sqlite_deletes_no_child_rows(
    empty_sqlite: str, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    """SQLite cannot alter a table: Alembic copies and drops it. With foreign keys on, this would delete child rows."""
    upgrade(url_of(empty_sqlite))
    asyncio.run(sign_in(settings_for(empty_sqlite), FakeClock()))
    before = run_on(empty_sqlite, rows)

    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "migrations" / "versions" / "9999_another.py").write_text(ANOTHER)
    require_success(alembic(empty_sqlite, "upgrade", "head", folder=tmp_path))
    after = run_on(empty_sqlite, rows)
    assert after["refresh_tokens"] == before["refresh_tokens"] != []
    assert len(after["token_families"]) == 1
    columns = shape(empty_sqlite)["token_families"]
    assert "colour" in columns


@pytest.mark.parametrize("url", ["empty_sqlite", "empty_postgresql"])
def test_a_generated_migration_runs_as_written(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """SQLModel has column types of its own, which a migration does not import."""
    database: str = request.getfixturevalue(url)
    upgrade(url_of(database))
    run_on(database, lambda connection: connection.execute(text("DROP TABLE outbox")))
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    require_success(
        alembic(database, "revision", "--autogenerate", "--rev-id", "9999", "-m", "another", folder=tmp_path)
    )
    require_success(alembic(database, "upgrade", "head", folder=tmp_path))
    assert differences(database, metadata) == []


def rows(connection: Connection) -> dict[str, list[Any]]:
    return {name: list(connection.execute(table.select()).all()) for name, table in metadata.tables.items()}


async def sign_in(settings: Settings, clock: FakeClock) -> str:
    """Open a session in that database and return its refresh token."""
    services = Services.create(settings, SECRET.encode(), Entropy())
    await services.start(clock.now())
    user = await services.accounts.import_user("alice", None, UNKNOWN_PASSWORD_HASH, clock.now())
    signed_in: SignedIn | None = await services.sign_in.open_session(user, None, ClientInfo(), clock.now())
    await services.stop()
    assert signed_in is not None
    return signed_in.tokens.refresh_token


async def refresh(settings: Settings, clock: FakeClock, token: str) -> object:
    services = Services.create(settings, SECRET.encode(), Entropy())
    await services.start(clock.now())
    outcome = await services.rotation.refresh(token, None, ClientInfo(), clock.now())
    await services.stop()
    return outcome
