"""`refresh_tokens`: the lineage, which shows a session's owner when and from where its tokens were rotated.

Slots are overwritten in turn, so a family never has more than sixteen rows. Nothing is decided from this table:
a replay is recognised by the family's row alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.engine.parameters import in_list
from db.tables.base import HOT_FILLFACTOR, IP_LENGTH, USER_AGENT_LENGTH, WITHOUT_ROWID, defaults_of, table_of
from db.tables.families import FamilyRow, families

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


class RefreshTokenRow(NamedTuple):
    """A row of `refresh_tokens`."""

    user_id: UUID
    family_id: UUID
    slot: int
    generation: int
    issued_at: datetime
    expires_at: datetime
    ip: str | None
    user_agent: str | None


refresh_tokens = table_of(RefreshToken)

KEY = ("user_id", "family_id", "slot")
OVERWRITTEN = tuple(column.name for column in refresh_tokens.c if column.name not in KEY)
_DEFAULTS = defaults_of(RefreshToken)


def upsert(insert: Any) -> Any:
    """Make an INSERT overwrite the row that is in its slot."""
    return insert.on_conflict_do_update(index_elements=KEY, set_={name: insert.excluded[name] for name in OVERWRITTEN})


RECORD = Compiled(postgresql=upsert(postgresql.insert(refresh_tokens)), sqlite=upsert(sqlite.insert(refresh_tokens)))
# The last condition passes over rows that a greater number of slots left.
_OF_FAMILIES = Compiled(
    select(refresh_tokens)
    .join(
        families,
        (families.c.user_id == refresh_tokens.c.user_id) & (families.c.id == refresh_tokens.c.family_id),
    )
    .where(
        refresh_tokens.c.user_id == bindparam("of_user"),
        in_list(refresh_tokens.c.family_id, "family_ids"),
        refresh_tokens.c.generation > families.c.generation - bindparam("slots", type_=BigInteger()),
    )
    .order_by(refresh_tokens.c.family_id, refresh_tokens.c.generation.desc()),
    RefreshTokenRow,
)


async def record(conn: Connection, family: FamilyRow, *, user_agent: str | None, slots: int) -> None:
    """Write the lineage row of the family's current token, over the oldest. `slots` of 0 keeps no lineage."""
    if slots:
        await RECORD.execute(conn, row_values(family, user_agent=user_agent, slots=slots))


def row_values(family: FamilyRow, *, user_agent: str | None, slots: int) -> dict[str, Any]:
    """Return the lineage row of the family's current token."""
    return _DEFAULTS | {
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
) -> Sequence[RefreshTokenRow]:
    """Return the lineage of several of a user's families, newest generation first within each."""
    return await _OF_FAMILIES.all(conn, {"of_user": user_id, "family_ids": family_ids, "slots": slots})
