"""What a sign-in writes once its password was right: the family, and whatever tells of it.

One statement on PostgreSQL, where each way to the database and back costs more than what is done there. On SQLite,
which has neither such ways nor such statements, one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Integer,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    null,
    select,
)

from db import familiar_networks, families, family_sweeps, lineage, login_failures, security_events
from db.compiled import Compiled
from db.engine import Connection
from db.families import TokenFamily


@dataclass(frozen=True, slots=True)
class Counted:
    """What the guess was counted under, which is over now, and the network that it came from."""

    name: bytes
    addresses: Sequence[bytes]
    network: bytes
    # Whether the network is new where the user is not known to have signed in from anywhere.
    new_if_none_is_known: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """The new family, the live families that are now too many, and whether its network is new to the user."""

    family: TokenFamily
    surplus: Sequence[UUID]
    from_new_network: bool


def _given(table: Any, prefix: str, names: Sequence[str]) -> dict[str, Any]:
    return {name: bindparam(f"{prefix}_{name}", type_=table.c[name].type) for name in names}


_networks, _events = familiar_networks.familiar_networks, security_events.security_events
_one: Any = literal_column("1")
_of_user = _networks.c.user_id == bindparam("of_user")
_is_known = exists(_one).where(_of_user, _networks.c.network == bindparam("from_network"))
# Everything in the statement sees the tables as they were before it.
_looked = select(
    case((exists(_one).where(_of_user), ~_is_known), else_=bindparam("new_if_none_is_known", type_=Boolean())).label(
        "from_new_network"
    )
).cte("looked")
_FAMILY = (
    "user_id",
    "id",
    "token_digest",
    "generation",
    "device_name",
    "user_agent",
    "ip",
    "created_at",
    "last_used_at",
    "expires_at",
    "absolute_expires_at",
)
_family = (
    insert(families.families)
    .values(_given(families.families, "family", _FAMILY) | {"busy_until": literal_column("0")})
    .returning(*families.families.c)
    .cte("family")
)
_slot = bindparam("slot", type_=Integer())
_first_token = {
    "user_id": _family.c.user_id,
    "family_id": _family.c.id,
    "slot": _slot,
    "generation": _family.c.generation,
    "issued_at": _family.c.last_used_at,
    "expires_at": _family.c.expires_at,
    "ip": _family.c.ip,
    "user_agent": _family.c.user_agent,
}
_event = _given(_events, "event", ("user_id", "id", "family_id", "kind", "occurred_at", "ip", "user_agent")) | {
    "detail": case((_looked.c.from_new_network, bindparam("detail_if_new", type_=_events.c.detail.type)), else_=null())
}
_OPEN = Compiled(
    select(
        *_family.c,
        _looked.c.from_new_network,
        func.array(family_sweeps.SURPLUS.scalar_subquery()).label("surplus"),
    )
    .select_from(_family.join(_looked, literal_column("true")))
    .add_cte(
        insert(lineage.refresh_tokens)
        .from_select([*_first_token], select(*_first_token.values()).where(_slot.is_not(None)))
        .returning(_one)
        .cte("first_token"),
        insert(_events).from_select([*_event], select(*_event.values())).returning(_one).cte("event"),
        familiar_networks.SEEN["postgresql"].returning(_one).cte("seen"),
        *login_failures.TAKEN_BACK,
    )
)


async def open_family(
    conn: Connection,
    family: dict[str, Any],
    event: dict[str, Any],
    counted: Counted | None,
    *,
    detail_if_new: str,
    slots: int,
    keep: int,
    now: datetime,
) -> Opened:
    """Store a new family, its lineage and the event that tells of it, and take back what its guess was counted under.

    The caller holds the user's row. `counted` is None where nothing is counted; `keep` is how many live families the
    user may have besides this one. `event` gets its detail where the network is new to the user.
    """
    if conn.dialect.name == "postgresql" and counted is not None:
        values = {f"family_{name}": value for name, value in family.items()}
        values |= {f"event_{name}": value for name, value in event.items()}
        values |= login_failures.taken_back(counted.addresses, counted.name)
        values |= {
            "of_user": family["user_id"],
            "from_network": counted.network,
            "new_if_none_is_known": counted.new_if_none_is_known,
            "detail_if_new": detail_if_new,
            "slot": family["generation"] % slots if slots else None,
            "keep": keep,
            "now": now,
            "at": now,
        }
        opened = await _OPEN.one_or_none(conn, values)
        return Opened(cast(TokenFamily, opened), opened.surplus, opened.from_new_network)
    user_id, is_new = family["user_id"], False
    surplus = await family_sweeps.surplus(conn, user_id, keep=keep, now=now)
    stored = await families.insert_family(conn, family)
    await lineage.record(conn, stored, user_agent=family["user_agent"], slots=slots)
    if counted is not None:
        known = await familiar_networks.of_user(conn, user_id)
        is_new = counted.network not in known if known else counted.new_if_none_is_known
        await familiar_networks.saw(conn, user_id, counted.network, now)
        await login_failures.take_back(conn, counted.addresses, forgotten=counted.name)
    await security_events.add(conn, [event | {"detail": detail_if_new if is_new else None}])
    return Opened(stored, surplus, is_new)
