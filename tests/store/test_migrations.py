"""A database with rows of an earlier version arrives whole at this one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from service import store
from service.store.database import Database
from service.store.migration import migrate
from service.store.schema import metadata

DATA = Path(__file__).parent / "data"


#: A version before 0022 wrote this to the subscriptions that send mails.
MAILS = "UPDATE subscriptions SET channel = 'email', format = 'build_email' WHERE channel = 'slack'"


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Connection]:
    """A transaction of a database that was filled at revision 0005 and then migrated."""
    path = tmp_path / "clipbell.db"
    with sqlite3.connect(path) as old:
        old.executescript((DATA / "version_0005.sql").read_text())
        old.execute(MAILS)
    old.close()
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.write() as opened:
        yield opened
    database.close()


def test_every_row_is_there(tx: Connection) -> None:
    """No table loses a row, whatever its new name is."""
    tables = (
        *("accounts", "api_keys", "attempts", "callbacks", "deliveries", "events", "feeds", "jobs"),
        *("thread_references", "providers", "rejection_counts", "rejected_callbacks", "steps"),
        *("subscriptions", "videos", "quarantined_rows"),
    )
    found = [tx.scalar(select(func.count()).select_from(metadata.tables[name])) for name in tables]

    assert [1, 1, 1, 1, 4, 4, 1, 6, 1, 2, 1, 1, 4, 2, 1, 0] == found


def test_jobs_keep_their_state(tx: Connection) -> None:
    """Each job is read with all that was known of it."""
    account = store.accounts.first(tx)
    assert account is not None
    jobs = {job.input["prompt"]: job for job in store.job_lists.page(tx, account.id, 10)}

    states = ["failed", "held", "queued", "submitted", "succeeded", "unknown"]
    assert states == sorted(job.state for job in jobs.values())
    submitted = jobs["submitted"]
    assert ("a" * 32, 2, 4) == (submitted.task_id, submitted.failed_polls, submitted.polls)
    assert ("callback", 0.35) == (jobs["succeeded"].resolved_by, jobs["succeeded"].actual_cost)
    assert {"order": 7} == jobs["succeeded"].metadata
    assert {"clipbell"} == {job.source for job in jobs.values()}


def test_deliveries_events_and_providers_keep_theirs(tx: Connection) -> None:
    """Numbers, holds and errors stand under their new names."""
    account = store.accounts.first(tx)
    assert account is not None
    feed = store.events.feed(tx, account.id, 0, 10, (), 10)
    deliveries = store.deliveries.page(tx, account.id, 10)
    rows = {row.name: row for row in store.providers.all_rows(tx)}

    assert [1, 2, 3, 4] == [event.feed_sequence for event in feed]
    assert [1] == [d.scheduled_attempts for d in deliveries if d.attempts == 2]
    assert ("503", "no credits") == (rows["apixo"].last_error, rows["segmind"].held_reason)
    assert {"bad_signature": 1} == store.callbacks.count_rejections(tx)


def test_the_format_of_mails(tx: Connection) -> None:
    """It is called as the channel, and the format of a hook is as it was."""
    table = metadata.tables["subscriptions"]
    formats = {row.channel: row.format for row in tx.execute(select(table))}

    assert {"email": "email", "webhook": "standard"} == formats
