"""An index that tells when each subscription last took something."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    delivered = sa.text("state = 'delivered'")
    op.create_index(
        "ix_deliveries_delivered",
        "deliveries",
        ["subscription_id", "finished_at"],
        sqlite_where=delivered,
        postgresql_where=delivered,
    )
