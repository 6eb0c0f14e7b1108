"""A job's input as it was asked for, where the vendor is chosen, and who has refused it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("requested", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("refused_by", sa.JSON(none_as_null=True), nullable=True))
