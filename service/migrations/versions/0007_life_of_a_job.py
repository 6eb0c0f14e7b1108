"""Patience with missing results, creates counted for each data folder, clocks of workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("missing_since", Moment(), nullable=True))
    op.add_column(
        "workers", sa.Column("clock_offset", sa.Double(), nullable=False, server_default="0")
    )
    op.create_table(
        "high_water",
        sa.Column("data_folder", sa.String(length=40), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("data_folder", name=op.f("pk_high_water")),
    )
