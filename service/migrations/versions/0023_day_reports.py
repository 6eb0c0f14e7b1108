"""Reports of past days, so that a busy account's numbers need not read all its rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "day_reports",
        sa.Column("account_id", sa.String(40), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
        sa.Column("made_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "day", name="pk_day_reports"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_day_reports_account_id"),
    )
