"""The worker's heart: it beats, and fixes rows that were dated by a clock gone wrong."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest
from conftest import Bench

from service import store
from service.model import JobState
from service.worker import Heartbeat

pytestmark = pytest.mark.postgresql

HOUR = timedelta(hours=1)


def test_beats(bench: Bench) -> None:
    """Each beat is seen."""
    heart = Heartbeat(bench.wiring)
    heart.beat()
    heart_at = bench.clock.advance(5)
    heart.beat()

    with bench.db.read() as tx:
        assert heart_at == store.work.last_beat(tx)


def test_clock_goes_back(bench: Bench) -> None:
    """Work that was due by the old clock is due at once, not when the new one has caught up."""
    heart = Heartbeat(bench.wiring)
    bench.clock.advance(3600)
    heart.beat()
    waiting, later, sending = (bench.new_job(words) for words in ("now", "later", "sending"))
    with bench.db.write() as tx:
        store.jobs.change(tx, later.id, [JobState.QUEUED], due_at=bench.clock() + HOUR)
        in_flight = {"state": JobState.SUBMITTING, "due_at": bench.clock() + timedelta(minutes=1)}
        store.jobs.change(tx, sending.id, [JobState.QUEUED], **in_flight)
    bench.clock.advance(-3595)
    heart.beat()

    now = bench.clock()
    assert timedelta(seconds=-5) <= (bench.job(waiting).due_at or now) - now <= timedelta(0)
    assert HOUR - timedelta(seconds=5) <= (bench.job(later).due_at or now) - now <= HOUR
    assert in_flight["due_at"] == bench.job(sending).due_at


def test_clock_goes_back_under_two_workers(bench: Bench) -> None:
    """Two workers of one host date the rows again once, not twice."""
    hearts = [Heartbeat(bench.wiring), Heartbeat(bench.wiring)]
    bench.clock.advance(3600)
    for heart in hearts:
        heart.beat()
    job = bench.new_job()
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=bench.clock() + HOUR)
    bench.clock.advance(-3600)
    for heart in hearts * 2:
        heart.beat()

    assert bench.clock() + HOUR == bench.job(job).due_at


def test_request_tokens_after_the_clock_went_back(bench: Bench) -> None:
    """A bucket that was filled in the future fills again from now on."""
    heart = Heartbeat(bench.wiring)
    bench.clock.advance(3600)
    heart.beat()
    with bench.db.write() as tx:
        while not store.providers.take_token(tx, "apixo", 60, bench.clock()):
            pass
        store.providers.pause(tx, "apixo", bench.clock() + HOUR)
    bench.clock.advance(-3600)
    heart.beat()
    bench.clock.advance(5)

    with bench.db.write() as tx:
        assert 0.0 == store.providers.take_token(tx, "apixo", 60, bench.clock())
        assert timedelta(0) == store.providers.paused_for(tx, "apixo", bench.clock())


def test_other_hosts_clock(bench: Bench) -> None:
    """Another machine whose clock is ahead is no reason to touch a row."""
    job = bench.new_job()
    due_at = bench.clock() + HOUR
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=due_at)
        store.work.beat(tx, f"not-{socket.gethostname()[:10]}-1", bench.clock() + HOUR)
    Heartbeat(bench.wiring).beat()

    assert due_at == bench.job(job).due_at


def test_rows_aside_get_another_try(bench: Bench) -> None:
    """What was quarantined is due again after ten minutes."""
    job = bench.new_job()
    heart = Heartbeat(bench.wiring)
    with bench.db.write() as tx:
        store.quarantine.put(tx, "jobs", job.id, 0, "trouble", bench.clock())
    bench.clock.advance(599)
    heart.beat()
    assert bench.job(job).due_at is None
    bench.clock.advance(2)
    heart.beat()

    assert bench.clock() == bench.job(job).due_at
