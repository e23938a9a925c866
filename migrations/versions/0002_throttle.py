"""Failed login attempts and familiar networks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("login_failures") as table:
        table.drop_constraint(op.f("ck_login_failures_failures"), type_="check")
        table.create_check_constraint(op.f("ck_login_failures_failures"), "failures >= 0")
    op.create_table(
        "familiar_networks",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("network", sa.LargeBinary(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(network) = 32", name=op.f("ck_familiar_networks_network")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_familiar_networks_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "network", name=op.f("pk_familiar_networks")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_familiar_networks_last_seen_at", "familiar_networks", ["last_seen_at"])


def downgrade() -> None:
    op.drop_index("ix_familiar_networks_last_seen_at", "familiar_networks")
    op.drop_table("familiar_networks")
    op.execute("DELETE FROM login_failures WHERE failures = 0")
    with op.batch_alter_table("login_failures") as table:
        table.drop_constraint(op.f("ck_login_failures_failures"), type_="check")
        table.create_check_constraint(op.f("ck_login_failures_failures"), "failures >= 1")
