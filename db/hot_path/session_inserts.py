"""What a sign-in writes once its password was right: the family, and whatever tells of it.

At once where all is as usual: one statement on PostgreSQL, where each way to the database and back costs more than what
is done there, and one piece of work for the writer's thread on SQLite. In a transaction where more is to be done.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from db.engine.compiled import Compiled
from db.engine.database import Connection, Database
from db.hot_path.login_attempts import MatchedUser
from db.tables import familiar_networks, families, login_failures, refresh_tokens, security_events
from db.tables.families import FamilyRow
from db.tables.users import BY_ID, ROW_VERSION, users


@dataclass(frozen=True, slots=True)
class AttemptKeys:
    """What the guess was counted under, which is over now, and the network that it came from."""

    name: bytes
    addresses: Sequence[bytes]
    network: bytes
    # Whether the network is new where the user is not known to have signed in from anywhere.
    new_if_none_is_known: bool
    # How much later it has to be seen again to be worth a note.
    precision: timedelta

    def network_upsert(self, user_id: UUID, now: datetime) -> dict[str, Any]:
        """What the statement that remembers the network needs by name."""
        return familiar_networks.upsert_values(user_id, self.network, now, precision=self.precision)


@dataclass(frozen=True, slots=True)
class NewSession:
    """What is to be written: rows, and what they depend on.

    `counted` is None where nothing is counted. `event` tells of the family, with the same origin and instant, and gets
    its detail where the network is new to the user. `slots` is how many lineage rows a family keeps (0: none),
    `keep` how many live families the user may have besides this one.
    """

    family: dict[str, Any]
    event: dict[str, Any]
    detail_if_new: str
    counted: AttemptKeys | None
    slots: int
    keep: int
    now: datetime


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The new family, the live families that are now too many, and whether its network is new to the user."""

    family: FamilyRow
    over_limit: Sequence[UUID]
    from_new_network: bool


_networks, _events = familiar_networks.familiar_networks, security_events.security_events
_families, _tokens = families.families, refresh_tokens.refresh_tokens


def _given(name: str, column: Any) -> Any:
    return bindparam(name, type_=column.type)


_one: Any = literal_column("1")
_now = _given("now", _families.c.created_at)
_of_user = _networks.c.user_id == bindparam("of_user")
_is_known = exists(_one).where(_of_user, _networks.c.network == bindparam("from_network"))
# Everything in the statement sees the tables as they were before it.
_looked = select(
    case((exists(_one).where(_of_user), ~_is_known), else_=bindparam("new_if_none_is_known", type_=Boolean())).label(
        "from_new_network"
    )
).cte("looked")
_is_held = bindparam("is_held", type_=Boolean())
_has_room = families.LIVE.scalar_subquery() <= bindparam("keep", type_=BigInteger())
# Who does not hold the user's row finds it as it was seen, or waits for who does, and then finds it changed: by each
# sign-in, or of many at once none would count the sessions of the others.
_is_as_seen = and_(bindparam("of_version", type_=Text()) == ROW_VERSION, _is_known, _has_room)
_user = (
    update(users)
    .where(users.c.id == bindparam("of_user"), or_(_is_held, _is_as_seen))
    .values(is_active=users.c.is_active)
    .returning(users.c.id)
    .cte("signing_in")
)
_new_family: dict[str, Any] = {
    "user_id": _user.c.id,
    "id": _given("family_id", _families.c.id),
    "generation": _one,
    "rate_limit_tat": literal_column("0"),
    "created_at": _now,
    "last_used_at": _now,
} | {
    name: _given(name, _families.c[name])
    for name in ("token_digest", "device_name", "user_agent", "ip", "expires_at", "absolute_expires_at")
}
_family = (
    insert(_families).from_select([*_new_family], select(*_new_family.values())).returning(*_families.c).cte("family")
)
_first_token = {
    "user_id": _family.c.user_id,
    "family_id": _family.c.id,
    "slot": _given("slot", _tokens.c.slot),
    "generation": _family.c.generation,
    "issued_at": _family.c.last_used_at,
    "expires_at": _family.c.expires_at,
    "ip": _family.c.ip,
    "user_agent": _family.c.user_agent,
}
_event = {
    "user_id": _family.c.user_id,
    "id": _given("event_id", _events.c.id),
    "family_id": _family.c.id,
    "kind": _given("kind", _events.c.kind),
    "occurred_at": _family.c.created_at,
    "ip": _family.c.ip,
    "user_agent": _family.c.user_agent,
    "detail": case((_looked.c.from_new_network, _given("detail_if_new", _events.c.detail)), else_=null()),
}
_is_opened = exists(select(_one).select_from(_family))
_OPEN = Compiled(
    select(
        *_family.c,
        _looked.c.from_new_network,
        case((_is_held, func.array(families.OVER_LIMIT.scalar_subquery()))).label("surplus"),
    )
    .select_from(_family.join(_looked, literal_column("true")))
    .add_cte(
        insert(_tokens)
        .from_select([*_first_token], select(*_first_token.values()).where(_first_token["slot"].is_not(None)))
        .returning(_one)
        .cte("first_token"),
        insert(_events)
        .from_select([*_event], select(*_event.values()).join_from(_family, _looked, literal_column("true")))
        .returning(_one)
        .cte("event"),
        familiar_networks.upsert_statement("postgresql", _is_opened).returning(_one).cte("seen"),
        *login_failures.refund_statement(_is_opened),
    )
)


