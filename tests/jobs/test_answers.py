"""What the answer to a create does to its job, where it names another job's task."""

from __future__ import annotations

import pytest
from support.harness import Harness

from service import store
from service.jobs.answers import settle
from service.jobs.journal import CreateAnswer
from service.model import EventType, Job, JobState, Submission

pytestmark = pytest.mark.postgresql


def claim(harness: Harness) -> Job:
    """A job that is being sent."""
    harness.new_job()
    with harness.db.write() as tx:
        job = store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 15.0)
    assert job is not None
    return job


def answer(harness: Harness, job: Job, task_id: str) -> None:
    """The vendor took it, as that task."""
    with harness.db.write() as tx:
        accepted = CreateAnswer(job.id, job.claims, Submission(task_id))
        settle(tx, harness.wiring.settings, accepted, harness.clock())


def test_task_of_another_job(harness: Harness) -> None:
    """One task is never two jobs' result: the second is unknown, and says whose task it was."""
    first, second = claim(harness), claim(harness)
    answer(harness, first, "t1")
    answer(harness, second, "t1")
    found = harness.job(second)

    assert (JobState.SUBMITTED, "t1") == (harness.job(first).state, harness.job(first).task_id)
    assert (JobState.UNKNOWN, None) == (found.state, found.task_id)
    assert found.error is not None
    assert f"the provider named task t1, as for {first.id}" == found.error["message"]


def test_answer_that_is_settled_twice(harness: Harness) -> None:
    """The same answer again is no second submission."""
    job = claim(harness)
    answer(harness, job, "t1")
    answer(harness, job, "t1")
    with harness.db.read() as tx:
        events = [event.type for event in store.events.of_job(tx, job.id)]

    assert JobState.SUBMITTED == harness.job(job).state
    assert 1 == events.count(EventType.JOB_SUBMITTED)
