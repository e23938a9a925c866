"""Users and sessions written directly into the tables, as sign-ins leave them, without the time for sign-ins."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import digest
from auth.services import Services
from db.tables.families import families
from db.tables.refresh_tokens import refresh_tokens
from db.tables.usernames import usernames
from db.tables.users import users
from tests.support.servers import SECRET
from tests.support.sql import looking_at

AT_ONCE = 5_000


@dataclass(slots=True)
class Seeded:
    """A session and its owner."""

    user_id: UUID
    id: UUID
    username: str
    access_token: str
    refresh_token: str


async def seed(url: str, *, people: int, sessions_each: int, password_hash: str = "no hash") -> list[Seeded]:
    """Add users with live sessions. In the list, the sessions of one user are as far apart as possible."""
    settings = Settings(database_url=url, secret=SECRET)
    services = Services.create(settings, SECRET.encode(), Entropy())
    now, entropy = SystemClock().now(), services.entropy
    owners: list[dict[str, Any]] = []
    for number in range(people):
        name = f"user-{number}-{entropy.token()[:8].lower()}"
        owner: dict[str, Any] = {
            "id": entropy.id(now),
            "username": name,
            "email": None,
            "hashed_password": password_hash,
        }
        owners.append(owner | {"is_active": True, "created_at": now, "password_changed_at": now})
    names = [{"username_key": owner["username"], "user_id": owner["id"]} for owner in owners]
    rows: list[dict[str, Any]] = []
    lineage: list[dict[str, Any]] = []
    seeded: list[Seeded] = []
    try:
        await services.start(now)
        for owner in owners * sessions_each:
            jti = entropy.token()
            row: dict[str, Any] = {
                "user_id": owner["id"],
                "id": entropy.id(now),
                "token_digest": digest(jti),
                "generation": 1,
                "user_agent": "kindred-bench",
                "ip": "127.0.0.1",
                "created_at": now,
                "last_used_at": now,
                "expires_at": now + settings.refresh_token_ttl,
                "absolute_expires_at": now + settings.session_ttl,
            }
            rows.append(row)
            slot = {"family_id": row["id"], "slot": 1, "generation": 1, "issued_at": now}
            lineage.append({name: row[name] for name in ("user_id", "expires_at", "ip", "user_agent")} | slot)
            family: Any = SimpleNamespace(**row)
            pair = services.rotation.token_pairs.create(family, jti, now)
            seeded.append(Seeded(owner["id"], row["id"], owner["username"], pair.access_token, pair.refresh_token))
        for table, filled in ((users, owners), (usernames, names), (families, rows), (refresh_tokens, lineage)):
            for start in range(0, len(filled), AT_ONCE):
                async with looking_at(services.db) as conn:
                    await conn.execute(insert(table), filled[start : start + AT_ONCE])
        if services.db.writer is None:
            async with looking_at(services.db) as conn:
                await conn.execute(text("ANALYZE"))  # as autovacuum does within the next minutes
    finally:
        await services.stop()
    return seeded
