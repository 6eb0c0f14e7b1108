"""Damaged rows: each is quarantined alone, and is back once it is whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, Text, literal, select, update
from support.harness import Harness

from service import store
from service.model import JobState
from service.store.schema import jobs, quarantined_rows

DAMAGES = {"input": "{broken", "created_at": "yesterday", "metadata": "\x01"}


def damage(harness: Harness, job_id: str, column: str, text: str) -> None:
    """Write what no reader can decode."""
    with harness.db.write() as tx:
        damaged = update(jobs).where(jobs.c.id == job_id)
        # As text, past the column's own type.
        tx.execute(damaged.values({column: literal(text, Text)}))


def claim(harness: Harness) -> str | None:
    """The next queued job's id."""
    with harness.db.write() as tx:
        job = store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60)
    return job.id if job else None


def aside(harness: Harness) -> list[tuple[str, str]]:
    """What is quarantined."""
    with harness.db.read() as tx:
        return [(row.work, row.row_id) for row in store.quarantine.rows(tx)]


@pytest.mark.parametrize("column", DAMAGES)
def test_damaged_row_stops_itself_alone(harness: Harness, column: str) -> None:
    """The row in front that cannot be read is put away, and the one behind it is claimed."""
    damaged, whole = harness.new_job("one"), harness.new_job("two")
    damage(harness, damaged.id, column, DAMAGES[column])
    claimed = [claim(harness) for _ in range(3)]

    assert [None, whole.id, None] == claimed
    assert [("jobs", damaged.id)] == aside(harness)


def test_damaged_row_in_a_batch(harness: Harness) -> None:
    """Of many rows that are claimed at once the whole ones are due again at once."""
    made = [harness.new_job(f"fox {number}") for number in range(5)]
    with harness.db.write() as tx:
        for number, job in enumerate(made):
            changes = {"state": JobState.SUBMITTED, "task_id": f"t{number}"}
            store.jobs.change(tx, job.id, [JobState.QUEUED], **changes)
    damage(harness, made[2].id, "input", "[1")
    with harness.db.write() as tx:
        first = store.jobs.claim_polls(tx, "apixo", harness.clock(), 60, 10)
        second = store.jobs.claim_polls(tx, "apixo", harness.clock(), 60, 10)

    assert ([], 4) == (first, len(second))
    assert [("jobs", made[2].id)] == aside(harness)


def claim_poll(tx: Connection, now: datetime) -> object:
    """The next submitted jobs."""
    return store.jobs.claim_polls(tx, "apixo", now, 60, 10)


def claim_waiting(tx: Connection, now: datetime) -> object:
    """The next job whose hold is over."""
    return store.jobs.claim_waiting(tx, now, 60)


def claim_queued(tx: Connection, now: datetime) -> object:
    """The next job that may go out."""
    return store.jobs.claim_queued(tx, ["apixo"], now, 60)


@pytest.mark.parametrize(
    ("state", "take"),
    [
        (JobState.QUEUED, claim_queued),
        (JobState.SUBMITTED, claim_poll),
        (JobState.HELD, claim_waiting),
    ],
)
def test_others_that_are_due_when_the_lease_ends(
    harness: Harness, state: JobState, take: Callable[[Connection, datetime], object]
) -> None:
    """No other row is touched, whatever its date: what was sent is not queued again."""
    states = ("submitted", "queued", "held", "unknown", "submitting")
    others = {name: harness.new_job(name) for name in states}
    damaged, task_id = harness.new_job("damaged"), "t1" if state is JobState.SUBMITTED else None
    until = harness.clock() + timedelta(seconds=60)
    with harness.db.write() as tx:
        for name, job in others.items():
            store.jobs.change(tx, job.id, [JobState.QUEUED], state=JobState(name), due_at=until)
        store.jobs.change(tx, damaged.id, [JobState.QUEUED], state=state, task_id=task_id)
    damage(harness, damaged.id, "input", "{broken")
    with harness.db.write() as tx:
        taken = take(tx, harness.clock())

    assert not taken
    assert [("jobs", damaged.id)] == aside(harness)
    found = {name: harness.job(job) for name, job in others.items()}
    assert {name: (name, until) for name in states} == {
        name: (job.state, job.due_at) for name, job in found.items()
    }


def test_taken_back_once_whole(harness: Harness) -> None:
    """A row is tried again after a while: kept aside as long as it is damaged, then due."""
    job = harness.new_job()
    damage(harness, job.id, "input", "{broken")
    assert claim(harness) is None
    later = harness.clock.advance(600)
    with harness.db.write() as tx:
        assert 0 == store.quarantine.release(tx, later, later)
    damage(harness, job.id, "input", '{"prompt": "A fox"}')
    with harness.db.write() as tx:
        assert 0 == store.quarantine.release(tx, later - timedelta(seconds=601), later)
        assert 1 == store.quarantine.release(tx, later, later)

    assert [] == aside(harness)
    assert job.id == claim(harness)


def test_claimed_by_another_since(harness: Harness) -> None:
    """Who comes late with a trouble does not put away what another works on."""
    job = harness.new_job()
    with harness.db.write() as tx:
        for _ in range(3):
            store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60)
            store.jobs.change(tx, job.id, [JobState.SUBMITTING], state=JobState.QUEUED)
            tx.execute(jobs.update().values(due_at=harness.clock()))
        store.quarantine.put(tx, "jobs", job.id, 1, "late", harness.clock())

        assert [] == tx.execute(select(quarantined_rows)).all()
    assert harness.clock() == harness.job(job).due_at
