"""Answers that come late, after somebody else has acted on the same job."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.harness import Harness
from support.vendor import Call, Vendor

from service import store
from service.errors import ProviderError, Refused, Unanswered
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.provider_status import release_provider
from service.model import EventType, Job, JobState, Outcome, Submission, TaskState

pytestmark = pytest.mark.postgresql

MODEL = "kling-2-5-turbo-pro"
SUBMIT_SECONDS = 20.0
LEASE = 100.0  # seconds after which the lease of any create has run out
DONE = Outcome(TaskState.SUCCEEDED, result_url="https://cdn.example/video.mp4")
NO_CREDITS = Refused("INSUFFICIENT_CREDITS", "none left")
NO_ANSWER = Unanswered("SUBMIT_TIMEOUT_UNKNOWN", "no answer")


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """A dollar a day is enough for one job, not for two."""
    return {"budget": 1.0, "prices": {MODEL: 0.6}}


@pytest.fixture
def vendor(harness: Harness) -> Vendor:
    """Answers when it is asked to."""
    return Vendor(harness.wiring.outbound, SUBMIT_SECONDS)


def unit(harness: Harness, vendor: Vendor, kind: str) -> Call | bool:
    """One unit of work, as far as the call to the vendor."""
    wiring = replace(harness.wiring, providers={"apixo": vendor})
    return vendor.run(wiring.units()[kind])


def asked(harness: Harness, vendor: Vendor, kind: str) -> Call:
    """The request that the unit waits for."""
    call = unit(harness, vendor, kind)
    assert isinstance(call, Call), "the vendor was not asked"
    return call


def resend(harness: Harness, job: Job) -> None:
    """A person has looked: it goes out once more."""
    with harness.db.write() as tx:
        found = store.jobs.lock(tx, job.id)
        assert found is not None
        resolve_by_hand(tx, found, Resolution(resend=True), harness.clock())


def types(harness: Harness, job: Job) -> list[EventType]:
    """The job's events, by type."""
    with harness.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


@pytest.fixture
def twice(harness: Harness, vendor: Vendor) -> tuple[Job, Call, Call]:
    """A job that a person sent once more while its first create was still under way."""
    job = harness.new_job()
    first = asked(harness, vendor, "submit")
    harness.clock.advance(LEASE)
    unit(harness, vendor, "reconcile")
    resend(harness, job)
    # The next day, so that the first create does not stand in the way of the budget.
    harness.clock.advance(timedelta(days=1).total_seconds())
    return job, first, asked(harness, vendor, "submit")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_both_are_accepted(
    harness: Harness, vendor: Vendor, twice: tuple[Job, Call, Call], order: tuple[int, int]
) -> None:
    """The first task that is reported is the job's; the other is named in the timeline."""
    job, *calls = twice
    for place in order:
        vendor.reply(calls[place], Submission(f"task {place}"))
    with harness.db.read() as tx:
        kinds = [step.kind for step in store.steps.of_job(tx, job.id)]

    assert (JobState.SUBMITTED, f"task {order[0]}") == (
        harness.job(job).state,
        harness.job(job).task_id,
    )
    assert 1 == kinds.count("surplus")


LATE = [
    Refused("RATE_LIMITED", "not now"),
    Refused("BAD_REQUEST", "never"),
    NO_CREDITS,
    NO_ANSWER,
]


@pytest.mark.parametrize(
    "answer",
    LATE,
    ids=lambda answer: answer.code,
)
def test_first_answers_after_the_second(
    harness: Harness, vendor: Vendor, twice: tuple[Job, Call, Call], answer: ProviderError
) -> None:
    """A job whose second create has made a task keeps it, whatever becomes of the first."""
    job, first, second = twice
    vendor.reply(second, Submission("second"))
    vendor.reply(first, answer)

    assert (JobState.SUBMITTED, "second") == (harness.job(job).state, harness.job(job).task_id)


@pytest.mark.parametrize("answer", LATE, ids=lambda answer: answer.code)
def test_second_answers_after_the_first(
    harness: Harness, vendor: Vendor, twice: tuple[Job, Call, Call], answer: ProviderError
) -> None:
    """A job whose first create has made a task keeps it, whatever becomes of the second."""
    job, first, second = twice
    vendor.reply(first, Submission("first"))
    vendor.reply(second, answer)

    assert (JobState.SUBMITTED, "first") == (harness.job(job).state, harness.job(job).task_id)


def test_refused_for_credits_gives_the_budget_back(harness: Harness, vendor: Vendor) -> None:
    """A job that was refused for the vendor's credits goes out after the resume."""
    harness.new_job()
    vendor.reply(asked(harness, vendor, "submit"), NO_CREDITS)
    with harness.db.write() as tx:
        release_provider(tx, "apixo", harness.clock())

    vendor.reply(asked(harness, vendor, "submit"), Submission("task"))


def test_resent_job_over_budget_is_held_once(harness: Harness, vendor: Vendor) -> None:
    """What a budget holds is held quietly, not reported again at each look."""
    job = harness.new_job()
    vendor.reply(asked(harness, vendor, "submit"), NO_ANSWER)
    resend(harness, job)
    for _ in range(3):
        call = unit(harness, vendor, "submit")
        if isinstance(call, Call):
            vendor.reply(call, Submission("task"))
        harness.clock.advance(301)
        unit(harness, vendor, "reconcile")

    assert types(harness, job).count(EventType.JOB_HELD) <= 1


def test_late_poll_of_an_ended_job(harness: Harness, vendor: Vendor) -> None:
    """After the end of a job nothing more is reported of it."""
    job = harness.new_job()
    vendor.reply(asked(harness, vendor, "submit"), Submission("task"))
    harness.clock.advance(400)
    poll = asked(harness, vendor, "poll")
    harness.wiring.ingest.insert(job.id, "apixo", {}, b"{}", harness.clock())
    vendor.reply(asked(harness, vendor, "process"), DONE)
    vendor.reply(poll, Outcome(TaskState.RUNNING))

    assert [EventType.JOB_SUBMITTED, EventType.JOB_SUCCEEDED] == types(harness, job)