async def insert_if_unchanged(db: Database, sign_in: NewSession, seen: MatchedUser) -> FamilyRow | None:
    """Write it if the user is as they were seen, the network is known, and no session is one too many.

    Returns None where one of that is not so, or nothing is counted, and then nothing was written.
    """
    if (counted := sign_in.counted) is None:
        return None
    if db.writer is not None:
        return await db.write(partial(_at_once_on_sqlite, sign_in, counted, seen))
    async with db.autocommit(may_block=True) as conn:
        values = _values(sign_in, counted) | {"is_held": False, "of_version": seen.version}
        return cast(FamilyRow | None, await _OPEN.one_or_none(conn, values))


async def insert_locked(conn: Connection, sign_in: NewSession) -> SessionCreated:
    """Write it, in the transaction of a caller who holds the user's row, and say what else is to be done."""
    if conn.dialect.name == "postgresql" and sign_in.counted is not None:
        values = _values(sign_in, sign_in.counted) | {"is_held": True, "of_version": None}
        opened = await _OPEN.one(conn, values)
        return SessionCreated(cast(FamilyRow, opened), opened.surplus, opened.from_new_network)
    user_id, is_new = sign_in.family["user_id"], False
    surplus = await families.over_limit(conn, user_id, keep=sign_in.keep, now=sign_in.now)
    if sign_in.counted is not None:
        known = await familiar_networks.list_for_user(conn, user_id)
        is_new = sign_in.counted.network not in known if known else sign_in.counted.new_if_none_is_known
    stored = await families.insert_family(conn, sign_in.family)
    for statement, values in _side_effects(sign_in, stored, is_new, conn.dialect.name):
        await statement.all(conn, values)
    return SessionCreated(stored, surplus, is_new)


def _values(sign_in: NewSession, counted: AttemptKeys) -> dict[str, Any]:
    family, event = sign_in.family, sign_in.event
    return {
        **family,
        **counted.network_upsert(family["user_id"], sign_in.now),
        **login_failures.refund_values(counted.addresses, counted.name),
        "family_id": family["id"],
        "event_id": event["id"],
        "kind": event["kind"],
        "new_if_none_is_known": counted.new_if_none_is_known,
        "detail_if_new": sign_in.detail_if_new,
        "slot": family["generation"] % sign_in.slots if sign_in.slots else None,
        "keep": sign_in.keep,
        "now": sign_in.now,
    }


def _at_once_on_sqlite(
    sign_in: NewSession, counted: AttemptKeys, seen: MatchedUser, connection: sqlite3.Connection
) -> FamilyRow | None:
    of_user = {"of_user": sign_in.family["user_id"]}
    user = BY_ID.on_sqlite.one_or_none(connection, {"user_id": seen.user.id})
    if user is None or (user.is_active, user.hashed_password) != (seen.user.is_active, seen.user.hashed_password):
        return None
    if counted.network not in {row.network for row in familiar_networks.OF_USER.on_sqlite.all(connection, of_user)}:
        return None
    if families.COUNT_LIVE.on_sqlite.one(connection, of_user | {"now": sign_in.now}).live > sign_in.keep:
        return None
    stored = families.INSERT.on_sqlite.one(connection, families.DEFAULTS | sign_in.family)
    for statement, values in _side_effects(sign_in, stored, is_new=False, database="sqlite"):
        statement.on_sqlite.all(connection, values)
    return stored


def _side_effects(
    sign_in: NewSession, stored: FamilyRow, is_new: bool, database: str
) -> Iterator[tuple[Compiled[Any], dict[str, Any]]]:
    """One after the other what is one statement on PostgreSQL."""
    if sign_in.slots:
        row = refresh_tokens.row_values(stored, user_agent=stored.user_agent, slots=sign_in.slots)
        yield refresh_tokens.RECORD, row
    if (counted := sign_in.counted) is not None:
        yield familiar_networks.UPSERT[database], counted.network_upsert(stored.user_id, sign_in.now)
        yield from login_failures.refund_on_sqlite(counted.addresses, counted.name)
    yield (
        security_events.ADD,
        security_events.DEFAULTS | sign_in.event | {"detail": sign_in.detail_if_new if is_new else None},
    )
