"""Indexes that answer lists of one model, and how many deliveries there are of each kind."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_account_id_model_id", "jobs", ["account_id", "model", "id"])
    op.create_index("ix_deliveries_channel_state", "deliveries", ["channel", "state"])
