"""`refresh_tokens`: the lineage, which tells a session's owner who rotated when and from where.

Slots are written over in turn, so a family never has more than sixteen rows. Nothing is decided from this table:
a replay is recognised by the family's row alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import HOT_FILLFACTOR, IP_LENGTH, USER_AGENT_LENGTH, WITHOUT_ROWID, table_of
from db.tables.families import TokenFamily, families

SLOTS = 16


class RefreshToken(SQLModel, table=True):
    __tablename__ = "refresh_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "family_id"], ["token_families.user_id", "token_families.id"], ondelete="CASCADE"
        ),
        CheckConstraint(f"slot BETWEEN 0 AND {SLOTS - 1}", name="slot"),
        CheckConstraint("generation >= 1", name="generation"),
        HOT_FILLFACTOR | WITHOUT_ROWID,
    )

    user_id: UUID = Field(primary_key=True)
    family_id: UUID = Field(primary_key=True)
    slot: int = Field(primary_key=True)
    generation: int
    issued_at: datetime
    expires_at: datetime
    ip: str | None = Field(default=None, max_length=IP_LENGTH)
    user_agent: str | None = Field(default=None, max_length=USER_AGENT_LENGTH)


refresh_tokens = table_of(RefreshToken)

KEY = ("user_id", "family_id", "slot")
OVERWRITTEN = ("generation", "issued_at", "expires_at", "ip", "user_agent")


# SQLite has no UPDATE inside a WITH: a second statement of the same transaction.
_sqlite_insert = sqlite.insert(refresh_tokens)
_postgresql_insert = postgresql.insert(refresh_tokens)
UPSERT = {
    "sqlite": _sqlite_insert.on_conflict_do_update(
        index_elements=KEY, set_={name: _sqlite_insert.excluded[name] for name in OVERWRITTEN}
    ),
    "postgresql": _postgresql_insert.on_conflict_do_update(
        index_elements=KEY, set_={name: _postgresql_insert.excluded[name] for name in OVERWRITTEN}
    ),
}
RECORD = {name: Compiled(upsert) for name, upsert in UPSERT.items()}


async def record(conn: Connection, family: TokenFamily, *, user_agent: str | None, slots: int) -> None:
    """Write the lineage row of the family's current token, over the oldest. `slots` of 0 keeps no lineage."""
    if slots:
        await RECORD[conn.dialect.name].all(conn, row_values(family, user_agent=user_agent, slots=slots))


def row_values(family: TokenFamily, *, user_agent: str | None, slots: int) -> dict[str, Any]:
    """The lineage row of the family's current token."""
    return {
        "user_id": family.user_id,
        "family_id": family.id,
        "slot": family.generation % slots,
        "generation": family.generation,
        "issued_at": family.last_used_at,
        "expires_at": family.expires_at,
        "ip": family.ip,
        "user_agent": user_agent,
    }


async def list_for_families(
    conn: Connection, user_id: UUID, family_ids: Sequence[UUID], *, slots: int
) -> Sequence[RefreshToken]:
    """The lineage of several of a user's families, newest generation first within each.

    Rows that a greater `slots` left behind are passed over.
    """
    query = (
        select(refresh_tokens)
        .join(
            families,
            (families.c.user_id == refresh_tokens.c.user_id) & (families.c.id == refresh_tokens.c.family_id),
        )
        .where(
            refresh_tokens.c.user_id == user_id,
            refresh_tokens.c.family_id.in_(family_ids),
            refresh_tokens.c.generation > families.c.generation - slots,
        )
        .order_by(refresh_tokens.c.family_id, refresh_tokens.c.generation.desc())
    )
    return cast(Sequence[RefreshToken], (await conn.execute(query)).all())
