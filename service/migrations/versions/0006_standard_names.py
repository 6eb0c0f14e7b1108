"""Columns and tables take the field's standard terms; no row changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("accounts", "turn", "last_served"),
    ("api_keys", "hint", "key_prefix"),
    ("jobs", "door", "source"),
    ("jobs", "settled_by", "resolved_by"),
    ("jobs", "misses", "failed_polls"),
    ("deliveries", "spent", "scheduled_attempts"),
    ("providers", "held", "held_reason"),
    ("providers", "trouble", "last_error"),
    ("providers", "trouble_since", "last_error_since"),
    ("events", "seq", "feed_sequence"),
    ("events", "once", "dedup_key"),
)
_TABLES = (
    ("set_aside", "quarantined_rows"),
    ("refusals", "rejection_counts"),
    ("postings", "thread_references"),
)


def upgrade() -> None:
    for index, table in (
        ("ix_accounts_turn_id", "accounts"),
        ("ix_events_account_id_seq", "events"),
        ("ix_events_unnumbered", "events"),
    ):
        op.drop_index(index, table)
    for table, old, new in _COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    for old, new in _TABLES:
        op.rename_table(old, new)
    op.create_index(op.f("ix_accounts_last_served_id"), "accounts", ["last_served", "id"])
    name = op.f("ix_events_account_id_feed_sequence")
    op.create_index(name, "events", ["account_id", "feed_sequence"], unique=True)
    _rename_constraints()
    unnumbered = sa.text("feed_sequence IS NULL")
    op.create_index(
        "ix_events_unnumbered",
        "events",
        ["id"],
        sqlite_where=unnumbered,
        postgresql_where=unnumbered,
    )


def _rename_constraints() -> None:
    """The names that the metadata gives; SQLite keeps none but that of the unique key."""
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("events") as batch:
            batch.drop_constraint("uq_events_once", type_="unique")
            batch.create_unique_constraint("uq_events_dedup_key", ["dedup_key"])
        return
    op.execute("ALTER TABLE events RENAME CONSTRAINT uq_events_once TO uq_events_dedup_key")
    for old, new in _TABLES:
        op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT pk_{old} TO pk_{new}")
    for column in ("subscription_id", "job_id"):
        op.execute(
            "ALTER TABLE thread_references "
            f"RENAME CONSTRAINT fk_postings_{column} TO fk_thread_references_{column}"
        )
