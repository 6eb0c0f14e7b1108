"""Claiming: every row to one worker at a time, the longest due first."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from support.harness import NOON, Harness

from service import store
from service.model import Job, JobState
from service.store.database import Database

pytestmark = pytest.mark.postgresql

SECOND = timedelta(seconds=1)


def claim(harness: Harness, now: datetime = NOON, lease: float = 60.0) -> Job | None:
    """The next queued job, claimed."""
    with harness.db.write() as tx:
        return store.jobs.claim_queued(tx, ["apixo"], now, lease)


def reopen(harness: Harness, now: datetime, lease: float = 60.0) -> Job | None:
    """Claim among the jobs whose lease may be over."""
    with harness.db.write() as tx:
        return store.jobs.claim_waiting(tx, now, lease)


def test_longest_due_first(harness: Harness) -> None:
    """Rows come up in the order in which they became due, whatever their ids are."""
    jobs = [harness.new_job(f"fox {number}") for number in range(3)]
    for job, seconds in zip(jobs, (3, 1, 2), strict=True):
        with harness.db.write() as tx:
            store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=NOON - seconds * SECOND)
    claimed = [claim(harness) for _ in range(4)]

    assert [jobs[0].id, jobs[2].id, jobs[1].id, None] == [job and job.id for job in claimed]


def test_not_yet_due(harness: Harness) -> None:
    """A row waits for its moment, and comes up at that very moment."""
    job = harness.new_job()
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=NOON + SECOND)

    assert claim(harness) is None
    assert claim(harness, NOON + SECOND) is not None


def test_microseconds_count(harness: Harness) -> None:
    """Whole seconds and fractions sort rightly in both databases."""
    job = harness.new_job()
    moment = NOON + timedelta(microseconds=500_000)
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=moment)

    assert claim(harness, NOON) is None
    assert claim(harness, moment - timedelta(microseconds=1)) is None
    assert moment == harness.job(job).due_at


def test_lease(harness: Harness) -> None:
    """A claimed row is nobody else's until its lease has passed, then it comes up by itself."""
    harness.new_job()
    first = claim(harness)

    assert first is not None
    assert (1, NOON + 60 * SECOND) == (first.claims, first.due_at)
    assert reopen(harness, NOON + 59 * SECOND) is None
    second = reopen(harness, NOON + 60 * SECOND)
    assert second is not None
    assert 2 == second.claims


def test_late_worker_is_fenced_off(harness: Harness) -> None:
    """Who comes back after its lease ran out changes nothing any more."""
    job = harness.new_job()
    first = claim(harness)
    second = reopen(harness, NOON + 61 * SECOND)
    assert first is not None
    assert second is not None
    with harness.db.write() as tx:
        late = store.jobs.settle_claimed(tx, first, state=JobState.HELD)
        in_time = store.jobs.settle_claimed(tx, second, state=JobState.UNKNOWN)

    assert (False, True) == (late, in_time)
    assert JobState.UNKNOWN is harness.job(job).state


def test_rolled_back_claim(harness: Harness) -> None:
    """A worker that fails inside its claim's transaction leaves the row as it was."""
    job = harness.new_job()
    with pytest.raises(ZeroDivisionError), harness.db.write() as tx:
        store.jobs.claim_queued(tx, ["apixo"], NOON, 60)
        _ = 1 / 0

    assert job == harness.job(job)


def take_all(db: Database, taken: list[str], start: threading.Barrier) -> None:
    """Claim until nothing is left."""
    start.wait()
    while True:
        with db.write() as tx:
            job = store.jobs.claim_queued(tx, ["apixo"], NOON, 60)
        if job is None:
            return
        taken.append(job.id)


def test_no_row_is_claimed_twice(harness: Harness) -> None:
    """Eight threads at sixty rows: each row goes to exactly one of them."""
    expected = sorted(harness.new_job(f"fox {number}").id for number in range(60))
    taken: list[str] = []
    start = threading.Barrier(8)
    threads = [threading.Thread(target=take_all, args=(harness.db, taken, start)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A thread that lost a race may have gone home early; what is left is still there to take.
    take_all(harness.db, taken, threading.Barrier(1))

    assert expected == sorted(taken)


def test_claims_rotate_across_accounts(harness: Harness) -> None:
    """A batch of one account delays another account's job by one claim at most."""
    for number in range(10):
        harness.new_job(f"batch {number}")
    batch_owner = harness.account
    harness.account, _ = harness.new_account("bob")
    harness.clock.advance(1)
    bobs = harness.new_job("bob's only one")
    harness.account = batch_owner
    first_two = [claim(harness, harness.clock()) for _ in range(2)]

    assert bobs.id in [job.id for job in first_two if job]


def due(harness: Harness) -> set[str]:
    """Which kinds of work have something due."""
    with harness.db.read() as tx:
        return store.work.kinds_due(tx, harness.clock())


def test_due_work(harness: Harness) -> None:
    """Each kind of work is named exactly while it has a row that is due."""
    assert set() == due(harness)
    harness.new_job()
    assert "submit" in due(harness)
    claim(harness)
    assert set() == due(harness)
    harness.clock.advance(60)
    assert {"reconcile"} == due(harness)


def test_due_work_after_the_end(harness: Harness) -> None:
    """Terminal rows, and held ones that wait for a person, are nobody's work."""
    for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED, JobState.HELD):
        job = harness.new_job()
        with harness.db.write() as tx:
            store.jobs.change(tx, job.id, [JobState.QUEUED], state=state, due_at=None)

    assert set() == due(harness)


def test_heartbeats(harness: Harness) -> None:
    """The newest beat counts; workers not seen for long are forgotten."""
    with harness.db.write() as tx:
        store.work.beat(tx, "old", NOON)
        store.work.beat(tx, "new", NOON + SECOND)
        store.work.beat(tx, "new", NOON + 2 * SECOND)
        assert NOON + 2 * SECOND == store.work.last_beat(tx)
        store.work.forget_workers(tx, NOON + 3 * SECOND)
        assert store.work.last_beat(tx) is None
