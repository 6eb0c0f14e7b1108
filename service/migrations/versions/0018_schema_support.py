"""The oldest version that works on this schema; see `store.schema_version`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "schema_support",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("oldest", sa.String(16), nullable=False),
    )
    op.bulk_insert(table, [{"id": 1, "oldest": revision}])
