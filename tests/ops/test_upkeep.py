"""The worker's heartbeat: it beats, and fixes rows that were dated by a clock gone wrong."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection
from support.databases import fill_log
from support.harness import Harness

from service import store
from service.model import JobState
from service.ops.upkeep import Heartbeat, Maintenance
from service.store.sqlite import WAL_BYTES

pytestmark = pytest.mark.postgresql

HOUR = timedelta(hours=1)


def test_beats(harness: Harness) -> None:
    """Each beat is seen."""
    heart = Heartbeat(harness.wiring)
    heart.beat()
    heart_at = harness.clock.advance(5)
    heart.beat()

    with harness.db.read() as tx:
        assert heart_at == store.work.last_beat(tx)


def test_log_of_a_long_reader(harness: Harness) -> None:
    """SQLite's log, grown behind a long reader, is small again once the reader has gone."""
    path = harness.db.path
    if path is None:
        pytest.skip("only SQLite has such a log")
    log = Path(f"{path}-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM workers").fetchall()
        fill_log(path)
        grown = log.stat().st_size
    Maintenance(harness.wiring).run_once()

    assert grown > WAL_BYTES
    assert log.stat().st_size < WAL_BYTES


def test_clock_goes_back(harness: Harness) -> None:
    """Work that was due by the old clock is due at once, not when the new one has caught up."""
    heart = Heartbeat(harness.wiring)
    harness.clock.advance(3600)
    heart.beat()
    waiting, later, sending = (harness.new_job(words) for words in ("now", "later", "sending"))
    with harness.db.write() as tx:
        store.jobs.change(tx, later.id, [JobState.QUEUED], due_at=harness.clock() + HOUR)
        in_flight = {"state": JobState.SUBMITTING, "due_at": harness.clock() + timedelta(minutes=1)}
        store.jobs.change(tx, sending.id, [JobState.QUEUED], **in_flight)
    harness.clock.advance(-3595)
    heart.beat()

    now = harness.clock()
    assert timedelta(seconds=-5) <= (harness.job(waiting).due_at or now) - now <= timedelta(0)
    assert HOUR - timedelta(seconds=5) <= (harness.job(later).due_at or now) - now <= HOUR
    assert in_flight["due_at"] == harness.job(sending).due_at


def test_clock_goes_back_under_two_workers(harness: Harness) -> None:
    """Two workers of one host date the rows again once, not twice."""
    hearts = [Heartbeat(harness.wiring), Heartbeat(harness.wiring)]
    harness.clock.advance(3600)
    for heart in hearts:
        heart.beat()
    job = harness.new_job()
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=harness.clock() + HOUR)
    harness.clock.advance(-3600)
    for heart in hearts * 2:
        heart.beat()

    assert harness.clock() + HOUR == harness.job(job).due_at


def take_token(tx: Connection, now: datetime) -> float:
    """Ask for one request of a vendor that allows sixty a minute."""
    return store.providers.take_token(tx, store.providers.lock(tx, "apixo"), 60, now)


def test_request_tokens_after_the_clock_went_back(harness: Harness) -> None:
    """A bucket that was filled in the future fills again from now on."""
    heart = Heartbeat(harness.wiring)
    harness.clock.advance(3600)
    heart.beat()
    with harness.db.write() as tx:
        while not take_token(tx, harness.clock()):
            pass
        store.providers.pause(tx, "apixo", harness.clock() + HOUR)
    harness.clock.advance(-3600)
    heart.beat()
    harness.clock.advance(5)

    with harness.db.write() as tx:
        assert 0.0 == take_token(tx, harness.clock())
        assert timedelta(0) == store.providers.paused_for(tx, "apixo", harness.clock())


def test_other_hosts_clock(harness: Harness) -> None:
    """Another machine whose clock is ahead is no reason to touch a row."""
    job = harness.new_job()
    due_at = harness.clock() + HOUR
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=due_at)
        store.work.beat(tx, f"not-{socket.gethostname()[:10]}-1", harness.clock() + HOUR)
    Heartbeat(harness.wiring).beat()

    assert due_at == harness.job(job).due_at


def test_rows_aside_get_another_try(harness: Harness) -> None:
    """What was quarantined is due again after ten minutes."""
    job = harness.new_job()
    heart = Heartbeat(harness.wiring)
    with harness.db.write() as tx:
        store.quarantine.put(tx, "jobs", job.id, 0, "trouble", harness.clock())
    harness.clock.advance(599)
    heart.beat()
    assert harness.job(job).due_at is None
    harness.clock.advance(2)
    heart.beat()

    assert harness.clock() == harness.job(job).due_at
