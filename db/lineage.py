"""`refresh_tokens`: the lineage, which tells a session's owner who rotated when and from where.

Slots are written over in turn, so a family never has more than sixteen rows. Nothing is decided from this table:
a replay is recognised by the family's row alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, bindparam, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from db.base import CLUSTERED, IP_LENGTH, REWRITTEN_IN_PLACE, USER_AGENT_LENGTH, table_of
from db.compiled import Compiled
from db.engine import Connection
from db.families import ROTATE, TokenFamily, families
from db.pace import Pace

SLOTS = 16


class RefreshToken(SQLModel, table=True):
    __tablename__ = "refresh_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "family_id"], ["token_families.user_id", "token_families.id"], ondelete="CASCADE"
        ),
        CheckConstraint(f"slot BETWEEN 0 AND {SLOTS - 1}", name="slot"),
        CheckConstraint("generation >= 1", name="generation"),
        REWRITTEN_IN_PLACE | CLUSTERED,
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

_KEY = ("user_id", "family_id", "slot")
_WRITTEN_OVER = ("generation", "issued_at", "expires_at", "ip", "user_agent")
_AGENT = bindparam("from_user_agent", type_=refresh_tokens.c.user_agent.type)

# PostgreSQL: the lineage row rides along in the statement that rotates, so a rotation is one round trip.
_rotated = ROTATE.cte("rotated")
_riding = postgresql.insert(refresh_tokens).from_select(
    [*_KEY, *_WRITTEN_OVER],
    select(
        _rotated.c.user_id,
        _rotated.c.id,
        _rotated.c.generation % bindparam("slots"),
        _rotated.c.generation,
        _rotated.c.last_used_at,
        _rotated.c.expires_at,
        _rotated.c.ip,
        _AGENT,
    ),
)
_riding_along = (
    _riding.on_conflict_do_update(index_elements=_KEY, set_={name: _riding.excluded[name] for name in _WRITTEN_OVER})
    .returning(literal_column("1"))
    .cte("lineage")
)
_ROTATE_WITH_LINEAGE = Compiled(select(_rotated).add_cte(_riding_along))
_ROTATE_ALONE = Compiled(ROTATE)

# SQLite has no UPDATE inside a WITH: a second statement of the same transaction.
_sqlite_insert = sqlite.insert(refresh_tokens)
_postgresql_insert = postgresql.insert(refresh_tokens)
_UPSERT = {
    "sqlite": _sqlite_insert.on_conflict_do_update(
        index_elements=_KEY, set_={name: _sqlite_insert.excluded[name] for name in _WRITTEN_OVER}
    ),
    "postgresql": _postgresql_insert.on_conflict_do_update(
        index_elements=_KEY, set_={name: _postgresql_insert.excluded[name] for name in _WRITTEN_OVER}
    ),
}


async def rotate(
    conn: Connection,
    user_id: UUID,
    family_id: UUID,
    *,
    presented: bytes,
    successor: bytes,
    now: datetime,
    idle_limit: datetime,
    ip: str | None,
    user_agent: str | None,
    slots: int,
    pace: Pace,
) -> TokenFamily | None:
    """Rotate the family if `presented` is the digest of its current token, and write the successor's lineage row.

    `idle_limit` is when the successor ends if the family's absolute limit is not sooner; `slots` how many lineage
    rows a family keeps (0: none). Returns the family as it now is, or None if no row could be changed.
    """
    claim = {
        "of_user": user_id,
        "of_family": family_id,
        "presented": presented,
        "successor": successor,
        "now": now,
        "idle_limit": idle_limit,
        "from_ip": ip,
        **pace.at(now),
    }
    if slots and conn.dialect.name == "postgresql":
        claim |= {"from_user_agent": user_agent, "slots": slots}
        return cast(TokenFamily | None, await _ROTATE_WITH_LINEAGE.one_or_none(conn, claim))
    family = cast(TokenFamily | None, await _ROTATE_ALONE.one_or_none(conn, claim))
    if family is not None:
        await record(conn, family, user_agent=user_agent, slots=slots)
    return family


async def record(conn: Connection, family: TokenFamily, *, user_agent: str | None, slots: int) -> None:
    """Write the lineage row of the family's current token, over the oldest. `slots` of 0 keeps no lineage."""
    if slots:
        row = {
            "user_id": family.user_id,
            "family_id": family.id,
            "slot": family.generation % slots,
            "generation": family.generation,
            "issued_at": family.last_used_at,
            "expires_at": family.expires_at,
            "ip": family.ip,
            "user_agent": user_agent,
        }
        await conn.execute(_UPSERT[conn.dialect.name], row)


async def of_families(
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
