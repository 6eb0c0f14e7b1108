"""Indexes that answer lists of one state, and what an account has spent today."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SPENT = ["account_id", "sent_at", "state", "actual_cost", "estimated_max", "resolved_by"]


def upgrade() -> None:
    for table in ("jobs", "deliveries"):
        op.create_index(f"ix_{table}_account_id_state_id", table, ["account_id", "state", "id"])
    op.create_index("ix_jobs_spent", "jobs", SPENT)
    op.drop_index("ix_jobs_account_id_sent_at", "jobs")
