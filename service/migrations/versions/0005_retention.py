"""When videos were deleted, where feeds begin, and what is looked for when pruning."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("videos", sa.Column("deleted_at", Moment(), nullable=True))
    op.create_index(op.f("ix_videos_state_stored_at"), "videos", ["state", "stored_at"])
    name = op.f("ix_videos_account_id_state_stored_at")
    op.create_index(name, "videos", ["account_id", "state", "stored_at"])
    first = sa.Column("first_seq", sa.Integer(), nullable=False, server_default="1")
    op.add_column("feeds", first)
