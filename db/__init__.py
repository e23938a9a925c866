"""What is stored: the SQLModel tables and the statements on them. No policy lives here.

Each module holds one table and every statement that touches it. Statements are SQLAlchemy Core on the
SQLModel tables, declared once; a row that comes back reads like the model (`row.revoked_at`) but is an
immutable `Row`, so there is no unit of work that could write something nobody asked for.
"""

from db import (
    familiar_networks,
    families,
    leases,
    lineage,
    login_failures,
    outbox,
    security_events,
    signing_keys,
    usernames,
    users,
)
from db.base import metadata

__all__ = [
    "familiar_networks",
    "families",
    "leases",
    "lineage",
    "login_failures",
    "metadata",
    "outbox",
    "security_events",
    "signing_keys",
    "usernames",
    "users",
]
