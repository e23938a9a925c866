"""`familiar_networks`: where a user has signed in from, so that a stranger's failures do not keep the owner out."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, and_, bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.base import CLUSTERED, table_of
from db.compiled import Compiled
from db.engine import Connection
from db.usernames import usernames
from db.users import User, users


class FamiliarNetwork(SQLModel, table=True):
    __tablename__ = "familiar_networks"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        CheckConstraint("length(network) = 32", name="network"),
        Index("ix_familiar_networks_last_seen_at", "last_seen_at"),
        CLUSTERED,
    )

    user_id: UUID = Field(primary_key=True)
    # The SHA-256 of it: enough to know it again.
    network: bytes = Field(primary_key=True)
    last_seen_at: datetime


familiar_networks = table_of(FamiliarNetwork)

SEEN: dict[str, Any] = {
    name: dialect_insert(familiar_networks)
    .values(user_id=bindparam("of_user"), network=bindparam("from_network"), last_seen_at=bindparam("at"))
    .on_conflict_do_update(index_elements=["user_id", "network"], set_={"last_seen_at": bindparam("at")})
    for name, dialect_insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_SAW = {name: Compiled(seen) for name, seen in SEEN.items()}
_OF_NAME = (
    select(familiar_networks.c.network)
    .join(usernames, usernames.c.user_id == familiar_networks.c.user_id)
    .where(usernames.c.username_key == bindparam("key"))
)
_GUESSED_AT = Compiled(
    select(users, familiar_networks.c.user_id.is_not(None).label("is_familiar"))
    .join(usernames, usernames.c.user_id == users.c.id)
    .outerjoin(
        familiar_networks,
        and_(familiar_networks.c.user_id == users.c.id, familiar_networks.c.network == bindparam("from_network")),
    )
    .where(usernames.c.username_key == bindparam("key"))
)
_OF_USER = Compiled(select(familiar_networks.c.network).where(familiar_networks.c.user_id == bindparam("of_user")))


async def saw(conn: Connection, user_id: UUID, network: bytes, now: datetime) -> None:
    """The user has signed in from there."""
    await _SAW[conn.dialect.name].all(conn, {"of_user": user_id, "from_network": network, "at": now})


async def guessed_at(conn: Connection, username_key: str, network: bytes) -> tuple[User | None, bool]:
    """The user of that name, None where nobody has it, and whether they have signed in from that network."""
    found = await _GUESSED_AT.one_or_none(conn, {"key": username_key, "from_network": network})
    return cast(User | None, found), found is not None and bool(found.is_familiar)


async def of_user(conn: Connection, user_id: UUID) -> set[bytes]:
    """Every network that the user has signed in from."""
    return {row.network for row in await _OF_USER.all(conn, {"of_user": user_id})}


async def of_name(conn: Connection, username_key: str) -> list[bytes]:
    """Every network that the user of that name has signed in from."""
    return list((await conn.execute(_OF_NAME, {"key": username_key})).scalars())


async def prune(conn: Connection, *, seen_before: datetime, limit: int) -> int:
    """Forget up to `limit` networks that nobody has signed in from since that instant; returns how many."""
    key = (familiar_networks.c.user_id, familiar_networks.c.network)
    some = select(*key).where(familiar_networks.c.last_seen_at < seen_before).limit(limit)
    return (await conn.execute(delete(familiar_networks).where(tuple_(*key).in_(some)))).rowcount
