"""Kept rows: a job is locked once in a transaction, and never by mistake not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, event
from support.harness import NOON, Harness

from service import store
from service.model import Job
from service.store.kept_rows import keep_job

pytestmark = pytest.mark.postgresql(only=True)


@pytest.fixture
def locks(harness: Harness) -> Iterator[list[str]]:
    """The statements that have locked a row."""
    found: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT jobs.id") and "FOR NO KEY UPDATE" in statement:
            found.append(statement)

    event.listen(harness.db.engine, "before_cursor_execute", record)
    yield found
    event.remove(harness.db.engine, "before_cursor_execute", record)


def write(harness: Harness, *acts: Callable[[Connection], object]) -> None:
    """One transaction."""
    with harness.db.write() as tx:
        for act in acts:
            act(tx)


def line(job: Job) -> Callable[[Connection], object]:
    """A line in the job's timeline."""
    return lambda tx: store.steps.add(tx, job.id, "postponed", "later", NOON)


def test_locked_once(harness: Harness, locks: list[str]) -> None:
    """Many lines of one transaction lock their job once; the next transaction does so again."""
    job = harness.new_job()
    write(harness, line(job), line(job), line(job))
    assert 1 == len(locks)
    write(harness, line(job))

    assert 2 == len(locks)


def test_changed_is_locked(harness: Harness, locks: list[str]) -> None:
    """Whoever has changed the job has its row already."""
    job = harness.new_job()
    write(harness, lambda tx: store.jobs.change(tx, job.id, [job.state], muted=True), line(job))

    assert [] == locks


def test_not_changed_is_not_locked(harness: Harness, locks: list[str]) -> None:
    """A change that found the job in another state has locked nothing."""
    job = harness.new_job()
    write(harness, lambda tx: store.jobs.change(tx, job.id, [], muted=True), line(job))

    assert 1 == len(locks)


def test_savepoint(harness: Harness, locks: list[str]) -> None:
    """What was locked in a savepoint that is rolled back is locked once more."""
    job = harness.new_job()

    def undone(tx: Connection) -> None:
        with tx.begin_nested() as savepoint:
            keep_job(tx, job.id)
            savepoint.rollback()

    write(harness, undone, line(job))

    assert 2 == len(locks)


def test_numbers_under_threads(harness: Harness) -> None:
    """Lines that many transactions add at one time are numbered without a gap or a twin."""
    job = harness.new_job()
    before = steps_of(harness, job)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write(harness, line(job), line(job)), range(20)))

    assert before + 40 == steps_of(harness, job)


def steps_of(harness: Harness, job: Job) -> int:
    """The last number of its lines, of which there are so many."""
    with harness.db.read() as tx:
        numbers = [step.number for step in store.steps.of_job(tx, job.id)]
    assert numbers == list(range(1, len(numbers) + 1))
    return len(numbers)
