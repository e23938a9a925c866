"""What is stored: the SQLModel tables and the statements on them. No policy lives here.

Each module holds one table and every statement that touches it. Statements are SQLAlchemy Core on the
SQLModel tables, declared once; a row that comes back reads like the model (`row.revoked_at`) but is an
immutable `Row`, so there is no unit of work that could write something nobody asked for.
"""

from db.tables import (
    familiar_networks,
    families,
    leases,
    login_failures,
    outbox,
    refresh_tokens,
    security_events,
    signing_keys,
    usernames,
    users,
)
from db.tables.base import metadata

__all__ = [
    "familiar_networks",
    "families",
    "leases",
    "login_failures",
    "metadata",
    "outbox",
    "refresh_tokens",
    "security_events",
    "signing_keys",
    "usernames",
    "users",
]
