"""What a caller may say of one job: by when it must be sent, and which events are sent."""

from __future__ import annotations

from typing import Any

import pytest
from support.harness import Harness

from service import store
from service.errors import InvalidInput
from service.events.record import record_event
from service.jobs.outcomes import fail_job
from service.jobs.provider_status import release_provider
from service.jobs.requests import check_request
from service.model import EventType, Job, JobState
from service.model.error_codes import job_error

pytestmark = pytest.mark.postgresql

TARGET = "http://127.0.0.1:9/hook"


def report(harness: Harness, job: Job) -> list[str]:
    """The events of the job that have a delivery, one line for each."""
    with harness.db.read() as tx:
        events = {event.id: event.type for event in store.events.of_job(tx, job.id)}
        deliveries = store.deliveries.of_job(tx, job.id)
    return sorted(events[one.event_id] for one in deliveries)


def happen(harness: Harness, job: Job) -> None:
    """The job is submitted, then fails."""
    with harness.db.write() as tx:
        record_event(tx, job, EventType.JOB_SUBMITTED, harness.clock())
        fail_job(tx, job, job_error("PROVIDER_ERROR", "no"), "poll", harness.clock())


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.HELD])
def test_canceled_in_time(harness: Harness, state: JobState) -> None:
    """A job that still waits when its time is over is canceled, and its owner notified."""
    job = harness.new_job(cancel_after=60, notify=[f"webhook:{TARGET}"], events=["job.canceled"])
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], state=state, due_at=None)
    harness.clock.advance(59)
    early = harness.wiring.due(), harness.unit("reconcile")
    harness.clock.advance(1)
    late = harness.wiring.due(), harness.unit("reconcile")

    assert ("reconcile" in early[0], early[1]) == (False, False)
    assert ("reconcile" in late[0], late[1]) == (True, True)
    assert JobState.CANCELED is harness.job(job).state
    assert ["job.canceled"] == report(harness, job)


def test_never_sent_too_late(harness: Harness) -> None:
    """A worker that comes late sends nothing whose time is over, even before it is canceled."""
    job = harness.new_job(cancel_after=60)
    with harness.db.write() as tx:
        store.providers.hold(tx, "apixo", "by a test")
    harness.clock.advance(61)
    with harness.db.write() as tx:
        release_provider(tx, "apixo", harness.clock())
        assert store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60) is None

    assert JobState.QUEUED is harness.job(job).state


def test_what_was_sent_goes_on(harness: Harness) -> None:
    """A vendor that has the job is paid: its time is over without effect."""
    job = harness.new_job(cancel_after=60)
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], state=JobState.SUBMITTED, due_at=None)
    harness.clock.advance(61)
    harness.drain("reconcile")

    assert JobState.SUBMITTED is harness.job(job).state


def test_only_these_events(harness: Harness) -> None:
    """No other event is sent, neither to the targets that are named nor to the account's own."""
    spec = {"channel": "webhook", "target": TARGET, "events": list(EventType)}
    job = harness.new_job(notify=[spec], events=["job.failed"])
    happen(harness, job)

    assert ["job.failed"] == report(harness, job)


def test_targets_without_events_get_these(harness: Harness) -> None:
    """A target that names none gets them, also those that are not usual."""
    job = harness.new_job(notify=[f"webhook:{TARGET}"], events=["job.submitted", "job.failed"])
    happen(harness, job)

    assert ["job.failed", "job.submitted"] == report(harness, job)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("cancel_after", 0, "out_of_range"),
        ("cancel_after", 30 * 86_400 + 1, "out_of_range"),
        ("cancel_after", "60", "wrong_type"),
        ("cancel_after", True, "wrong_type"),
        ("events", [], "not_allowed"),
        ("events", "job.failed", "not_allowed"),
        ("events", ["subscription.disabled"], "not_allowed"),
        ("events", [7], "not_allowed"),
    ],
)
def test_refused(harness: Harness, field: str, value: Any, code: str) -> None:
    """A wrong wish is refused at its field."""
    body = {"model": "kling-2", "input": {"prompt": "A fox"}, field: value}
    with pytest.raises(InvalidInput) as caught:
        check_request(body, harness.wiring.channels, harness.wiring.market())

    assert [(f"/{field}", code)] == [(f.pointer, f.code) for f in caught.value.faults]
