"""What every table shares: the metadata with named constraints, and the enums whose values a CHECK allows."""

from enum import StrEnum
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Delete,
    Table,
    bindparam,
    delete,
    func,
    select,
    tuple_,
)
from sqlmodel import SQLModel

# Set before the first table class: a constraint without a name cannot be dropped by a migration on both databases.
SQLModel.metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}
metadata = SQLModel.metadata

# Rotations rewrite these rows in place; the free tenth of each page keeps such updates HOT (PostgreSQL writes
# the new version into the same page and touches no index).
HOT_FILLFACTOR = {"postgresql_with": {"fillfactor": 90}}
# On SQLite the rows themselves are stored in primary-key order, so all rows of a user lie together.
WITHOUT_ROWID = {"sqlite_with_rowid": False}

# PostgreSQL, as a part of a statement: its commit does not wait for the disk. A crash or a failover can lose what such
# statements wrote in the last second, and nothing else.
ASYNC_COMMIT = func.set_config("synchronous_commit", "off", True)

USER_AGENT_LENGTH = 512
IP_LENGTH = 45


class SessionState(StrEnum):
    """The state of a family."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class RevocationReason(StrEnum):
    """Why a family was revoked before it expired."""

    REVOKED_BY_USER = "REVOKED_BY_USER"
    REFRESH_TOKEN_REPLAYED = "REFRESH_TOKEN_REPLAYED"
    PASSWORD_CHANGED = "PASSWORD_CHANGED"
    USER_DISABLED = "USER_DISABLED"
    SESSION_LIMIT = "SESSION_LIMIT"
    REVOKED_BY_OPERATOR = "REVOKED_BY_OPERATOR"


class SecurityEventKind(StrEnum):
    """What happened to an account."""

    LOGIN_SUCCEEDED = "LOGIN_SUCCEEDED"
    LOGIN_FAILED = "LOGIN_FAILED"
    LOGIN_THROTTLED = "LOGIN_THROTTLED"
    REFRESH_TOKEN_REPLAYED = "REFRESH_TOKEN_REPLAYED"
    SESSION_REVOKED = "SESSION_REVOKED"
    PASSWORD_CHANGED = "PASSWORD_CHANGED"
    USER_DISABLED = "USER_DISABLED"


class NotificationKind(StrEnum):
    """Kinds of security notifications, by their names in webhooks."""

    SESSION_REPLAYED = "session.replayed"
    SESSION_FROM_NEW_DEVICE = "session.created_from_new_device"
    PASSWORD_CHANGED = "user.password_changed"
    USER_DISABLED = "user.disabled"
    TEST = "notice.test"


class NotificationChannel(StrEnum):
    """Ways to deliver a security notification."""

    WEBHOOK = "webhook"
    MAIL = "mail"


class SigningAlgorithm(StrEnum):
    """Algorithms that sign access tokens, by their names in JWS."""

    EDDSA = "EdDSA"
    ES256 = "ES256"


def check_in(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return a CHECK that allows the values of an enum in `column`."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def delete_some(table: Table, *conditions: ColumnElement[bool]) -> Delete:
    """Return a DELETE of up to `:limit` rows that meet the conditions, without those that another transaction locks.

    It waits for no row, so pruning is part of no deadlock. A row that is locked now is deleted by a later pruning.

    The rows are chosen in a WITH, because PostgreSQL may execute a plain subquery twice and delete more than the limit.
    The WITH is inside the subquery, because SQLite's driver reports no row count for a statement that begins with WITH.
    """
    key = table.primary_key.columns
    limit = bindparam("limit", type_=BigInteger())
    free = select(*key).where(*conditions).limit(limit).with_for_update(skip_locked=True).cte("free", nesting=True)
    return delete(table).where(tuple_(*key).in_(select(*free.c)))


def defaults_of(model: type[SQLModel]) -> dict[str, Any]:
    """Return the columns that an INSERT may leave out, with their defaults."""
    return {name: field.default for name, field in model.model_fields.items() if not field.is_required()}


def table_of(model: type[SQLModel]) -> Table:
    """Return the Core table of a SQLModel class."""
    return cast(Table, model.__table__)  # type: ignore[attr-defined]
