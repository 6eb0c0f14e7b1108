"""Tries of creates that were refused, so that their repeats get jobs of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refused_tries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("sent", sa.String(length=64), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_tries")),
    )
    op.create_index(op.f("ix_refused_tries_sent"), "refused_tries", ["sent"])
    op.create_index(op.f("ix_refused_tries_created_at"), "refused_tries", ["created_at"])
