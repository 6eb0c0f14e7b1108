"""Links and sessions that are over before their time, and when a key was last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spent_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent_tokens")),
    )
    op.add_column("api_keys", sa.Column("last_used", Moment(), nullable=True))
