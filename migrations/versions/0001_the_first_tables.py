"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "login_failures",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("failures >= 1", name=op.f("ck_login_failures_failures")),
        sa.CheckConstraint("length(subject) = 32", name=op.f("ck_login_failures_subject")),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_failures")),
    )
    op.create_index("ix_login_failures_last_failed_at", "login_failures", ["last_failed_at"])
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(16), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_private_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("algorithm IN ('EdDSA', 'ES256')", name=op.f("ck_signing_keys_algorithm")),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "usernames",
        sa.Column("username_key", sa.String(256), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("username_key", name=op.f("pk_usernames")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("hashed_password", sa.String(512), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_table(
        "security_events",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("user_agent", sa.String(512), nullable=True),
        sa.Column("detail", sa.String(200), nullable=True),
        sa.CheckConstraint(
            "kind IN ('LOGIN_SUCCEEDED', 'LOGIN_FAILED', 'LOGIN_THROTTLED', "
            "'REFRESH_TOKEN_REPLAYED', 'SESSION_REVOKED', 'PASSWORD_CHANGED', 'USER_DISABLED')",
            name=op.f("ck_security_events_kind"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_security_events_users")),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_security_events")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_security_events_occurred_at", "security_events", ["occurred_at"])
    op.create_table(
        "token_families",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("device_name", sa.String(100), nullable=True),
        sa.Column("user_agent", sa.String(512), nullable=True),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("absolute_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revocation_reason", sa.String(32), nullable=True),
        sa.CheckConstraint(
            "revocation_reason IN ('REVOKED_BY_USER', 'REFRESH_TOKEN_REPLAYED', 'PASSWORD_CHANGED', "
            "'USER_DISABLED', 'SESSION_LIMIT', 'REVOKED_BY_OPERATOR')",
            name=op.f("ck_token_families_revocation_reason"),
        ),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revocation_reason IS NULL)", name=op.f("ck_token_families_revoked_at")
        ),
        sa.CheckConstraint("expires_at <= absolute_expires_at", name=op.f("ck_token_families_expires_at")),
        sa.CheckConstraint("generation >= 1", name=op.f("ck_token_families_generation")),
        sa.CheckConstraint("length(token_digest) = 32", name=op.f("ck_token_families_token_digest")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_token_families_users")),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_token_families")),
        postgresql_with={"fillfactor": 90},
        sqlite_with_rowid=False,
    )
    op.create_index("ix_token_families_absolute_expires_at", "token_families", ["absolute_expires_at"])
    op.create_index("ix_token_families_revoked_at", "token_families", ["revoked_at"])
    op.create_table(
        "refresh_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("user_agent", sa.String(512), nullable=True),
        sa.CheckConstraint("generation >= 1", name=op.f("ck_refresh_tokens_generation")),
        sa.CheckConstraint("slot BETWEEN 0 AND 15", name=op.f("ck_refresh_tokens_slot")),
        sa.ForeignKeyConstraint(
            ["user_id", "family_id"],
            ["token_families.user_id", "token_families.id"],
            name=op.f("fk_refresh_tokens_token_families"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "family_id", "slot", name=op.f("pk_refresh_tokens")),
        postgresql_with={"fillfactor": 90},
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("refresh_tokens")
    op.drop_index("ix_token_families_revoked_at", "token_families")
    op.drop_index("ix_token_families_absolute_expires_at", "token_families")
    op.drop_table("token_families")
    op.drop_index("ix_security_events_occurred_at", "security_events")
    op.drop_table("security_events")
    op.drop_table("users")
    op.drop_table("usernames")
    op.drop_table("signing_keys")
    op.drop_index("ix_login_failures_last_failed_at", "login_failures")
    op.drop_table("login_failures")
