"""After a restore: nothing that may have been paid is sent again by itself."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Bench
from support.sandboxes import Wire

from service import store
from service.errors import Conflict
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.restore import mark_unknown_after_restore
from service.model import EventType, Job, JobState

pytestmark = pytest.mark.postgresql


@pytest.fixture
def settings_given(wire: Wire) -> dict[str, Any]:
    """The sandbox is the vendor."""
    return {"apixo_base_url": wire.server.url}


def in_state(bench: Bench, state: JobState, **changes: Any) -> Job:
    """A job as the backup shows it."""
    job = bench.new_job(f"{state} fox")
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], state=state, **changes)
    return bench.job(job)


def types(bench: Bench, job: Job) -> list[EventType]:
    """The job's events."""
    with bench.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


@pytest.mark.parametrize("state", ["queued", "held", "submitting"])
def test_without_a_task(bench: Bench, wire: Wire, state: str) -> None:
    """Whatever may have gone out since is unknown, told so, and never sent by itself."""
    job = in_state(bench, JobState(state))
    before = len(wire.server.renderer.book.all())
    assert {"asked": 0, "waiting": 1, "damaged": 0} == mark_unknown_after_restore(
        bench.db, bench.wiring.high_water, bench.clock()
    )
    for _ in range(5):
        bench.clock.advance(3600)
        bench.drain("submit", "generate", "poll", "reconcile")

    assert before == len(wire.server.renderer.book.all())
    found = bench.job(job)
    assert (JobState.UNKNOWN, "RESTORED") == (found.state, (found.error or {})["code"])
    assert EventType.JOB_UNKNOWN is types(bench, job)[0]


def test_with_a_task(bench: Bench, wire: Wire) -> None:
    """A job with a task is asked about at once and ends as it ended."""
    job = bench.new_job("[lose] A fox")
    bench.drain("submit")
    wire.ended(bench.job(job).task_id or "")
    assert {"asked": 1, "waiting": 0, "damaged": 0} == mark_unknown_after_restore(
        bench.db, bench.wiring.high_water, bench.clock()
    )
    assert JobState.UNKNOWN is bench.job(job).state
    bench.drain("poll")

    assert JobState.SUCCEEDED is bench.job(job).state
    assert [EventType.JOB_SUBMITTED, EventType.JOB_SUCCEEDED] == types(bench, job)


def test_with_a_task_that_is_running(bench: Bench, wire: Wire) -> None:
    """What still runs is submitted again, without its error, and polled on."""
    job = bench.new_job("[lose] [slow 60] A fox")
    bench.drain("submit")
    mark_unknown_after_restore(bench.db, bench.wiring.high_water, bench.clock())
    bench.drain("poll")
    found = bench.job(job)

    assert (JobState.SUBMITTED, None) == (found.state, found.error)
    assert found.due_at is not None


def test_callback_after_the_restore(bench: Bench, wire: Wire) -> None:
    """A callback for a restored job with a task is believed for that task."""
    job = bench.new_job("[lose] A fox")
    bench.drain("submit")
    task_id = bench.job(job).task_id
    wire.ended(task_id or "")
    mark_unknown_after_restore(bench.db, bench.wiring.high_water, bench.clock())
    body = f'{{"code":200,"data":{{"taskId":"{task_id}","state":"success"}}}}'.encode()
    bench.wiring.ingest.insert(job.id, "apixo", {}, body, bench.clock())
    bench.drain("process")

    assert (JobState.SUCCEEDED, "callback") == (bench.job(job).state, bench.job(job).resolved_by)


def test_resend_by_hand(bench: Bench, wire: Wire) -> None:
    """A person may send it again, once."""
    job = in_state(bench, JobState.QUEUED)
    mark_unknown_after_restore(bench.db, bench.wiring.high_water, bench.clock())
    before = len(wire.server.renderer.book.all())
    with bench.db.write() as tx:
        resolve_by_hand(tx, bench.job(job), Resolution(resend=True), bench.clock())
    bench.drain("submit")

    assert (JobState.SUBMITTED, 1) == (
        bench.job(job).state,
        len(wire.server.renderer.book.all()) - before,
    )


@pytest.mark.parametrize("state", ["succeeded", "failed", "canceled", "unknown"])
def test_others_are_left_alone(bench: Bench, state: str) -> None:
    """What had ended, or was unknown before, stays as it is."""
    job = in_state(bench, JobState(state))
    assert {"asked": 0, "waiting": 0, "damaged": 0} == mark_unknown_after_restore(
        bench.db, bench.wiring.high_water, bench.clock()
    )

    assert job == bench.job(job)


def test_twice(bench: Bench) -> None:
    """Running it again changes and tells nothing more."""
    job = in_state(bench, JobState.QUEUED)
    mark_unknown_after_restore(bench.db, bench.wiring.high_water, bench.clock())
    once = bench.job(job)
    assert {"asked": 0, "waiting": 0, "damaged": 0} == mark_unknown_after_restore(
        bench.db, bench.wiring.high_water, bench.clock()
    )

    assert once == bench.job(job)
    assert [EventType.JOB_UNKNOWN] == types(bench, job)


def test_beside_a_worker(bench: Bench) -> None:
    """As long as a worker may be alive nothing is touched."""
    job = in_state(bench, JobState.QUEUED)
    with bench.db.write() as tx:
        store.work.beat(tx, "w1", bench.clock())
    bench.clock.advance(29)
    with pytest.raises(Conflict, match="stop every worker"):
        mark_unknown_after_restore(bench.db, bench.wiring.high_water, bench.clock())
    assert job == bench.job(job)
    bench.clock.advance(2)

    assert {"asked": 0, "waiting": 1, "damaged": 0} == mark_unknown_after_restore(
        bench.db, bench.wiring.high_water, bench.clock()
    )


def test_more_than_a_batch(bench: Bench) -> None:
    """All of them, however many."""
    for _ in range(230):
        bench.new_job()

    assert {"asked": 0, "waiting": 230, "damaged": 0} == mark_unknown_after_restore(
        bench.db, bench.wiring.high_water, bench.clock()
    )
