"""`users`: who can sign in. Keyed by the user's own id; the name's uniqueness lives in `usernames`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import metadata, table_of

USERNAME_LENGTH = 128
EMAIL_LENGTH = 254


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: UUID = Field(primary_key=True)
    username: str = Field(max_length=USERNAME_LENGTH)
    email: str | None = Field(default=None, max_length=EMAIL_LENGTH)
    hashed_password: str = Field(max_length=512)
    is_active: bool
    created_at: datetime
    password_changed_at: datetime


users = table_of(User)

_FOUND = select(users).where(users.c.id == bindparam("user_id"))
BY_ID = Compiled(_FOUND)
# NO KEY UPDATE: excludes whoever else would change this user or all of their families, but not the foreign key
# checks of inserts beside it, with which a plain FOR UPDATE deadlocks. SQLite's write transactions exclude anyway.
_LOCKED = Compiled(_FOUND.with_for_update(key_share=True))
# Beside this one no row can be added that names the user.
_LOCKED_FOR_DELETION = Compiled(_FOUND.with_for_update())
_SEVERAL_LOCKED = select(users.c.id).order_by(users.c.id).with_for_update(key_share=True)
_ALL = select(users).order_by(users.c.username)


async def insert_user(conn: Connection, user: User) -> None:
    """Store a new user; the caller claims the name in `usernames` in the same transaction."""
    await conn.execute(insert(users), user.model_dump())


async def get(conn: Connection, user_id: UUID) -> User | None:
    """The user, or None if there is none with this id."""
    return cast(User | None, await BY_ID.one_or_none(conn, {"user_id": user_id}))


async def lock(conn: Connection, user_id: UUID) -> User | None:
    """The user, held against every other writer until the transaction ends; None if there is none."""
    return cast(User | None, await _LOCKED.one_or_none(conn, {"user_id": user_id}))


async def lock_several(conn: Connection, user_ids: Collection[UUID]) -> None:
    """Hold each of these users as `lock` does, in the order of their ids."""
    await conn.execute(_SEVERAL_LOCKED.where(users.c.id.in_(user_ids)))


async def lock_for_deletion(conn: Connection, user_id: UUID) -> None:
    """Hold the user against every other writer, and against new rows of theirs, until the transaction ends.

    The caller holds the user by `lock`, and all of their families by `families.lock_all`.
    """
    await _LOCKED_FOR_DELETION.all(conn, {"user_id": user_id})


async def list_all(conn: Connection) -> Sequence[User]:
    """Every user, by name."""
    return cast(Sequence[User], (await conn.execute(_ALL)).all())


async def set_password(conn: Connection, user_id: UUID, hashed_password: str, *, changed_at: datetime | None) -> None:
    """Store a hash. `changed_at` is None where the password is the same and only its hash is newer."""
    values: dict[str, object] = {"hashed_password": hashed_password}
    if changed_at is not None:
        values["password_changed_at"] = changed_at
    await conn.execute(update(users).where(users.c.id == user_id).values(values))


async def set_active(conn: Connection, user_id: UUID, *, is_active: bool) -> None:
    """Let the user sign in, or not."""
    await conn.execute(update(users).where(users.c.id == user_id).values(is_active=is_active))


async def delete_user(conn: Connection, user_id: UUID) -> None:
    """Delete a user whom the caller holds wholly, and from every other table what is theirs, children first."""
    for table in reversed(metadata.sorted_tables):
        if "user_id" in table.c:
            await conn.execute(delete(table).where(table.c.user_id == user_id))
    await conn.execute(delete(users).where(users.c.id == user_id))
