"""Jobs' rows: who may see them, and which change of state is one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from support.harness import NOON, Harness

from service import store
from service.model import OPEN, Job, JobState

pytestmark = pytest.mark.postgresql


def page(harness: Harness, limit: int = 50, account: str = "", **which: object) -> list[str]:
    """The ids on a page."""
    with harness.db.read() as tx:
        found = store.job_lists.page(tx, account or harness.account.id, limit, **which)  # type: ignore[arg-type]
    return [job.id for job in found]


def put(harness: Harness, job: Job, **changes: object) -> bool:
    """Change a job, whatever its state."""
    with harness.db.write() as tx:
        return store.jobs.change(tx, job.id, list(JobState), **changes)


def test_round_trip(harness: Harness) -> None:
    """A job is read as it was written, to the last field."""
    job = harness.new_job("Füchse \U0001f98a “x”", metadata={"a": [1, None, {"ü": 0.5}]})

    assert job == harness.job(job)


def test_own_jobs_only(harness: Harness) -> None:
    """Bob neither finds nor lists what is alice's."""
    job = harness.new_job()
    bob, _ = harness.new_account("bob")
    with harness.db.read() as tx:
        found = [store.jobs.owned(tx, one, job.id) for one in (harness.account.id, bob.id)]

    assert [job, None] == found
    assert ([job.id], []) == (page(harness), page(harness, account=bob.id))
    assert [] == page(harness, account=bob.id, prefix=job.id)


def test_pages(harness: Harness) -> None:
    """Newest first; the next page goes on after the last one, without gap or double."""
    expected: list[str] = []
    for number in range(7):
        harness.clock.advance(1)
        expected.insert(0, harness.new_job(f"fox {number}").id)
    first = page(harness, 3)
    second = page(harness, 3, before=first[-1])
    third = page(harness, 3, before=second[-1])

    assert expected == first + second + third


def test_filters(harness: Harness) -> None:
    """Each filter narrows, and all together still do."""
    old, new = harness.new_job(), None
    harness.clock.advance(60)
    new = harness.new_job()
    put(harness, new, state=JobState.SUBMITTED, task_id="task_1%")

    assert [new.id] == page(harness, state="submitted")
    assert [new.id] == page(harness, since=NOON + timedelta(seconds=30))
    assert [old.id] == page(harness, prefix=old.id[:36])
    assert [new.id] == page(harness, prefix="task_1")
    assert [] == page(harness, prefix="%")
    assert [] == page(harness, prefix="task11")
    assert [] == page(harness, state="submitted", prefix=old.id)


def test_search(harness: Harness) -> None:
    """A search finds the start of an id, or all words anywhere in the prompt; no wildcards."""
    fox, über = harness.new_job("A red Fox, 100% awake"), harness.new_job("Über a red heron")
    put(harness, fox, state=JobState.SUBMITTED, task_id="Task 9")

    assert [fox.id] == page(harness, search="fox RED")
    assert [fox.id] == page(harness, search="100%") == page(harness, search=fox.id)
    assert [fox.id] == page(harness, search="Task 9")
    assert [über.id] == page(harness, search="über") == page(harness, search="ÜBER")
    assert [] == page(harness, search="1%0") == page(harness, search="fox heron")
    assert 2 == len(page(harness, search="red"))
    with harness.db.read() as tx:
        assert {"submitted": 1} == store.job_lists.counts(tx, harness.account.id, search="fox")


@pytest.mark.parametrize("state", list(JobState))
def test_end(harness: Harness, state: JobState) -> None:
    """Every state but a terminal one can end; a terminal one stays as it was."""
    job = harness.new_job()
    put(harness, job, state=state)
    before = harness.job(job)
    with harness.db.write() as tx:
        ended = store.jobs.end(tx, job.id, NOON, state=JobState.FAILED)
    terminal = state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)

    assert (not terminal) == ended
    assert (before if terminal else JobState.FAILED) in (harness.job(job), harness.job(job).state)


def test_change_compares(harness: Harness) -> None:
    """A change that expects another state changes nothing."""
    job = harness.new_job()
    with harness.db.write() as tx:
        done = store.jobs.change(tx, job.id, [JobState.HELD, JobState.UNKNOWN], task_id="x")

    assert (False, job) == (done, harness.job(job))


def test_task_belongs_to_one_job(harness: Harness) -> None:
    """The database itself keeps two jobs from having one task."""
    first, second = harness.new_job(), harness.new_job()
    put(harness, first, task_id="t")
    with pytest.raises(IntegrityError):
        put(harness, second, task_id="t")
    with harness.db.read() as tx:
        holders = [store.jobs.holder_of(tx, name, "t") for name in ("apixo", "segmind")]

    assert [first.id, None] == holders


def test_count_open(harness: Harness) -> None:
    """Slots are held by what the provider may be working on, and by nothing else."""
    for state in JobState:
        put(harness, harness.new_job(), state=state)
    with harness.db.read() as tx:
        assert len(OPEN) == store.jobs.count_open(tx, "apixo")
        assert 0 == store.jobs.count_open(tx, "segmind")


def test_release_held(harness: Harness) -> None:
    """Resuming a provider queues its held jobs, and touches no other row."""
    jobs = {state: harness.new_job() for state in JobState}
    for state, job in jobs.items():
        put(harness, job, state=state, due_at=None, error={"code": "X"})
    other = harness.new_job()
    put(harness, other, state=JobState.HELD, provider="segmind")
    with harness.db.write() as tx:
        assert 1 == store.jobs.release_held(tx, "apixo", NOON)
    held = harness.job(jobs.pop(JobState.HELD))

    assert (JobState.QUEUED, NOON, None) == (held.state, held.due_at, held.error)
    assert list(jobs) == [harness.job(job).state for job in jobs.values()]
    assert JobState.HELD is harness.job(other).state


def test_stopped_providers(harness: Harness) -> None:
    """Neither a held nor a paused provider's jobs are claimed, nor one's that is not asked for."""

    def claim(*names: str) -> bool:
        with harness.db.write() as tx:
            return store.jobs.claim_queued(tx, names, harness.clock(), 60) is not None

    harness.new_job()
    with harness.db.write() as tx:
        store.providers.hold(tx, "apixo", "x")
    assert not claim("apixo")
    with harness.db.write() as tx:
        store.providers.resume(tx, "apixo")
        store.providers.pause(tx, "apixo", NOON + timedelta(seconds=5))
    assert not claim("apixo")
    harness.clock.advance(5)
    assert not claim("segmind")
    assert not claim()
    assert claim("apixo")


def test_steps(harness: Harness) -> None:
    """Steps are numbered within their job and come back in order."""
    jobs = [harness.new_job(), harness.new_job()]
    with harness.db.write() as tx:
        for number in range(3):
            for job in jobs:
                store.steps.add(tx, job.id, "kind", f"{number}", NOON)
        found = [(s.number, s.message) for s in store.steps.of_job(tx, jobs[0].id)]

    assert [(1, "0"), (2, "1"), (3, "2")] == found
