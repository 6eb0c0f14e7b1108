"""Batch keys of jobs, troubles of providers, damaged rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain ALTERs: a batch would copy the table, which its referring rows forbid on SQLite.
    op.add_column("jobs", sa.Column("batch_key", sa.String(length=40), nullable=True))
    op.add_column("jobs", sa.Column("batch_content", sa.String(length=40), nullable=True))
    op.create_index(
        op.f("ix_jobs_account_id_batch_key"), "jobs", ["account_id", "batch_key"], unique=True
    )
    op.add_column("providers", sa.Column("trouble", sa.Text(), nullable=True))
    op.add_column("providers", sa.Column("trouble_since", Moment(), nullable=True))
    op.create_table(
        "set_aside",
        sa.Column("work", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("work", "row_id", name=op.f("pk_set_aside")),
    )
