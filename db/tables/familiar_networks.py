"""`familiar_networks`: the networks that a user has signed in from.

Failures from other networks are counted apart, so an attacker elsewhere cannot lock the user out.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, bindparam, delete, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import WITHOUT_ROWID, delete_some, table_of
from db.tables.usernames import usernames


class FamiliarNetwork(SQLModel, table=True):
    __tablename__ = "familiar_networks"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        CheckConstraint("length(network) = 32", name="network"),
        Index("ix_familiar_networks_last_seen_at", "last_seen_at"),
        WITHOUT_ROWID,
    )

    user_id: UUID = Field(primary_key=True)
    # Its SHA-256: enough to recognise it.
    network: bytes = Field(primary_key=True)
    last_seen_at: datetime


familiar_networks = table_of(FamiliarNetwork)


def upsert_statement(database: str, *conditions: Any) -> Any:
    """Return the statement that remembers a network of a user, if all the conditions are true."""
    dialects: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
    insert = dialects[database].insert(familiar_networks)
    row = [bindparam(name, type_=familiar_networks.c[column].type) for name, column in _ROW.items()]
    return insert.from_select([*_ROW.values()], select(*row).where(true(), *conditions)).on_conflict_do_update(
        index_elements=["user_id", "network"],
        set_={"last_seen_at": insert.excluded.last_seen_at},
        where=familiar_networks.c.last_seen_at <= bindparam("if_before", type_=familiar_networks.c.last_seen_at.type),
    )


_ROW = {"of_user": "user_id", "from_network": "network", "at": "last_seen_at"}
UPSERT = Compiled(postgresql=upsert_statement("postgresql"), sqlite=upsert_statement("sqlite"))
_OF_NAME = Compiled(
    select(familiar_networks.c.network)
    .join(usernames, usernames.c.user_id == familiar_networks.c.user_id)
    .where(usernames.c.username_key == bindparam("key"))
)
_DELETE_OF_USER = Compiled(delete(familiar_networks).where(familiar_networks.c.user_id == bindparam("of_user")))
_PRUNE = Compiled(delete_some(familiar_networks, familiar_networks.c.last_seen_at < bindparam("seen_before")))
OF_USER = Compiled(select(familiar_networks.c.network).where(familiar_networks.c.user_id == bindparam("of_user")))


def upsert_values(user_id: UUID, network: bytes | None, now: datetime, *, precision: timedelta) -> dict[str, Any]:
    """Return the values of `upsert_statement`. A network seen within `precision` before `now` is not written again."""
    return {"of_user": user_id, "from_network": network, "at": now, "if_before": now - precision}


async def remember(conn: Connection, user_id: UUID, network: bytes, now: datetime, *, precision: timedelta) -> None:
    """Record that the user has signed in from this network."""
    await UPSERT.execute(conn, upsert_values(user_id, network, now, precision=precision))


async def list_for_user(conn: Connection, user_id: UUID) -> set[bytes]:
    """Return every network that the user has signed in from."""
    return {row.network for row in await OF_USER.all(conn, {"of_user": user_id})}


async def delete_for_user(conn: Connection, user_id: UUID) -> None:
    """Delete every network of the user."""
    await _DELETE_OF_USER.execute(conn, {"of_user": user_id})


async def list_for_username(conn: Connection, username_key: str) -> list[bytes]:
    """Return every network that the user of that name has signed in from."""
    return [row.network for row in await _OF_NAME.all(conn, {"key": username_key})]


async def prune(conn: Connection, *, seen_before: datetime, limit: int) -> int:
    """Delete up to `limit` networks without a sign-in since that instant. Return how many."""
    return await _PRUNE.execute(conn, {"seen_before": seen_before, "limit": limit})
