"""
The tables. Column names are the field names of `model`.

Indexes serve two queries: the due rows (state, due_at), and the rows of an
account, newest first.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
)

from service.model import (
    CallbackState,
    DeliveryState,
    EventType,
    JobState,
    VideoState,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A column for times: timestamptz on PostgreSQL, sortable UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC, since SQLite's text has no offset."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware UTC time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Compressed(TypeDecorator[bytes]):
    """A column for bytes that are mostly text, stored deflated."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """The value, deflated."""
        return None if value is None else zlib.compress(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """The original value."""
        return None if value is None else zlib.decompress(value)


def _words(words: Any) -> Enum:
    return Enum(
        words,
        native_enum=False,
        create_constraint=False,
        length=40,
        values_callable=lambda members: [member.value for member in members],
    )


def _id() -> Column[str]:
    return Column("id", String(40), primary_key=True)


def _account() -> Column[str]:
    return Column("account_id", ForeignKey("accounts.id"), nullable=False)


def _moment(name: str, *, needed: bool = False) -> Column[datetime]:
    return Column(name, Moment, nullable=not needed)


def _work() -> list[Column[Any]]:
    """The columns of every claimable row; see `model.Job`."""
    return [
        Column("claims", Integer, nullable=False, default=0),
        _moment("due_at"),
        _moment("created_at", needed=True),
    ]


def _partial(name: str, condition: ColumnElement[bool], *columns: Column[Any]) -> None:
    """
    A partial index, over the rows for which the condition holds.

    `migrations/env.py` passes the condition on: naming the dialects here would load both.
    """
    Index(name, *columns, info={"where": condition})


accounts = Table(
    "accounts",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("owner_email", Text),
    Column("webhook_secret", Text, nullable=False),
    # The account's turn; see `store.work.Turns`.
    Column("last_served", Integer, nullable=False, default=0),
    _moment("created_at", needed=True),
    Index(None, "last_served", "id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    _account(),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("key_prefix", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    _moment("created_at", needed=True),
    _moment("revoked_at"),
    _moment("last_used"),
)

spent_tokens = Table(
    "spent_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    _moment("expires_at", needed=True),
)

jobs = Table(
    "jobs",
    metadata,
    _id(),
    _account(),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("events", JSON(none_as_null=True)),
    _moment("cancel_at"),
    # For a vendor-shaped API: the fields of the request that `input` does not contain.
    Column("source_fields", JSON(none_as_null=True)),
    Column("input", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("notify", JSON(none_as_null=True)),
    Column("state", _words(JobState), nullable=False),
    Column("task_id", Text),
    Column("error", JSON(none_as_null=True)),
    Column("resolved_by", Text),
    Column("muted", Boolean, nullable=False, default=False),
    Column("estimated_min", Double),
    Column("estimated_max", Double),
    Column("actual_cost", Double),
    Column("polls", Integer, nullable=False, default=0),
    Column("failed_polls", Integer, nullable=False, default=0),
    # The time at which the provider first showed no task, or no result of a finished task.
    _moment("missing_since"),
    *_work(),
    _moment("sent_at"),
    _moment("submitted_at"),
    _moment("finished_at"),
    _moment("deadline_at"),
    Column("overdue", Boolean, nullable=False, default=False),
    # The key and the content of the job's batch row, so that no file is paid twice.
    Column("batch_key", String(40)),
    Column("batch_content", String(40)),
    # For `auto`: the input as requested, and the vendors that have refused the job.
    Column("requested", JSON(none_as_null=True)),
    Column("refused_by", JSON(none_as_null=True)),
    UniqueConstraint("provider", "task_id"),
    Index(None, "state", "due_at"),
    Index(None, "provider", "state"),
    Index(None, "account_id", "id"),
    Index(None, "account_id", "state", "due_at"),
    # For lists of one state or one model, which may be few among many rows.
    Index(None, "account_id", "state", "id"),
    Index(None, "account_id", "model", "id"),
    Index(None, "account_id", "batch_key", unique=True),
)

# For the sum that an account has spent, without reading its jobs.
Index(
    "ix_jobs_spent",
    *(jobs.c.account_id, jobs.c.sent_at, jobs.c.state),
    *(jobs.c.actual_cost, jobs.c.estimated_max, jobs.c.resolved_by),
)

_partial("ix_jobs_cancel_at", jobs.c.cancel_at.is_not(None), jobs.c.cancel_at)

callbacks = Table(
    "callbacks",
    metadata,
    _id(),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("repeats", Integer, nullable=False, default=0),
    Column("state", _words(CallbackState), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("claims", Integer, nullable=False, default=0),
    _moment("due_at"),
    _moment("received_at", needed=True),
    UniqueConstraint("job_id", "digest"),
    Index(None, "state", "due_at"),
    Index(None, "received_at"),
)

rejected_callbacks = Table(
    "rejected_callbacks",
    metadata,
    _id(),
    Column("reason", Text, nullable=False),
    Column("remote", Text, nullable=False),
    _moment("received_at", needed=True),
)

rejection_counts = Table(
    "rejection_counts",
    metadata,
    Column("reason", String(40), primary_key=True),
    Column("count", Integer, nullable=False),
)

events = Table(
    "events",
    metadata,
    _id(),
    _account(),
    Column("job_id", ForeignKey("jobs.id")),
    Column("type", _words(EventType), nullable=False),
    Column("sequence", Integer, nullable=False),
    # For terminal types the job's id and the type, so that a job has each only once;
    # otherwise the event's own id.
    Column("dedup_key", String(90), nullable=False, unique=True),
    _moment("created_at", needed=True),
    Column("about", JSON(none_as_null=True)),
    Column("sample", Boolean, nullable=False, default=False),
    # Set after the commit by one sequencer; see `store.events.number`.
    Column("feed_sequence", Integer),
    UniqueConstraint("job_id", "sequence"),
    Index(None, "account_id", "id"),
    Index(None, "account_id", "feed_sequence", unique=True),
)
_partial("ix_events_unnumbered", events.c.feed_sequence.is_(None), events.c.id)

feeds = Table(
    "feeds",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("last_seq", Integer, nullable=False),
    # Events before it may be deleted; see `store.retention.drop_events`.
    Column("first_seq", Integer, nullable=False, default=1),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    _id(),
    _account(),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("target_digest", String(64), nullable=False),
    Column("events", JSON, nullable=False),
    Column("format", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    _moment("held_until"),
    _moment("created_at", needed=True),
    Column("hook", Boolean, nullable=False, default=False),
    Column("models", JSON, nullable=False, default=list),
    Column("metadata", JSON, nullable=False, default=dict),
    Column("previous_secret", Text),
    _moment("previous_until"),
    _moment("slow_until"),
    _moment("failing_since"),
    Column("exhausted", Integer, nullable=False, default=0),
    _moment("announced_at"),
    Column("name", Text, nullable=False, default=""),
    # Encrypted, as JSON; see `deliveries.custom_headers`.
    Column("headers", Text),
    Index(None, "account_id", "channel", "target_digest"),
)
_partial(
    "ix_subscriptions_held", subscriptions.c.held_until.is_not(None), subscriptions.c.held_until
)
_partial(
    "ix_subscriptions_slow", subscriptions.c.slow_until.is_not(None), subscriptions.c.slow_until
)

deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    _account(),
    Column("event_id", ForeignKey("events.id"), nullable=False),
    Column("job_id", ForeignKey("jobs.id")),
    Column("subscription_id", ForeignKey("subscriptions.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", _words(DeliveryState), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("body", LargeBinary),
    *_work(),
    _moment("finished_at"),
    Column("scheduled_attempts", Integer, nullable=False, default=0),
    _moment("leased_until"),
    Column("resending", _words(DeliveryState)),
    _moment("resent_at"),
    UniqueConstraint("event_id", "subscription_id"),
    Index(None, "state", "due_at"),
    Index(None, "account_id", "state", "due_at"),
    Index(None, "subscription_id", "state", "due_at"),
    Index(None, "job_id"),
    Index(None, "account_id", "id"),
    Index(None, "account_id", "state", "id"),
    # For counts without reading the bodies.
    Index(None, "channel", "state"),
)
#: A literal, as in the index: with a parameter SQLite would not use the index.
DELIVERED = deliveries.c.state == literal_column(f"'{DeliveryState.DELIVERED}'")
# For the last success of each subscription.
_partial(
    "ix_deliveries_delivered", DELIVERED, deliveries.c.subscription_id, deliveries.c.finished_at
)
_partial(
    "ix_deliveries_leased",
    deliveries.c.leased_until.is_not(None),
    deliveries.c.subscription_id,
    deliveries.c.leased_until,
)
_partial(
    "ix_deliveries_resent",
    deliveries.c.resent_at.is_not(None),
    deliveries.c.account_id,
    deliveries.c.resent_at,
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", ForeignKey("deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("status", Integer),
    Column("error", Text),
    Column("response", Text, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    _moment("created_at", needed=True),
    Column("manual", Boolean, nullable=False, default=False),
)

# The requests and answers of attempts, in a table of their own, since lists do not need them.
exchanges = Table(
    "exchanges",
    metadata,
    Column("delivery_id", ForeignKey("deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("method", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("target_digest", String(64), nullable=False),
    Column("headers", JSON, nullable=False),
    # None if it was the delivery's own body, which is stored only once.
    Column("body", Compressed),
    Column("status", Integer),
    Column("answer_headers", JSON(none_as_null=True)),
    Column("answer", Compressed),
    Column("truncated", Boolean, nullable=False, default=False),
)

channels = Table(
    "channels",
    metadata,
    Column("name", String(40), primary_key=True),
    _moment("paused_until", needed=True),
    Column("reason", Text, nullable=False),
)

thread_references = Table(
    "thread_references",
    metadata,
    Column("subscription_id", ForeignKey("subscriptions.id"), primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    # A reference in the channel's own form; see `channels.base.DeliveryResult`.
    Column("reference", Text, nullable=False),
    _moment("created_at", needed=True),
)

videos = Table(
    "videos",
    metadata,
    _id(),
    _account(),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("state", _words(VideoState), nullable=False),
    Column("provider_url", Text),
    _moment("provider_expires_at"),
    Column("file", Text),
    Column("poster_file", Text),
    Column("bytes", Integer),
    Column("sha256", String(64)),
    Column("seconds", Double),
    Column("width", Integer),
    Column("height", Integer),
    Column("attempts", Integer, nullable=False, default=0),
    Column("note", Text, nullable=False, default=""),
    *_work(),
    _moment("link_expires_at", needed=True),
    _moment("stored_at"),
    _moment("deleted_at"),
    Index(None, "state", "due_at"),
    Index(None, "state", "stored_at"),
    Index(None, "account_id", "state", "stored_at"),
)

steps = Table(
    "steps",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    _moment("created_at", needed=True),
)

providers = Table(
    "providers",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("held_reason", Text),
    # One bucket of request tokens for all creates, polls and confirmations of all processes.
    Column("tokens", Double, nullable=False),
    _moment("refilled_at", needed=True),
    _moment("paused_until"),
    # The provider's current error, and the time of the first one; null if it answers.
    Column("last_error", Text),
    _moment("last_error_since"),
    # The number of jobs that another vendor got after a certain refusal of this one.
    Column("failovers", Integer, nullable=False, default=0, server_default="0"),
    # Dollars, as in its last answer about a finished task.
    Column("credits_left", Double),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer),
    Column("headers", JSON(none_as_null=True)),
    Column("body", LargeBinary),
    _moment("created_at", needed=True),
    Index(None, "created_at"),
)

# Creates that clients may repeat by themselves, for as long as they may.
repeatable_creates = Table(
    "repeatable_creates",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("api_key_id", String(40), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    # Counts the equal creates of one key.
    Column("number", Integer, nullable=False),
    # The highest retry count that was answered with this job.
    Column("retries", Integer, nullable=False),
    Column("first_try_seen", Boolean, nullable=False),
    _moment("created_at", needed=True),
    UniqueConstraint("api_key_id", "fingerprint", "number"),
    Index(None, "created_at"),
)

# Attempts of such creates that were refused before they made a job.
refused_tries = Table(
    "refused_tries",
    metadata,
    _id(),
    Column("sent", String(64), nullable=False),
    Column("retries", Integer, nullable=False),
    _moment("created_at", needed=True),
    Index(None, "sent"),
    Index(None, "created_at"),
)

day_reports = Table(
    "day_reports",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    # A UTC day.
    Column("day", Date, primary_key=True),
    Column("report", JSON, nullable=False),
    _moment("made_at", needed=True),
)

quarantined_rows = Table(
    "quarantined_rows",
    metadata,
    Column("work", String(40), primary_key=True),
    Column("row_id", String(40), primary_key=True),
    Column("reason", Text, nullable=False),
    _moment("created_at", needed=True),
)

workers = Table(
    "workers",
    metadata,
    _id(),
    _moment("seen_at", needed=True),
    # Seconds by which its machine's clock is behind the database's; negative: ahead.
    Column("clock_offset", Double, nullable=False, default=0.0),
    # The ids of its secret keys, newest first, separated by blanks.
    Column("key_ids", Text, nullable=False, default=""),
)

# The number of creates sent from each data folder; see `jobs.high_water`.
high_water = Table(
    "high_water",
    metadata,
    Column("data_folder", String(40), primary_key=True),
    Column("sent", Integer, nullable=False),
)

# One row: the revision of the oldest version that works with this schema.
schema_support = Table(
    "schema_support",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("oldest", String(16), nullable=False),
)
