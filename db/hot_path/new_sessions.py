"""What a successful sign-in writes: session, lineage, event, network, and the refund of its login attempt.

PostgreSQL: one statement, under the lock of the user's row. SQLite: one function in the writer's thread; a transaction
if a session must be revoked or an owner notified as well.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Boolean, bindparam, case, exists, false, func, literal_column, null, select, true
from sqlalchemy.dialects import postgresql, sqlite

from db.drivers.connection import Dialect
from db.engine.compiled import Compiled
from db.engine.database import Connection, Database
from db.tables import familiar_networks, families, login_failures, refresh_tokens, security_events
from db.tables.families import FamilyRow
from db.tables.users import BY_ID, UserRow


@dataclass(frozen=True, slots=True)
class AttemptKeys:
    """The keys that the login attempt was counted under, and the network that it came from."""

    # Its failures are forgotten. None: nothing was counted.
    name: bytes | None = None
    # Their failures are one less each.
    addresses: Sequence[bytes] = ()
    # None: not remembered.
    network: bytes | None = None
    # Whether the network is new where no network of the user is known.
    new_if_none_is_known: bool = False
    # A network that was seen no longer ago is not written again.
    precision: timedelta = timedelta(0)

    def network_values(self, user_id: UUID, now: datetime) -> dict[str, Any]:
        """Return the values of the statement that remembers the network."""
        return familiar_networks.upsert_values(user_id, self.network, now, precision=self.precision)


@dataclass(frozen=True, slots=True)
class NewSession:
    """The rows to write, and what they depend on.

    `event` gets the detail `detail_if_new` if the network is new to the user. `slots` is how many lineage rows a
    session keeps (0: none), `keep` how many live sessions the user may have beside this one.
    """

    family: dict[str, Any]
    event: dict[str, Any]
    detail_if_new: str
    attempt: AttemptKeys
    slots: int
    keep: int
    now: datetime


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The new session, the live sessions beyond the limit, and whether the network is new to the user."""

    family: FamilyRow
    over_limit: Sequence[UUID]
    from_new_network: bool


_networks, _events = familiar_networks.familiar_networks, security_events.security_events
_families, _tokens = families.families, refresh_tokens.refresh_tokens


def _param(name: str, column: Any) -> Any:
    return bindparam(name, type_=column.type)


_one: Any = literal_column("1")
_user_id, _network = _param("of_user", _families.c.user_id), _param("from_network", _networks.c.network)
_of_user = _networks.c.user_id == _user_id
# Every part of the statement sees the tables as they were before it.
_network_check = select(
    case(
        (_network.is_(None), false()),
        (exists(_one).where(_of_user), ~exists(_one).where(_of_user, _networks.c.network == _network)),
        else_=bindparam("new_if_none_is_known", type_=Boolean()),
    ).label("from_new_network")
).cte("network_check")
_new_family = {
    "user_id": _user_id,
    "id": _param("family_id", _families.c.id),
    "rate_limit_tat": literal_column("0"),
} | {
    name: _param(name, _families.c[name])
    for name in (
        *("token_digest", "generation", "device_name", "user_agent", "ip"),
        *("created_at", "last_used_at", "expires_at", "absolute_expires_at"),
    )
}
# A conflict: an earlier attempt at this sign-in was committed, although its answer was lost.
_family = (
    postgresql.insert(_families).values(_new_family).on_conflict_do_nothing().returning(*_families.c).cte("family")
)
_first_token = {
    "user_id": _family.c.user_id,
    "family_id": _family.c.id,
    "slot": _param("slot", _tokens.c.slot),
    "generation": _family.c.generation,
    "issued_at": _family.c.last_used_at,
    "expires_at": _family.c.expires_at,
    "ip": _family.c.ip,
    "user_agent": _family.c.user_agent,
}
_event = {
    "user_id": _family.c.user_id,
    "id": _param("event_id", _events.c.id),
    "family_id": _family.c.id,
    "kind": _param("kind", _events.c.kind),
    "occurred_at": _family.c.created_at,
    "ip": _family.c.ip,
    "user_agent": _family.c.user_agent,
    "detail": case((_network_check.c.from_new_network, _param("detail_if_new", _events.c.detail)), else_=null()),
}
_is_inserted = exists(select(_one).select_from(_family))
_INSERT = Compiled(
    select(
        *_family.c,
        _network_check.c.from_new_network,
        func.array(families.OVER_LIMIT.scalar_subquery()).label("over_limit"),
    )
    .select_from(_family.join(_network_check, true()))
    .add_cte(
        _tokens.insert()
        .from_select([*_first_token], select(*_first_token.values()).where(_first_token["slot"].is_not(None)))
        .returning(_one)
        .cte("first_token"),
        _events.insert()
        .from_select([*_event], select(*_event.values()).join_from(_family, _network_check, true()))
        .returning(_one)
        .cte("event"),
        familiar_networks.upsert_statement("postgresql", _is_inserted, _network.is_not(None))
        .returning(_one)
        .cte("network"),
        *login_failures.refund_statement(_is_inserted),
    )
)
_INSERT_ON_SQLITE = Compiled(sqlite.insert(_families).on_conflict_do_nothing().returning(*_families.c), FamilyRow)


