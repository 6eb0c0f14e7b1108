"""Damaged rows: each is quarantined alone, and is back once it is whole."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import Bench
from sqlalchemy import Text, literal, select, update

from service import store
from service.model import JobState
from service.store.schema import jobs, quarantined_rows

DAMAGES = {"input": "{broken", "created_at": "yesterday", "metadata": "\x01"}


def damage(bench: Bench, job_id: str, column: str, text: str) -> None:
    """Write what no reader can decode."""
    with bench.db.write() as tx:
        damaged = update(jobs).where(jobs.c.id == job_id)
        # As text, past the column's own type.
        tx.execute(damaged.values({column: literal(text, Text)}))


def claim(bench: Bench) -> str | None:
    """The next queued job's id."""
    with bench.db.write() as tx:
        job = store.jobs.claim_queued(tx, ["apixo"], bench.clock(), 60)
    return job.id if job else None


def aside(bench: Bench) -> list[tuple[str, str]]:
    """What is quarantined."""
    with bench.db.read() as tx:
        return [(row.work, row.row_id) for row in store.quarantine.rows(tx)]


@pytest.mark.parametrize("column", DAMAGES)
def test_damaged_row_stops_itself_alone(bench: Bench, column: str) -> None:
    """The row in front that cannot be read is put away, and the one behind it is claimed."""
    damaged, whole = bench.new_job("one"), bench.new_job("two")
    damage(bench, damaged.id, column, DAMAGES[column])
    claimed = [claim(bench) for _ in range(3)]

    assert [None, whole.id, None] == claimed
    assert [("jobs", damaged.id)] == aside(bench)


def test_damaged_row_in_a_batch(bench: Bench) -> None:
    """Of many rows that are claimed at once the whole ones are due again at once."""
    made = [bench.new_job(f"fox {number}") for number in range(5)]
    with bench.db.write() as tx:
        for number, job in enumerate(made):
            changes = {"state": JobState.SUBMITTED, "task_id": f"t{number}"}
            store.jobs.change(tx, job.id, [JobState.QUEUED], **changes)
    damage(bench, made[2].id, "input", "[1")
    with bench.db.write() as tx:
        first = store.jobs.claim_polls(tx, "apixo", bench.clock(), 60, 10)
        second = store.jobs.claim_polls(tx, "apixo", bench.clock(), 60, 10)

    assert ([], 4) == (first, len(second))
    assert [("jobs", made[2].id)] == aside(bench)


def test_taken_back_once_whole(bench: Bench) -> None:
    """A row is tried again after a while: kept aside as long as it is damaged, then due."""
    job = bench.new_job()
    damage(bench, job.id, "input", "{broken")
    assert claim(bench) is None
    later = bench.clock.advance(600)
    with bench.db.write() as tx:
        assert 0 == store.quarantine.release(tx, later, later)
    damage(bench, job.id, "input", '{"prompt": "A fox"}')
    with bench.db.write() as tx:
        assert 0 == store.quarantine.release(tx, later - timedelta(seconds=601), later)
        assert 1 == store.quarantine.release(tx, later, later)

    assert [] == aside(bench)
    assert job.id == claim(bench)


def test_claimed_by_another_since(bench: Bench) -> None:
    """Who comes late with a trouble does not put away what another works on."""
    job = bench.new_job()
    with bench.db.write() as tx:
        for _ in range(3):
            store.jobs.claim_queued(tx, ["apixo"], bench.clock(), 60)
            store.jobs.change(tx, job.id, [JobState.SUBMITTING], state=JobState.QUEUED)
            tx.execute(jobs.update().values(due_at=bench.clock()))
        store.quarantine.put(tx, "jobs", job.id, 1, "late", bench.clock())

        assert [] == tx.execute(select(quarantined_rows)).all()
    assert bench.clock() == bench.job(job).due_at
