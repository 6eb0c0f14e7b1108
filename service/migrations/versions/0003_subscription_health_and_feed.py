"""Health, filters and secrets of subscriptions; the feed; resends; paused channels."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from service.store.schema import Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _events()
    _subscriptions()
    _deliveries()
    op.add_column("attempts", _needed("manual", sa.Boolean(), sa.false()))
    op.create_table(
        "channels",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("paused_until", Moment(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channels")),
    )


def _needed(
    name: str, kind: sa.types.TypeEngine[Any], default: sa.ColumnElement[Any] | sa.TextClause
) -> sa.Column[Any]:
    """A column that old rows get too."""
    return sa.Column(name, kind, nullable=False, server_default=default)


def _few(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _events() -> None:
    with op.batch_alter_table("events") as batch:
        batch.alter_column("job_id", existing_type=sa.String(length=40), nullable=True)
    op.add_column("events", sa.Column("about", sa.JSON(), nullable=True))
    op.add_column("events", _needed("sample", sa.Boolean(), sa.false()))
    op.add_column("events", sa.Column("seq", sa.Integer(), nullable=True))
    name = op.f("ix_events_account_id_seq")
    op.create_index(name, "events", ["account_id", "seq"], unique=True)
    _few("ix_events_unnumbered", "events", ["id"], "seq IS NULL")
    op.create_index(op.f("ix_accounts_turn_id"), "accounts", ["turn", "id"])
    op.create_table(
        "feeds",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_feeds_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_feeds")),
    )


def _subscriptions() -> None:
    for column in (
        _needed("hook", sa.Boolean(), sa.false()),
        _needed("models", sa.JSON(), sa.text("'[]'")),
        _needed("metadata", sa.JSON(), sa.text("'{}'")),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_until", Moment(), nullable=True),
        sa.Column("slow_until", Moment(), nullable=True),
        sa.Column("failing_since", Moment(), nullable=True),
        _needed("exhausted", sa.Integer(), sa.text("0")),
        sa.Column("announced_at", Moment(), nullable=True),
    ):
        op.add_column("subscriptions", column)
    _few("ix_subscriptions_held", "subscriptions", ["held_until"], "held_until IS NOT NULL")
    _few("ix_subscriptions_slow", "subscriptions", ["slow_until"], "slow_until IS NOT NULL")


def _deliveries() -> None:
    with op.batch_alter_table("deliveries") as batch:
        batch.alter_column("job_id", existing_type=sa.String(length=40), nullable=True)
    op.add_column("deliveries", _needed("spent", sa.Integer(), sa.text("0")))
    op.execute("UPDATE deliveries SET spent = attempts")
    op.add_column("deliveries", sa.Column("leased_until", Moment(), nullable=True))
    op.add_column("deliveries", sa.Column("resending", sa.String(length=40), nullable=True))
    op.add_column("deliveries", sa.Column("resent_at", Moment(), nullable=True))
    name = op.f("ix_deliveries_subscription_id_state_due_at")
    op.create_index(name, "deliveries", ["subscription_id", "state", "due_at"])
    _few(
        "ix_deliveries_leased",
        "deliveries",
        ["subscription_id", "leased_until"],
        "leased_until IS NOT NULL",
    )
    _few("ix_deliveries_resent", "deliveries", ["account_id", "resent_at"], "resent_at IS NOT NULL")
