"""`signing_keys`: what access tokens are signed with. Private keys are sealed with the server secret."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, insert, or_, select, text, update
from sqlmodel import Field, SQLModel

from db.engine.compiled import Compiled
from db.engine.database import Connection
from db.tables.base import SigningAlgorithm, check_in, table_of


class SigningKey(SQLModel, table=True):
    __tablename__ = "signing_keys"
    __table_args__ = (check_in("algorithm", SigningAlgorithm),)

    kid: str = Field(primary_key=True, max_length=64)
    algorithm: str = Field(max_length=16)
    # DER: SubjectPublicKeyInfo, and PKCS #8 sealed.
    public_key: bytes
    sealed_private_key: bytes
    created_at: datetime
    active_from: datetime
    retired_at: datetime | None = None


class SigningKeyRow(NamedTuple):
    """A row of `signing_keys`."""

    kid: str
    algorithm: str
    public_key: bytes
    sealed_private_key: bytes
    created_at: datetime
    active_from: datetime
    retired_at: datetime | None = None


signing_keys = table_of(SigningKey)

# On SQLite a write transaction excludes every other write anyway.
_LOCK = Compiled(
    postgresql=text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"), sqlite=text("SELECT 1 WHERE 0")
)
_ALL = Compiled(select(signing_keys).order_by(signing_keys.c.active_from, signing_keys.c.kid), SigningKeyRow)
_INSERT = Compiled(insert(signing_keys))
_RESEAL = Compiled(
    update(signing_keys).where(signing_keys.c.kid == bindparam("of")).values(sealed_private_key=bindparam("sealed"))
)
_RETIRE = Compiled(
    update(signing_keys)
    .where(or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > bindparam("at")))
    .values(retired_at=bindparam("at"))
)


async def lock(conn: Connection) -> None:
    """Let no other transaction add or retire a key until this one ends: two workers may start at the same time."""
    await _LOCK.all(conn, {})


async def list_all(conn: Connection) -> Sequence[SigningKeyRow]:
    """Return every key, oldest first."""
    return await _ALL.all(conn, {})


async def add(conn: Connection, key: SigningKeyRow) -> None:
    """Store a new key."""
    await _INSERT.execute(conn, key._asdict())


async def reseal(conn: Connection, kid: str, sealed: bytes) -> None:
    """Replace the sealed private key, which was sealed with another secret."""
    await _RESEAL.execute(conn, {"of": kid, "sealed": sealed})


async def retire(conn: Connection, *, at: datetime) -> None:
    """From `at` on, accept no signature of any key. A key that retires sooner still does.

    This includes keys that a clock ahead of this one made or was to retire.
    """
    await _RETIRE.execute(conn, {"at": at})
