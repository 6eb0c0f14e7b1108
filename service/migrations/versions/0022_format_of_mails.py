"""The format of mails is called as their channel is, no longer as a function of ours."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE subscriptions SET format = 'email' WHERE channel = 'email'")
