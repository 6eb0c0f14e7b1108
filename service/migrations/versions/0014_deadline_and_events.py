"""The caller's deadline of a job, and its only events that are told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("events", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("cancel_at", Moment(), nullable=True))
    few = sa.text("cancel_at IS NOT NULL")
    op.create_index(
        "ix_jobs_cancel_at", "jobs", ["cancel_at"], sqlite_where=few, postgresql_where=few
    )
