"""Jobs' rows: who may see them, and which change of state is one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import NOON, Bench
from sqlalchemy.exc import IntegrityError

from service import store
from service.model import OPEN, Job, JobState

pytestmark = pytest.mark.postgresql


def page(bench: Bench, limit: int = 50, account: str = "", **which: object) -> list[str]:
    """The ids on a page."""
    with bench.db.read() as tx:
        found = store.jobs.page(tx, account or bench.account.id, limit, **which)  # type: ignore[arg-type]
    return [job.id for job in found]


def put(bench: Bench, job: Job, **changes: object) -> bool:
    """Change a job, whatever its state."""
    with bench.db.write() as tx:
        return store.jobs.change(tx, job.id, list(JobState), **changes)


def test_round_trip(bench: Bench) -> None:
    """A job is read as it was written, to the last field."""
    job = bench.new_job("Füchse \U0001f98a “x”", metadata={"a": [1, None, {"ü": 0.5}]})

    assert job == bench.job(job)


def test_own_jobs_only(bench: Bench) -> None:
    """Bob neither finds nor lists what is alice's."""
    job = bench.new_job()
    bob, _ = bench.new_account("bob")
    with bench.db.read() as tx:
        found = [store.jobs.owned(tx, one, job.id) for one in (bench.account.id, bob.id)]

    assert [job, None] == found
    assert ([job.id], []) == (page(bench), page(bench, account=bob.id))
    assert [] == page(bench, account=bob.id, prefix=job.id)


def test_pages(bench: Bench) -> None:
    """Newest first; the next page goes on after the last one, without gap or double."""
    expected: list[str] = []
    for number in range(7):
        bench.clock.advance(1)
        expected.insert(0, bench.new_job(f"fox {number}").id)
    first = page(bench, 3)
    second = page(bench, 3, before=first[-1])
    third = page(bench, 3, before=second[-1])

    assert expected == first + second + third


def test_filters(bench: Bench) -> None:
    """Each filter narrows, and all together still do."""
    old, new = bench.new_job(), None
    bench.clock.advance(60)
    new = bench.new_job()
    put(bench, new, state=JobState.SUBMITTED, task_id="task_1%")

    assert [new.id] == page(bench, state="submitted")
    assert [new.id] == page(bench, since=NOON + timedelta(seconds=30))
    assert [old.id] == page(bench, prefix=old.id[:36])
    assert [new.id] == page(bench, prefix="task_1")
    assert [] == page(bench, prefix="%")
    assert [] == page(bench, prefix="task11")
    assert [] == page(bench, state="submitted", prefix=old.id)


def test_search(bench: Bench) -> None:
    """A search finds the start of an id, or all words anywhere in the prompt; no wildcards."""
    fox, über = bench.new_job("A red Fox, 100% awake"), bench.new_job("Über a red heron")
    put(bench, fox, state=JobState.SUBMITTED, task_id="Task 9")

    assert [fox.id] == page(bench, search="fox RED")
    assert [fox.id] == page(bench, search="100%") == page(bench, search=fox.id)
    assert [fox.id] == page(bench, search="Task 9")
    assert [über.id] == page(bench, search="über") == page(bench, search="ÜBER")
    assert [] == page(bench, search="1%0") == page(bench, search="fox heron")
    assert 2 == len(page(bench, search="red"))
    with bench.db.read() as tx:
        assert {"submitted": 1} == store.jobs.counts(tx, bench.account.id, search="fox")


@pytest.mark.parametrize("state", list(JobState))
def test_end(bench: Bench, state: JobState) -> None:
    """Every state but a terminal one can end; a terminal one stays as it was."""
    job = bench.new_job()
    put(bench, job, state=state)
    before = bench.job(job)
    with bench.db.write() as tx:
        ended = store.jobs.end(tx, job.id, NOON, state=JobState.FAILED)
    terminal = state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)

    assert (not terminal) == ended
    assert (before if terminal else JobState.FAILED) in (bench.job(job), bench.job(job).state)


def test_change_compares(bench: Bench) -> None:
    """A change that expects another state changes nothing."""
    job = bench.new_job()
    with bench.db.write() as tx:
        done = store.jobs.change(tx, job.id, [JobState.HELD, JobState.UNKNOWN], task_id="x")

    assert (False, job) == (done, bench.job(job))


def test_task_belongs_to_one_job(bench: Bench) -> None:
    """The database itself keeps two jobs from having one task."""
    first, second = bench.new_job(), bench.new_job()
    put(bench, first, task_id="t")
    with pytest.raises(IntegrityError):
        put(bench, second, task_id="t")
    with bench.db.read() as tx:
        holders = [store.jobs.holder_of(tx, name, "t") for name in ("apixo", "segmind")]

    assert [first.id, None] == holders


def test_count_open(bench: Bench) -> None:
    """Slots are held by what the provider may be working on, and by nothing else."""
    for state in JobState:
        put(bench, bench.new_job(), state=state)
    with bench.db.read() as tx:
        assert len(OPEN) == store.jobs.count_open(tx, "apixo")
        assert 0 == store.jobs.count_open(tx, "segmind")


def test_release_held(bench: Bench) -> None:
    """Resuming a provider queues its held jobs, and touches no other row."""
    jobs = {state: bench.new_job() for state in JobState}
    for state, job in jobs.items():
        put(bench, job, state=state, due_at=None, error={"code": "X"})
    other = bench.new_job()
    put(bench, other, state=JobState.HELD, provider="segmind")
    with bench.db.write() as tx:
        assert 1 == store.jobs.release_held(tx, "apixo", NOON)
    held = bench.job(jobs.pop(JobState.HELD))

    assert (JobState.QUEUED, NOON, None) == (held.state, held.due_at, held.error)
    assert list(jobs) == [bench.job(job).state for job in jobs.values()]
    assert JobState.HELD is bench.job(other).state


def test_stopped_providers(bench: Bench) -> None:
    """Neither a held nor a paused provider's jobs are claimed, nor one's that is not asked for."""

    def claim(*names: str) -> bool:
        with bench.db.write() as tx:
            return store.jobs.claim_queued(tx, names, bench.clock(), 60) is not None

    bench.new_job()
    with bench.db.write() as tx:
        store.providers.hold(tx, "apixo", "x")
    assert not claim("apixo")
    with bench.db.write() as tx:
        store.providers.resume(tx, "apixo")
        store.providers.pause(tx, "apixo", NOON + timedelta(seconds=5))
    assert not claim("apixo")
    bench.clock.advance(5)
    assert not claim("segmind")
    assert not claim()
    assert claim("apixo")


def test_steps(bench: Bench) -> None:
    """Steps are numbered within their job and come back in order."""
    jobs = [bench.new_job(), bench.new_job()]
    with bench.db.write() as tx:
        for number in range(3):
            for job in jobs:
                store.jobs.add_step(tx, job.id, "kind", f"{number}", NOON)
        found = [(s.number, s.message) for s in store.jobs.all_steps(tx, jobs[0].id)]

    assert [(1, "0"), (2, "1"), (3, "2")] == found
