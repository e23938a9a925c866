"""`usernames`: one row for each name taken, normalized for comparison.

A unique index on a sharded table must contain its shard key, so the uniqueness of names cannot live in `users`.
There is no foreign key for the same reason: a name and its user may lie on different shards.
"""

from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import WITHOUT_ROWID, table_of
from db.tables.users import UserRow, users

# NFKC and case folding make some names longer; at four bytes a character this still fits an index entry.
USERNAME_KEY_LENGTH = 256


class Username(SQLModel, table=True):
    __tablename__ = "usernames"
    __table_args__ = WITHOUT_ROWID

    username_key: str = Field(primary_key=True, max_length=USERNAME_KEY_LENGTH)
    user_id: UUID


usernames = table_of(Username)

_USER = Compiled(
    select(users)
    .join(usernames, usernames.c.user_id == users.c.id)
    .where(usernames.c.username_key == bindparam("key")),
    UserRow,
)
_CLAIM = Compiled(
    postgresql=postgresql.insert(usernames).on_conflict_do_nothing(),
    sqlite=sqlite.insert(usernames).on_conflict_do_nothing(),
)


async def claim(conn: Connection, username_key: str, user_id: UUID) -> bool:
    """Take a name; False if it is taken. Waits for a transaction that takes it at the same moment."""
    return await _CLAIM.execute(conn, {"username_key": username_key, "user_id": user_id}) == 1


async def get_by_username_key(conn: Connection, username_key: str) -> UserRow | None:
    """Return the user with this name, or None."""
    return await _USER.one_or_none(conn, {"key": username_key})
