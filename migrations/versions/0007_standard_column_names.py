"""`rate_limit_tat` and `failed_at`: the standard names of two columns."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE token_families RENAME COLUMN busy_until TO rate_limit_tat")
    op.execute("ALTER TABLE outbox RENAME COLUMN given_up_at TO failed_at")


def downgrade() -> None:
    op.execute("ALTER TABLE outbox RENAME COLUMN failed_at TO given_up_at")
    op.execute("ALTER TABLE token_families RENAME COLUMN rate_limit_tat TO busy_until")
