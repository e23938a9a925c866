"""Rotation: the claim that a refresh makes about a family, and the one UPDATE that tests it against the row."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import FromClause, bindparam, case, literal_column, select, type_coerce, update
from sqlalchemy.dialects import postgresql

from db.drivers.connection import Dialect
from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.hot_path.rate_limit import RateLimit
from db.tables.families import FamilyRow, families
from db.tables.refresh_tokens import KEY, OVERWRITTEN, record, refresh_tokens, upsert


@dataclass(frozen=True, slots=True)
class RotationClaim:
    """The claim that `presented` is the digest of the family's current token, and what follows that token.

    `idle_limit` is when the successor expires if the family's absolute limit is not sooner.
    """

    user_id: UUID
    family_id: UUID
    presented: bytes
    successor: bytes
    now: datetime
    idle_limit: datetime
    ip: str | None
    user_agent: str | None

    def values(self, rate_limit: RateLimit) -> dict[str, Any]:
        """Return the parameters of `rotation_statement`."""
        return {
            "of_user": self.user_id,
            "of_family": self.family_id,
            "presented": self.presented,
            "successor": self.successor,
            "now": self.now,
            "idle_limit": self.idle_limit,
            "from_ip": self.ip,
            **rate_limit.parameters_at(self.now),
        }


def rotation_statement(source: Callable[[str], Any]) -> Any:
    """Return the one statement that decides a rotation: a conditional UPDATE.

    Only a caller that it refused reads the family, to find the reason (claim first, check after).
    `source` gives the values of a claim by name: parameters, or the columns of a table of claims.
    """
    rate_limit_tat, expires_at = families.c.rate_limit_tat, families.c.expires_at
    return (
        update(families)
        .where(
            families.c.user_id == source("of_user"),
            families.c.id == source("of_family"),
            families.c.token_digest == source("presented"),
            families.c.revoked_at.is_(None),
            expires_at > source("now"),
            families.c.absolute_expires_at > source("now"),
            ~rate_limit_tat.between(source("too_busy_from"), source("too_busy_to")),
        )
        .values(
            token_digest=source("successor"),
            generation=families.c.generation + 1,
            last_used_at=source("now"),
            # No rotation shortens a session: by a right clock, the token of a clock that is behind would be expired.
            # And no token outlives its family. (greatest() and least(), which SQLite spells max() and min().)
            expires_at=case(
                (expires_at > source("idle_limit"), expires_at),
                (families.c.absolute_expires_at < source("idle_limit"), families.c.absolute_expires_at),
                else_=type_coerce(source("idle_limit"), expires_at.type),
            ),
            ip=source("from_ip"),
            rate_limit_tat=case(
                (rate_limit_tat.between(source("now_in_seconds"), source("too_busy_to")), rate_limit_tat),
                else_=type_coerce(source("now_in_seconds"), rate_limit_tat.type),
            )
            + bindparam("busy_for"),
        )
        .returning(*families.c)
    )


ROTATE = rotation_statement(bindparam)


def with_lineage_row(rotate: Any, user_agent: Callable[[FromClause], Any]) -> Compiled[FamilyRow]:
    """PostgreSQL: write the lineage row in the statement that rotates, so that a rotation is one round trip."""
    rotated = rotate.cte("rotated")
    insert = postgresql.insert(refresh_tokens).from_select(
        [*KEY, *OVERWRITTEN],
        select(
            rotated.c.user_id,
            rotated.c.id,
            rotated.c.generation % bindparam("slots"),
            rotated.c.generation,
            rotated.c.last_used_at,
            rotated.c.expires_at,
            rotated.c.ip,
            user_agent(rotated),
        ),
    )
    lineage = upsert(insert).returning(literal_column("1")).cte("lineage")
    return Compiled(select(*(rotated.c[column.name] for column in families.c)).add_cte(lineage), FamilyRow)


_ROTATE_WITH_LINEAGE = with_lineage_row(
    ROTATE, lambda _: bindparam("from_user_agent", type_=refresh_tokens.c.user_agent.type)
)
ROTATE_ALONE = Compiled(ROTATE, FamilyRow)


async def rotate(conn: Connection, claim: RotationClaim, *, slots: int, rate_limit: RateLimit) -> FamilyRow | None:
    """Rotate the family if the claim is true, and write the successor's lineage row.

    `slots` is how many lineage rows a family keeps (0: none). Returns the new row of the family, or None if no row
    could be changed.
    """
    values = claim.values(rate_limit) | {"busy_for": rate_limit.interval}
    if slots and conn.dialect is Dialect.postgresql:
        values |= {"from_user_agent": claim.user_agent, "slots": slots}
        return await _ROTATE_WITH_LINEAGE.one_or_none(conn, values)
    # SQLite has no INSERT inside a WITH: a second statement of the same transaction.
    family = await ROTATE_ALONE.one_or_none(conn, values)
    if family is not None:
        await record(conn, family, user_agent=claim.user_agent, slots=slots)
    return family
