"""After a restore: nothing that may have been paid is sent again by itself."""

from __future__ import annotations

from typing import Any

import pytest
from support.harness import Harness
from support.sandboxes import SandboxClient

from service import store
from service.errors import Conflict
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.restore import mark_unknown_after_restore
from service.model import EventType, Job, JobState

pytestmark = pytest.mark.postgresql


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor."""
    return {"apixo_base_url": sandbox.server.url}


def in_state(harness: Harness, state: JobState, **changes: Any) -> Job:
    """A job as the backup shows it."""
    job = harness.new_job(f"{state} fox")
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], state=state, **changes)
    return harness.job(job)


def types(harness: Harness, job: Job) -> list[EventType]:
    """The job's events."""
    with harness.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


@pytest.mark.parametrize("state", ["queued", "held", "submitting"])
def test_without_a_task(harness: Harness, sandbox: SandboxClient, state: str) -> None:
    """Whatever may have gone out since is unknown, reported so, and never sent by itself."""
    job = in_state(harness, JobState(state))
    before = len(sandbox.server.renderer.book.all())
    assert {"asked": 0, "waiting": 1, "damaged": 0} == mark_unknown_after_restore(
        harness.db, harness.wiring.high_water, harness.clock()
    )
    for _ in range(5):
        harness.clock.advance(3600)
        harness.drain("submit", "generate", "poll", "reconcile")

    assert before == len(sandbox.server.renderer.book.all())
    found = harness.job(job)
    assert (JobState.UNKNOWN, "RESTORED") == (found.state, (found.error or {})["code"])
    assert EventType.JOB_UNKNOWN is types(harness, job)[0]


def test_with_a_task(harness: Harness, sandbox: SandboxClient) -> None:
    """A job with a task is asked about at once and ends as it ended."""
    job = harness.new_job("[lose] A fox")
    harness.drain("submit")
    sandbox.ended(harness.job(job).task_id or "")
    assert {"asked": 1, "waiting": 0, "damaged": 0} == mark_unknown_after_restore(
        harness.db, harness.wiring.high_water, harness.clock()
    )
    assert JobState.UNKNOWN is harness.job(job).state
    harness.drain("poll")

    assert JobState.SUCCEEDED is harness.job(job).state
    assert [EventType.JOB_SUBMITTED, EventType.JOB_SUCCEEDED] == types(harness, job)


def test_with_a_task_that_is_running(harness: Harness, sandbox: SandboxClient) -> None:
    """What still runs is submitted again, without its error, and polled on."""
    job = harness.new_job("[lose] [slow 60] A fox")
    harness.drain("submit")
    mark_unknown_after_restore(harness.db, harness.wiring.high_water, harness.clock())
    harness.drain("poll")
    found = harness.job(job)

    assert (JobState.SUBMITTED, None) == (found.state, found.error)
    assert found.due_at is not None


def test_callback_after_the_restore(harness: Harness, sandbox: SandboxClient) -> None:
    """A callback for a restored job with a task is believed for that task."""
    job = harness.new_job("[lose] A fox")
    harness.drain("submit")
    task_id = harness.job(job).task_id
    sandbox.ended(task_id or "")
    mark_unknown_after_restore(harness.db, harness.wiring.high_water, harness.clock())
    body = f'{{"code":200,"data":{{"taskId":"{task_id}","state":"success"}}}}'.encode()
    harness.wiring.ingest.insert(job.id, "apixo", {}, body, harness.clock())
    harness.drain("process")

    assert (JobState.SUCCEEDED, "callback") == (
        harness.job(job).state,
        harness.job(job).resolved_by,
    )


def test_resend_by_hand(harness: Harness, sandbox: SandboxClient) -> None:
    """A person may send it again, once."""
    job = in_state(harness, JobState.QUEUED)
    mark_unknown_after_restore(harness.db, harness.wiring.high_water, harness.clock())
    before = len(sandbox.server.renderer.book.all())
    with harness.db.write() as tx:
        resolve_by_hand(tx, harness.job(job), Resolution(resend=True), harness.clock())
    harness.drain("submit")

    assert (JobState.SUBMITTED, 1) == (
        harness.job(job).state,
        len(sandbox.server.renderer.book.all()) - before,
    )


@pytest.mark.parametrize("state", ["succeeded", "failed", "canceled", "unknown"])
def test_others_are_left_alone(harness: Harness, state: str) -> None:
    """What had ended, or was unknown before, stays as it is."""
    job = in_state(harness, JobState(state))
    assert {"asked": 0, "waiting": 0, "damaged": 0} == mark_unknown_after_restore(
        harness.db, harness.wiring.high_water, harness.clock()
    )

    assert job == harness.job(job)


def test_twice(harness: Harness) -> None:
    """Running it again changes and tells nothing more."""
    job = in_state(harness, JobState.QUEUED)
    mark_unknown_after_restore(harness.db, harness.wiring.high_water, harness.clock())
    once = harness.job(job)
    assert {"asked": 0, "waiting": 0, "damaged": 0} == mark_unknown_after_restore(
        harness.db, harness.wiring.high_water, harness.clock()
    )

    assert once == harness.job(job)
    assert [EventType.JOB_UNKNOWN] == types(harness, job)


def test_beside_a_worker(harness: Harness) -> None:
    """As long as a worker may be alive nothing is touched."""
    job = in_state(harness, JobState.QUEUED)
    with harness.db.write() as tx:
        store.work.beat(tx, "w1", harness.clock())
    harness.clock.advance(29)
    with pytest.raises(Conflict, match="stop every worker"):
        mark_unknown_after_restore(harness.db, harness.wiring.high_water, harness.clock())
    assert job == harness.job(job)
    harness.clock.advance(2)

    assert {"asked": 0, "waiting": 1, "damaged": 0} == mark_unknown_after_restore(
        harness.db, harness.wiring.high_water, harness.clock()
    )


def test_more_than_a_batch(harness: Harness) -> None:
    """All of them, however many."""
    for _ in range(230):
        harness.new_job()

    assert {"asked": 0, "waiting": 230, "damaged": 0} == mark_unknown_after_restore(
        harness.db, harness.wiring.high_water, harness.clock()
    )
