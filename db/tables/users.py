"""`users`: who can sign in. Keyed by the user's own id; the name's uniqueness lives in `usernames`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, delete, insert, select, update
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.engine.parameters import in_list
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


class UserRow(NamedTuple):
    """A row of `users`."""

    id: UUID
    username: str
    email: str | None
    hashed_password: str
    is_active: bool
    created_at: datetime
    password_changed_at: datetime


users = table_of(User)

_SELECT = select(users).where(users.c.id == bindparam("user_id"))
BY_ID = Compiled(_SELECT, UserRow)
# FOR NO KEY UPDATE excludes other writers of this user or of all their families, but not the foreign key checks of
# concurrent inserts, with which a plain FOR UPDATE deadlocks. SQLite's write transactions exclude each other anyway.
_LOCK = Compiled(_SELECT.with_for_update(key_share=True), UserRow)
# While it is held, no row can be added that names the user.
_LOCK_FOR_DELETION = Compiled(_SELECT.with_for_update(), UserRow)
_LOCK_SEVERAL = Compiled(
    select(users.c.id).where(in_list(users.c.id, "ids")).order_by(users.c.id).with_for_update(key_share=True, of=users)
)
_ALL = Compiled(select(users).order_by(users.c.username), UserRow)
_INSERT = Compiled(insert(users))
_UPDATE = update(users).where(users.c.id == bindparam("user_id"))
_SET_PASSWORD = Compiled(
    _UPDATE.values(hashed_password=bindparam("new_hash"), password_changed_at=bindparam("changed_at"))
)
_SET_HASH = Compiled(_UPDATE.values(hashed_password=bindparam("new_hash")))
_SET_ACTIVE = Compiled(_UPDATE.values(is_active=bindparam("may_sign_in")))


async def insert_user(conn: Connection, user: UserRow) -> None:
    """Store a new user; the caller claims the name in `usernames` in the same transaction."""
    await _INSERT.execute(conn, user._asdict())


async def get(conn: Connection, user_id: UUID) -> UserRow | None:
    """Return the user, or None if there is none with this id."""
    return await BY_ID.one_or_none(conn, {"user_id": user_id})


async def lock(conn: Connection, user_id: UUID) -> UserRow | None:
    """Return the user, locked against other writers until the transaction ends; None if there is none."""
    return await _LOCK.one_or_none(conn, {"user_id": user_id})


async def lock_several(conn: Connection, user_ids: Collection[UUID]) -> None:
    """Lock each of these users as `lock` does, in the order of their ids."""
    await _LOCK_SEVERAL.all(conn, {"ids": list(user_ids)})


async def lock_for_deletion(conn: Connection, user_id: UUID) -> None:
    """Lock the user against other writers, and against new rows that refer to them, until the transaction ends.

    The caller has locked the user by `lock`, and all of their families by `families.lock_all`.
    """
    await _LOCK_FOR_DELETION.all(conn, {"user_id": user_id})


async def list_all(conn: Connection) -> Sequence[UserRow]:
    """Return every user, by name."""
    return await _ALL.all(conn, {})


async def set_password(conn: Connection, user_id: UUID, hashed_password: str, *, changed_at: datetime | None) -> None:
    """Store a hash. `changed_at` is None where the password is the same and only its hash is newer."""
    values = {"user_id": user_id, "new_hash": hashed_password}
    if changed_at is None:
        await _SET_HASH.execute(conn, values)
    else:
        await _SET_PASSWORD.execute(conn, values | {"changed_at": changed_at})


async def set_active(conn: Connection, user_id: UUID, *, is_active: bool) -> None:
    """Let the user sign in, or not."""
    await _SET_ACTIVE.execute(conn, {"user_id": user_id, "may_sign_in": is_active})


async def delete_user(conn: Connection, user_id: UUID) -> None:
    """Delete a user whom the caller has locked for deletion, and their rows in every other table, children first."""
    for statement in _deletions():
        await statement.execute(conn, {"of_user": user_id})


@cache
def _deletions() -> Sequence[Compiled[Any]]:
    of_user: BindParameter[UUID] = bindparam("of_user")
    children = [table for table in reversed(metadata.sorted_tables) if "user_id" in table.c]
    return [
        *(Compiled(delete(table).where(table.c.user_id == of_user)) for table in children),
        Compiled(delete(users).where(users.c.id == of_user)),
    ]
