"""Outcomes: the first end wins, once, however many find it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.harness import Harness

from service import store
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.errors import Conflict
from service.jobs.answers import mark_unknown
from service.jobs.outcomes import Resolution, record_outcome, resolve_by_hand
from service.jobs.requests import cancel_job, mute_job
from service.model import (
    TERMINAL,
    TERMINAL_EVENTS,
    DeliveryState,
    EventType,
    Job,
    JobState,
    Outcome,
    TaskState,
)
from service.model.error_codes import as_stored, job_error

pytestmark = pytest.mark.postgresql

DONE = Outcome(TaskState.SUCCEEDED, result_url="http://127.0.0.1:9/video.mp4", cost=0.4)
OTHER = Outcome(TaskState.SUCCEEDED, result_url="http://127.0.0.1:9/other.mp4")
FAILED = Outcome(TaskState.FAILED, error=job_error("CONTENT_VIOLATION", "no"))
RUNNING = Outcome(TaskState.RUNNING)
TARGET = "http://127.0.0.1:9/hook"


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """The copy gets ten seconds."""
    return {"archive_wait": 10}


def record(harness: Harness, job: Job, outcome: Outcome, by: str = "poll") -> bool:
    """Somebody found this out."""
    with harness.db.write() as tx:
        return record_outcome(tx, harness.wiring.settings, job, outcome, by, harness.clock())


def types(harness: Harness, job: Job) -> list[EventType]:
    """The job's events."""
    with harness.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


def link(harness: Harness, job: Job) -> str | None:
    """Where its result is said to be."""
    with harness.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    return video.provider_url if video else None


@pytest.mark.parametrize("first", [DONE, FAILED])
@pytest.mark.parametrize("second", [DONE, OTHER, FAILED, RUNNING])
def test_first_end_wins(harness: Harness, first: Outcome, second: Outcome) -> None:
    """Nothing that comes after the end changes a single column, or tells anybody."""
    job = harness.new_job()
    assert record(harness, job, first)
    ended, report, at = harness.job(job), types(harness, job), link(harness, job)
    harness.clock.advance(5)

    assert not record(harness, job, second)
    assert (ended, report, at) == (harness.job(job), types(harness, job), link(harness, job))
    assert 1 == len(report)


def test_running_is_no_end(harness: Harness) -> None:
    """An outcome that is not terminal leaves the job as it is."""
    job = harness.new_job()

    assert not record(harness, job, RUNNING)
    assert (job, []) == (harness.job(job), types(harness, job))


def race(*runners: Callable[[], object]) -> list[object]:
    """All at once; what each returned."""
    start, ends = threading.Barrier(len(runners)), list[object]()

    def run(runner: Callable[[], object]) -> None:
        start.wait()
        try:
            ends.append(runner())
        except Conflict:
            ends.append(False)

    threads = [threading.Thread(target=run, args=(runner,)) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


@pytest.mark.parametrize("second", [Resolution("task_9"), Resolution(resend=True), Resolution()])
def test_resolved_by_two(harness: Harness, second: Resolution) -> None:
    """Of two who resolve what they saw as unknown, the later one learns it, and changes nothing."""
    job = harness.new_job()
    with harness.db.write() as tx:
        mark_unknown(tx, job, "no answer", harness.clock())
    seen = harness.job(job)
    with harness.db.write() as tx:
        resolve_by_hand(tx, seen, Resolution(resend=True), harness.clock())
        steps = store.steps.of_job(tx, job.id)
    with pytest.raises(Conflict, match="the job is queued"), harness.db.write() as tx:
        resolve_by_hand(tx, seen, second, harness.clock())

    assert JobState.QUEUED is harness.job(job).state
    with harness.db.read() as tx:
        assert steps == store.steps.of_job(tx, job.id)


def test_eight_find_it_at_once(harness: Harness) -> None:
    """Eight that race with different ends: one wins, one event, one delivery, its link."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", TARGET)
        subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())
    for _ in range(5):
        job = harness.new_job()
        outcomes = [DONE, OTHER, FAILED, DONE, FAILED, OTHER, DONE, FAILED]
        ends = race(*[lambda job=job, o=o: record(harness, job, o) for o in outcomes])
        with harness.db.read() as tx:
            deliveries = store.deliveries.of_job(tx, job.id)

        assert 1 == ends.count(True)
        assert (1, 1) == (len(types(harness, job)), len(deliveries))
        succeeded = harness.job(job).state is JobState.SUCCEEDED
        assert succeeded == (link(harness, job) is not None)


def test_cancel_races_with_sending(harness: Harness) -> None:
    """A job is taken back or sent, never both."""
    for _ in range(8):
        job = harness.new_job()

        def release(job: Job = job) -> bool:
            with harness.db.write() as tx:
                cancel_job(tx, job, harness.clock())
            return True

        def claim() -> bool:
            with harness.db.write() as tx:
                return store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60) is not None

        assert 1 == race(release, claim).count(True)
        assert harness.job(job).state in (JobState.CANCELED, JobState.SUBMITTING)
        with harness.db.write() as tx:
            store.jobs.end(tx, job.id, harness.clock(), state=JobState.FAILED)


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.QUEUED, JobState.HELD}))
def test_cancel_once_it_may_have_been_sent(harness: Harness, state: JobState) -> None:
    """What may have cost money is not taken back."""
    job = harness.new_job()
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, list(JobState), state=state)
    with pytest.raises(Conflict, match=r"queued and held"), harness.db.write() as tx:
        cancel_job(tx, harness.job(job), harness.clock())

    assert (state, []) == (harness.job(job).state, types(harness, job))


def test_canceled_while_it_was_held(harness: Harness) -> None:
    """It is no longer said to go out tomorrow."""
    job = harness.new_job()
    with harness.db.write() as tx:
        held = {"state": JobState.HELD, "error": as_stored(job_error("BUDGET", "too much"))}
        store.jobs.change(tx, job.id, [JobState.QUEUED], **held)
        cancel_job(tx, harness.job(job), harness.clock())

    assert (JobState.CANCELED, None) == (harness.job(job).state, harness.job(job).error)


def test_muted_while_it_was_found_out(harness: Harness) -> None:
    """No news goes out for a job that was muted before its end was recorded."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", TARGET)
        subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())
    job = harness.new_job()
    with harness.db.write() as tx:
        mute_job(tx, job, harness.clock())
    assert record(harness, job, DONE)  # by somebody who had read the job before
    with harness.db.read() as tx:
        states = [delivery.state for delivery in store.deliveries.of_job(tx, job.id)]

    assert DeliveryState.PENDING not in states


def test_cost(harness: Harness) -> None:
    """What it cost is kept; without a word about it there is none."""
    jobs = [harness.new_job(), harness.new_job()]
    for job, outcome in zip(jobs, (DONE, OTHER), strict=True):
        record(harness, job, outcome)

    assert [0.4, None] == [harness.job(job).actual_cost for job in jobs]


def test_terminal_events_are_unique_in_the_database(harness: Harness) -> None:
    """Even code that forgets to ask cannot write two terminal events of one type for one job."""
    job = harness.new_job()
    for type_ in TERMINAL_EVENTS:
        with harness.db.write() as tx:
            store.events.insert_for_job(tx, job.account_id, job.id, type_, harness.clock())
        with pytest.raises(Exception, match=r"(?i)unique"), harness.db.write() as tx:
            store.events.insert_for_job(tx, job.account_id, job.id, type_, harness.clock())

    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED} == TERMINAL
