"""Storage: the tables, the statements on them, and the databases that run them. No policy lives here.

Each module of `db/tables` holds one table and its statements. Statements are SQLAlchemy Core on the SQLModel tables,
compiled once. They return immutable named tuples: there is no unit of work that could write what no statement says.
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
