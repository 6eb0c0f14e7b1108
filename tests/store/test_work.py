"""Claiming: every row to one worker at a time, the longest due first."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from conftest import NOON, Bench

from service import store
from service.model import Job, JobState
from service.store.database import Database

pytestmark = pytest.mark.postgresql

SECOND = timedelta(seconds=1)


def claim(bench: Bench, now: datetime = NOON, lease: float = 60.0) -> Job | None:
    """The next queued job, claimed."""
    with bench.db.write() as tx:
        return store.jobs.claim_queued(tx, ["apixo"], now, lease)


def reopen(bench: Bench, now: datetime, lease: float = 60.0) -> Job | None:
    """Claim among the jobs whose lease may be over."""
    with bench.db.write() as tx:
        return store.jobs.claim_waiting(tx, now, lease)


def test_longest_due_first(bench: Bench) -> None:
    """Rows come up in the order in which they became due, whatever their ids are."""
    jobs = [bench.new_job(f"fox {number}") for number in range(3)]
    for job, seconds in zip(jobs, (3, 1, 2), strict=True):
        with bench.db.write() as tx:
            store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=NOON - seconds * SECOND)
    claimed = [claim(bench) for _ in range(4)]

    assert [jobs[0].id, jobs[2].id, jobs[1].id, None] == [job and job.id for job in claimed]


def test_not_yet_due(bench: Bench) -> None:
    """A row waits for its moment, and comes up at that very moment."""
    job = bench.new_job()
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=NOON + SECOND)

    assert claim(bench) is None
    assert claim(bench, NOON + SECOND) is not None


def test_microseconds_count(bench: Bench) -> None:
    """Whole seconds and fractions sort rightly in both databases."""
    job = bench.new_job()
    moment = NOON + timedelta(microseconds=500_000)
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=moment)

    assert claim(bench, NOON) is None
    assert claim(bench, moment - timedelta(microseconds=1)) is None
    assert moment == bench.job(job).due_at


def test_lease(bench: Bench) -> None:
    """A claimed row is nobody else's until its lease has passed, then it comes up by itself."""
    bench.new_job()
    first = claim(bench)

    assert first is not None
    assert (1, NOON + 60 * SECOND) == (first.claims, first.due_at)
    assert reopen(bench, NOON + 59 * SECOND) is None
    second = reopen(bench, NOON + 60 * SECOND)
    assert second is not None
    assert 2 == second.claims


def test_late_worker_is_fenced_off(bench: Bench) -> None:
    """Who comes back after its lease ran out changes nothing any more."""
    job = bench.new_job()
    first = claim(bench)
    second = reopen(bench, NOON + 61 * SECOND)
    assert first is not None
    assert second is not None
    with bench.db.write() as tx:
        late = store.jobs.settle_claimed(tx, first, state=JobState.HELD)
        in_time = store.jobs.settle_claimed(tx, second, state=JobState.UNKNOWN)

    assert (False, True) == (late, in_time)
    assert JobState.UNKNOWN is bench.job(job).state


def test_rolled_back_claim(bench: Bench) -> None:
    """A worker that fails inside its claim's transaction leaves the row as it was."""
    job = bench.new_job()
    with pytest.raises(ZeroDivisionError), bench.db.write() as tx:
        store.jobs.claim_queued(tx, ["apixo"], NOON, 60)
        _ = 1 / 0

    assert job == bench.job(job)


def take_all(db: Database, taken: list[str], start: threading.Barrier) -> None:
    """Claim until nothing is left."""
    start.wait()
    while True:
        with db.write() as tx:
            job = store.jobs.claim_queued(tx, ["apixo"], NOON, 60)
        if job is None:
            return
        taken.append(job.id)


def test_no_row_is_claimed_twice(bench: Bench) -> None:
    """Eight threads at sixty rows: each row goes to exactly one of them."""
    expected = sorted(bench.new_job(f"fox {number}").id for number in range(60))
    taken: list[str] = []
    start = threading.Barrier(8)
    threads = [threading.Thread(target=take_all, args=(bench.db, taken, start)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A thread that lost a race may have gone home early; what is left is still there to take.
    take_all(bench.db, taken, threading.Barrier(1))

    assert expected == sorted(taken)


def test_claims_rotate_across_accounts(bench: Bench) -> None:
    """A batch of one account delays another account's job by one claim at most."""
    for number in range(10):
        bench.new_job(f"batch {number}")
    batch_owner = bench.account
    bench.account, _ = bench.new_account("bob")
    bench.clock.advance(1)
    bobs = bench.new_job("bob's only one")
    bench.account = batch_owner
    first_two = [claim(bench, bench.clock()) for _ in range(2)]

    assert bobs.id in [job.id for job in first_two if job]


def due(bench: Bench) -> set[str]:
    """Which kinds of work have something due."""
    with bench.db.read() as tx:
        return store.work.kinds_due(tx, bench.clock())


def test_due_work(bench: Bench) -> None:
    """Each kind of work is named exactly while it has a row that is due."""
    assert set() == due(bench)
    bench.new_job()
    assert "submit" in due(bench)
    claim(bench)
    assert set() == due(bench)
    bench.clock.advance(60)
    assert {"reconcile"} == due(bench)


def test_due_work_after_the_end(bench: Bench) -> None:
    """Terminal rows, and held ones that wait for a person, are nobody's work."""
    for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED, JobState.HELD):
        job = bench.new_job()
        with bench.db.write() as tx:
            store.jobs.change(tx, job.id, [JobState.QUEUED], state=state, due_at=None)

    assert set() == due(bench)


def test_heartbeats(bench: Bench) -> None:
    """The newest beat counts; workers not seen for long are forgotten."""
    with bench.db.write() as tx:
        store.work.beat(tx, "old", NOON)
        store.work.beat(tx, "new", NOON + SECOND)
        store.work.beat(tx, "new", NOON + 2 * SECOND)
        assert NOON + 2 * SECOND == store.work.last_beat(tx)
        store.work.forget_workers(tx, NOON + 3 * SECOND)
        assert store.work.last_beat(tx) is None
