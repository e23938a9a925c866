"""`signing_keys`: what access tokens are signed with. Private keys are sealed with the server secret."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import insert, or_, select, text, update
from sqlmodel import Field, SQLModel

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


signing_keys = table_of(SigningKey)


async def lock(conn: Connection) -> None:
    """Let nobody else add or retire a key until the transaction ends: two workers start at the same time.

    On SQLite a write transaction excludes every other one anyway.
    """
    if conn.dialect.name == "postgresql":
        await conn.execute(text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))


async def list_all(conn: Connection) -> Sequence[SigningKey]:
    """Every key, oldest first."""
    found = await conn.execute(select(signing_keys).order_by(signing_keys.c.active_from, signing_keys.c.kid))
    return cast(Sequence[SigningKey], found.all())


async def add(conn: Connection, key: SigningKey) -> None:
    """Store a new key."""
    await conn.execute(insert(signing_keys), key.model_dump())


async def reseal(conn: Connection, kid: str, sealed: bytes) -> None:
    """Store a private key that was sealed anew."""
    await conn.execute(update(signing_keys).where(signing_keys.c.kid == kid).values(sealed_private_key=sealed))


async def retire(conn: Connection, *, at: datetime) -> None:
    """From `at` on, accept nothing that any of these keys signed; a key that is to retire sooner still does.

    A key that a clock ahead of this one made, or was to retire, is among them.
    """
    outlives = or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > at)
    await conn.execute(update(signing_keys).where(outlives).values(retired_at=at))
