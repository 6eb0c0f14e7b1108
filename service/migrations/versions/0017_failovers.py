"""How many jobs a vendor's sure refusal sent to another one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("failovers", sa.Integer(), nullable=False, server_default="0")
    op.add_column("providers", column)