async def insert_in_writer(db: Database, new: NewSession, verified: UserRow) -> FamilyRow | None:
    """SQLite: write a sign-in that needs nothing else, if the user is still as verified. None: nothing was written."""
    return None if db.dialect is Dialect.postgresql else await db.write(partial(_insert_on_sqlite, new, verified))


async def insert_locked(conn: Connection, new: NewSession) -> SessionCreated:
    """Write a sign-in, in a transaction that holds the user's row. The caller revokes what is over the limit."""
    if conn.dialect is Dialect.postgresql:
        row = await _INSERT.one_or_none(conn, _values(new))
        created = row and SessionCreated(
            FamilyRow(*row[: len(FamilyRow._fields)]), row.over_limit, row.from_new_network
        )
    else:
        created = await _insert_locked_on_sqlite(conn, new)
    if created is not None:
        return created
    stored = await families.get(conn, new.family["user_id"], new.family["id"])
    return SessionCreated(cast(FamilyRow, stored), (), from_new_network=False)


def _values(new: NewSession) -> dict[str, Any]:
    """PostgreSQL: the values of the statement."""
    return {
        **new.family,
        **new.attempt.network_values(new.family["user_id"], new.now),
        **login_failures.refund_values(new.attempt.addresses, new.attempt.name),
        "family_id": new.family["id"],
        "event_id": new.event["id"],
        "kind": new.event["kind"],
        "new_if_none_is_known": new.attempt.new_if_none_is_known,
        "detail_if_new": new.detail_if_new,
        "slot": new.family["generation"] % new.slots if new.slots else None,
        "keep": new.keep,
        "now": new.now,
    }


def _insert_on_sqlite(new: NewSession, verified: UserRow, connection: sqlite3.Connection) -> FamilyRow | None:
    of_user = {"of_user": verified.id}
    user = BY_ID.on_sqlite.one_or_none(connection, {"user_id": verified.id})
    if user is None or (user.is_active, user.hashed_password) != (True, verified.hashed_password):
        return None
    if new.attempt.network is not None:
        known = familiar_networks.OF_USER.on_sqlite.all(connection, of_user)
        if new.attempt.network not in {row.network for row in known}:
            return None
    if families.COUNT_LIVE.on_sqlite.one(connection, of_user | {"now": new.now}).live > new.keep:
        return None
    stored = _INSERT_ON_SQLITE.on_sqlite.one_or_none(connection, families.DEFAULTS | new.family)
    if stored is None:
        return None
    for statement, values in _side_effects(new, stored, is_new=False):
        statement.on_sqlite.all(connection, values)
    return stored


async def _insert_locked_on_sqlite(conn: Connection, new: NewSession) -> SessionCreated | None:
    user_id, is_new = new.family["user_id"], False
    over_limit = await families.over_limit(conn, user_id, keep=new.keep, now=new.now)
    if new.attempt.network is not None:
        known = await familiar_networks.list_for_user(conn, user_id)
        is_new = new.attempt.network not in known if known else new.attempt.new_if_none_is_known
    stored = await _INSERT_ON_SQLITE.one_or_none(conn, families.DEFAULTS | new.family)
    if stored is None:
        return None
    for statement, values in _side_effects(new, stored, is_new):
        await statement.all(conn, values)
    return SessionCreated(stored, over_limit, is_new)


def _side_effects(new: NewSession, stored: FamilyRow, is_new: bool) -> Iterator[tuple[Compiled[Any], dict[str, Any]]]:
    """SQLite: the statements after the session's own row, which are one with it on PostgreSQL."""
    if new.slots:
        row = refresh_tokens.row_values(stored, user_agent=stored.user_agent, slots=new.slots)
        yield refresh_tokens.RECORD, row
    if new.attempt.network is not None:
        yield familiar_networks.UPSERT, new.attempt.network_values(stored.user_id, new.now)
    yield from login_failures.refund_on_sqlite(new.attempt.addresses, new.attempt.name)
    event = security_events.DEFAULTS | new.event | {"detail": new.detail_if_new if is_new else None}
    yield security_events.ADD, event
