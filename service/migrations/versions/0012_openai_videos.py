"""Jobs of OpenAI's videos API: what was asked in its words, and creates that clients repeat."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("source_fields", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "repeatable_creates",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("api_key_id", sa.String(length=40), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("first_try_seen", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_repeatable_creates_job_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_repeatable_creates")),
        sa.UniqueConstraint(
            "api_key_id",
            "fingerprint",
            "number",
            name=op.f("uq_repeatable_creates_api_key_id_fingerprint_number"),
        ),
    )
    op.create_index(op.f("ix_repeatable_creates_created_at"), "repeatable_creates", ["created_at"])
