"""Claims: what a rotation says of a family, and the one UPDATE that holds it against the family's row."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, type_coerce, update

from db.families import families
from db.pace import Pace


@dataclass(frozen=True, slots=True)
class Claim:
    """What a rotation says: that `presented` is the digest of the family's current token, and what is to follow it.

    `idle_limit` is when the successor ends if the family's absolute limit is not sooner.
    """

    user_id: UUID
    family_id: UUID
    presented: bytes
    successor: bytes
    now: datetime
    idle_limit: datetime
    ip: str | None
    user_agent: str | None

    def values(self, pace: Pace) -> dict[str, Any]:
        """What `rotation` needs by name."""
        return {
            "of_user": self.user_id,
            "of_family": self.family_id,
            "presented": self.presented,
            "successor": self.successor,
            "now": self.now,
            "idle_limit": self.idle_limit,
            "from_ip": self.ip,
            **pace.at(self.now),
        }


def rotation(given: Callable[[str], Any]) -> Any:
    """The one statement that decides a rotation: it claims first, and whoever finds no row left to change judges after.

    `given` names what a claim says: parameters, or the columns of a table of claims.
    """
    busy_until, expires_at = families.c.busy_until, families.c.expires_at
    return (
        update(families)
        .where(
            families.c.user_id == given("of_user"),
            families.c.id == given("of_family"),
            families.c.token_digest == given("presented"),
            families.c.revoked_at.is_(None),
            expires_at > given("now"),
            families.c.absolute_expires_at > given("now"),
            ~busy_until.between(given("too_busy_from"), given("too_busy_to")),
        )
        .values(
            token_digest=given("successor"),
            generation=families.c.generation + 1,
            last_used_at=given("now"),
            # No rotation shortens a session: what a clock that is behind would write is over by every right one. And no
            # token of a family outlives the family. (greatest() and least(), which SQLite spells max() and min().)
            expires_at=case(
                (expires_at > given("idle_limit"), expires_at),
                (families.c.absolute_expires_at < given("idle_limit"), families.c.absolute_expires_at),
                else_=type_coerce(given("idle_limit"), expires_at.type),
            ),
            ip=given("from_ip"),
            busy_until=case(
                (busy_until.between(given("now_in_seconds"), given("too_busy_to")), busy_until),
                else_=type_coerce(given("now_in_seconds"), busy_until.type),
            )
            + bindparam("busy_for"),
        )
        .returning(*families.c)
    )


ROTATE = rotation(bindparam)
