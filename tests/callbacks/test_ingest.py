"""The receiver's way in: on disk before the answer, whoever else fails or floods."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select
from support.harness import NOON, Harness
from support.servers import eventually

from service import store
from service.callbacks.ingest import KEPT_PER_JOB, POLL_SECONDS, QUEUE_LENGTH, Ingest
from service.callbacks.process import receive_callback
from service.errors import BadToken, Busy, ClipbellError, ExpiredToken, NotFound
from service.model import Callback, CallbackState, Job, JobState
from service.store.database import Database
from service.store.schema import rejected_callbacks

pytestmark = pytest.mark.postgresql

BODY = b'{"code": 200, "data": {}}'


def keep(harness: Harness, job_id: str, body: bytes = BODY) -> None:
    """Store one callback."""
    harness.wiring.ingest.insert(job_id, "apixo", {"X-Who": "vendor"}, body, NOON)


def kept(harness: Harness, job: Job) -> list[Callback]:
    """The job's callbacks, seen over a connection of another process's kind."""
    other = Database(harness.wiring.settings.database_url)
    with other.read() as tx:
        found = store.callbacks.of_job(tx, job.id)
    other.close()
    return found


def test_durable_before_return(harness: Harness) -> None:
    """When `keep` returns, everybody sees the bytes, headers and time as they came."""
    job, body = harness.new_job(), bytes(range(256))
    keep(harness, job.id, body)
    (callback,) = kept(harness, job)

    assert (body, {"X-Who": "vendor"}, NOON) == (
        callback.body,
        callback.headers,
        callback.received_at,
    )
    assert (CallbackState.RECEIVED, 0, NOON) == (callback.state, callback.repeats, callback.due_at)


def test_repeats_are_counted(harness: Harness) -> None:
    """The same bytes again are the same callback, once more; other bytes are another."""
    job = harness.new_job()
    for body in (BODY, BODY, b"other", BODY):
        keep(harness, job.id, body)

    assert {BODY: 2, b"other": 0} == {c.body: c.repeats for c in kept(harness, job)}


def test_same_bytes_for_two_jobs(harness: Harness) -> None:
    """Identical bytes for another job are no repeat."""
    jobs = [harness.new_job(), harness.new_job()]
    for job in jobs:
        keep(harness, job.id)

    assert [[0], [0]] == [[c.repeats for c in kept(harness, job)] for job in jobs]


def test_empty_body(harness: Harness) -> None:
    """Nothing is a body too."""
    job = harness.new_job()
    keep(harness, job.id, b"")

    assert [b""] == [callback.body for callback in kept(harness, job)]


def test_unknown_job(harness: Harness) -> None:
    """A job that is not there is reported at once, and the next callback is kept."""
    with pytest.raises(NotFound):
        keep(harness, "job_none")
    job = harness.new_job()
    keep(harness, job.id)

    assert 1 == len(kept(harness, job))


def test_thirty_two_threads(harness: Harness) -> None:
    """A burst from thirty-two sides is kept whole: every call returns, every byte is there."""
    jobs = [harness.new_job(f"fox {number}") for number in range(8)]
    wanted = [(job, f"{job.id} {number}".encode()) for job in jobs for number in range(20)]
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda pair: keep(harness, pair[0].id, pair[1]), wanted * 2))
    found = {(c.job_id, c.body): c.repeats for job in jobs for c in kept(harness, job)}

    assert {(job.id, body): 1 for job, body in wanted} == found


def test_two_processes_with_crossed_jobs(harness: Harness) -> None:
    """Two writers with the same rows in opposite order both get through."""
    jobs = [harness.new_job(f"fox {number}") for number in range(10)]
    other = Ingest(harness.db)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda job: keep(harness, job.id), jobs * 5))
        list(
            pool.map(
                lambda job: other.insert(job.id, "apixo", {}, BODY, NOON), list(reversed(jobs))
            )
        )
    other.close()

    assert [5] * 10 == [kept(harness, job)[0].repeats for job in jobs]


def submitted(harness: Harness) -> Job:
    """A job that waits for its callback until tomorrow."""
    job = harness.new_job()
    with harness.db.write() as tx:
        changes = {"state": JobState.SUBMITTED, "due_at": NOON + timedelta(days=1)}
        store.jobs.change(tx, job.id, list(JobState), **changes)
    return harness.job(job)


def counted(harness: Harness) -> int:
    """How many were not kept for want of room."""
    with harness.db.read() as tx:
        return store.callbacks.count_rejections(tx).get("too_many", 0)


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        pytest.param([b"%d" % n for n in range(KEPT_PER_JOB + 5)], KEPT_PER_JOB, id="number"),
        pytest.param([b"%d" % n + b"x" * 1_000_000 for n in range(9)], 4, id="bytes"),
    ],
)
def test_bounds_of_a_job(harness: Harness, bodies: list[bytes], expected: int) -> None:
    """
    Past the bound in number or bytes a callback is counted and answered, but not kept: its job
    is polled soon instead. Repeats of those that are kept count as before; other jobs have
    their own room.
    """
    job, other = submitted(harness), submitted(harness)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda body: keep(harness, job.id, body), bodies))
    rows = kept(harness, job)
    keep(harness, job.id, rows[0].body)
    keep(harness, other.id, bodies[0])

    assert expected == len(rows)
    assert len(bodies) - expected == counted(harness)
    assert NOON + timedelta(seconds=POLL_SECONDS) == harness.job(job).due_at
    assert [1] == [one.repeats for one in kept(harness, job) if one.id == rows[0].id]
    assert 1 == len(kept(harness, other))
    assert other.due_at == harness.job(other).due_at


def test_bad_row_fails_alone(harness: Harness) -> None:
    """A row that the database refuses takes none of its neighbours down."""
    job = harness.new_job()
    too_long = "job_" + "0" * 200 + "\x00"

    def one(number: int) -> str:
        try:
            keep(harness, too_long if number == 7 else job.id, str(number // 3).encode())
        except ClipbellError as error:
            return type(error).__name__
        return "kept"

    with ThreadPoolExecutor(16) as pool:
        ends = list(pool.map(one, range(16)))

    assert 15 == ends.count("kept")
    assert ends[7] in ("Busy", "NotFound")
    assert [0, 1, 2, 2, 2, 2] == sorted(one.repeats for one in kept(harness, job))


def test_writer_outlives_a_disk_that_fails(harness: Harness) -> None:
    """A file in trouble is Busy soon; then callbacks are kept again, and refusals are counted."""
    job = harness.new_job()
    if not harness.db.is_sqlite:
        pytest.skip("skipped: only SQLite has a lock file")
    lock = Path(f"{harness.db.engine.url.database}.lock")
    lock.unlink()
    lock.mkdir()
    answers: list[str] = []

    def one(body: bytes) -> None:
        try:
            keep(harness, job.id, body)
            answers.append("kept")
        except Busy:
            answers.append("busy")

    harness.wiring.ingest.reject("too_many", "10.0.0.1", harness.clock())
    threading.Thread(target=one, args=(b"first",), daemon=True).start()
    eventually(lambda: answers == ["busy"], 4)
    lock.rmdir()
    threading.Thread(target=one, args=(b"second",), daemon=True).start()
    eventually(lambda: answers == ["busy", "kept"], 4)

    assert 1 == counted(harness)


def test_full_queue_is_busy(harness: Harness) -> None:
    """While nothing can be written the queue fills to its bound, then callers hear Busy at once."""
    job, other = harness.new_job(), harness.new_job()
    flood = Ingest(harness.db)
    answers: list[str] = []

    def one(number: int) -> None:
        try:
            job_id = (job, other)[number % 2].id
            flood.insert(job_id, "apixo", {}, str(number).encode(), NOON)
            answers.append("kept")
        except Busy as busy:
            answers.append(f"busy {busy.retry_after}")

    extra = 80
    with harness.db.write() as tx:
        # Nobody else can write now: the lock of SQLite, the job's row of PostgreSQL.
        store.jobs.lock(tx, job.id)
        tx.exec_driver_sql("DELETE FROM jobs WHERE id = 'none'")
        if not harness.db.is_sqlite:
            tx.exec_driver_sql("LOCK TABLE callbacks IN ACCESS EXCLUSIVE MODE")
        threads = [
            threading.Thread(target=one, args=(number,)) for number in range(QUEUE_LENGTH + extra)
        ]
        for thread in threads:
            thread.start()
        eventually(lambda: len(answers) > 0)
        refused_early = set(answers)
    for thread in threads:
        thread.join()
    flood.close()

    assert {"busy 1"} == refused_early
    rows = len(kept(harness, job)) + len(kept(harness, other))
    assert answers.count("kept") == rows >= QUEUE_LENGTH
    assert {"kept", "busy 1"} == set(answers)


def test_close_writes_what_is_queued(harness: Harness) -> None:
    """Closing loses nothing, and a callback after it is still kept."""
    job = harness.new_job()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(keep, harness, job.id, str(number).encode()) for number in range(40)]
        harness.wiring.ingest.close()
        for one in sent:
            one.result(timeout=15)
    keep(harness, job.id, b"after")

    assert 41 == len(kept(harness, job))


def rejection_counts(harness: Harness) -> tuple[dict[str, int], int]:
    """The counters, and how many rows are kept with their reasons."""
    with harness.db.read() as tx:
        rows = tx.scalar(select(func.count()).select_from(rejected_callbacks)) or 0
        return store.callbacks.count_rejections(tx), rows


def test_refusals_are_counted(harness: Harness) -> None:
    """Each refusal is counted under its reason."""
    for reason in ("expired", "bad_signature", "expired"):
        harness.wiring.ingest.reject(reason, "10.0.0.1", NOON)
    harness.wiring.ingest.close()

    assert ({"bad_signature": 1, "expired": 2}, 3) == rejection_counts(harness)


def test_flood_of_refusals(harness: Harness) -> None:
    """However many refusals come, they are written in a few commits, and all are counted."""
    commits: list[Connection] = []

    @event.listens_for(harness.db.engine, "commit")
    def record(connection: Connection) -> None:
        commits.append(connection)

    for number in range(500):
        harness.wiring.ingest.reject("expired", f"10.0.0.{number % 250}", NOON)
    harness.wiring.ingest.close()

    assert ({"expired": 500}, 500) == rejection_counts(harness)
    assert len(commits) < 10


def test_refusal_goes_along(harness: Harness) -> None:
    """A callback that comes after a refusal takes it along, and does not wait for others."""
    job = harness.new_job()
    harness.wiring.ingest.reject("expired", "10.0.0.1", NOON)
    keep(harness, job.id)

    assert ({"expired": 1}, 1) == rejection_counts(harness)


def test_last_thousand_refusals(harness: Harness) -> None:
    """The counters count on; of the rows the last thousand stay, and not one more."""
    for number in range(1010):
        harness.wiring.ingest.reject("expired", f"10.0.0.{number % 250}", harness.clock.advance(1))
        if number % 200 == 0:
            harness.wiring.ingest.close()
    harness.wiring.ingest.close()

    assert ({"expired": 1010}, 1000) == rejection_counts(harness)


def test_refusals(harness: Harness) -> None:
    """Forged, expired and orphaned URLs are refused, counted, and leave no row."""
    w, now = harness.wiring, harness.clock()
    job = harness.new_job()
    url = w.signer.url_for(now, job=job.id, provider="apixo").rpartition("/")[2]
    orphan = w.signer.url_for(now, job="job_none", provider="apixo").rpartition("/")[2]
    later = now + timedelta(seconds=2)
    given: list[tuple[str, Any, type[Exception]]] = [
        (url[:-2] + "xx", now, BadToken),
        (url, later, ExpiredToken),
        (orphan, now, NotFound),
        (w.links.url_for(later, video="vid").rpartition("/")[2], now, BadToken),
    ]
    for token, moment, error in given:
        with pytest.raises(error):
            receive_callback(w.ingest, w.signer, token, {}, lambda: b"{}", "10.0.0.1", moment)
    w.ingest.close()
    with harness.db.read() as tx:
        counts = store.callbacks.count_rejections(tx)
        rows = store.callbacks.of_job(tx, job.id)

    assert {"bad_signature": 2, "expired": 1, "unknown_job": 1} == counts
    assert [] == rows
