"""`usernames`: one row for each name taken, in the form in which names are compared.

A unique index on a sharded table must contain its shard key, so the uniqueness of names cannot live in `users`.
There is no foreign key for the same reason: a name and its user may lie on different shards.
"""

from typing import cast
from uuid import UUID

from sqlalchemy import bindparam, insert, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel

from db.engine.database import Connection
from db.tables.base import WITHOUT_ROWID, table_of
from db.tables.users import User, users

# NFKC and case folding make some names longer; at four bytes a character this still fits an index entry.
USERNAME_KEY_LENGTH = 256


class Username(SQLModel, table=True):
    __tablename__ = "usernames"
    __table_args__ = WITHOUT_ROWID

    username_key: str = Field(primary_key=True, max_length=USERNAME_KEY_LENGTH)
    user_id: UUID


usernames = table_of(Username)

_USER = (
    select(users)
    .join(usernames, usernames.c.user_id == users.c.id)
    .where(usernames.c.username_key == bindparam("username_key"))
)


async def claim(conn: Connection, username_key: str, user_id: UUID) -> bool:
    """Take a name; False if it is taken already, and then the transaction is to be given up."""
    try:
        await conn.execute(insert(usernames), {"username_key": username_key, "user_id": user_id})
    except IntegrityError:
        return False
    return True


async def get_by_username_key(conn: Connection, username_key: str) -> User | None:
    """The user with this name, or None."""
    return cast(User | None, (await conn.execute(_USER, {"username_key": username_key})).one_or_none())
