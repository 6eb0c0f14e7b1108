"""A name and headers of its own for each subscription."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    name = sa.Column("name", sa.Text(), nullable=False, server_default="")
    op.add_column("subscriptions", name)
    op.add_column("subscriptions", sa.Column("headers", sa.Text(), nullable=True))
