"""
The effect of a create's answer on its job: accepted, refused, or no answer.

A late answer still counts, and a repeated one changes nothing more.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.catalogue.models import model_of
from service.errors import DatabaseUnavailable
from service.events.record import record_event
from service.formatting import format_duration
from service.jobs.failover import fail_over
from service.jobs.journal import CreateAnswer, Journal, Refusal, Silence
from service.jobs.lookup import can_look_up, first_lookup
from service.jobs.outcomes import fail_job, record_outcome
from service.jobs.provider_status import mark_reachable, mark_unreachable
from service.jobs.requests import API_SOURCE
from service.model import Clock, EventType, Job, JobError, JobState, Submission
from service.model.error_codes import HOLD_CODES, RETRY_CODES, as_stored, job_error, with_code
from service.retry import LONGEST_VENDOR_HINT, backoff, bounded
from service.settings import Settings
from service.store.database import Database

log = logging.getLogger(__name__)

#: A job's deadline is three times its model's expected time, but at least this many seconds.
SHORTEST_DEADLINE_SECONDS = 300.0
#: The first and the longest pause, in seconds, before the next create at a failing provider.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0


def commit_left_answers(db: Database, journal: Journal, settings: Settings, clock: Clock) -> int:
    """
    Commit the answers that an earlier attempt or process left on disk; returns their number.

    An answer that cannot be committed stays there, and does not block the others.
    """
    count = 0
    for answer in journal.left():
        try:
            with db.write() as tx:
                settle(tx, settings, answer, clock())
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("the answer for %s, left on the disk, stays there", answer.job_id)
            continue
        journal.remove(answer)
        log.warning("the answer for %s, left on the disk, is now committed", answer.job_id)
        count += 1
    return count


def settle(tx: Connection, settings: Settings, answer: CreateAnswer, now: datetime) -> None:
    """Store the result of a create. A repetition changes nothing."""
    found = store.jobs.find(tx, answer.job_id)
    if found is None:
        return
    job = replace(found, claims=answer.claims)
    match answer.result:
        case Submission() as submission:
            _settle_accepted(tx, settings, job, submission, now)
            # After the job: a holder of the provider's row must not wait for a job's row.
            mark_reachable(tx, job.provider)
        case Refusal() as refusal:
            if not fail_over(tx, settings, job, refusal, now):
                settle_refused(tx, job, refusal, now)
        case Silence() as silence:
            mark_unknown(tx, job, silence.message, now, silence.code)
            if silence.code == "SUBMIT_FAILED_UNKNOWN":
                # The provider gets its next job later, and later still while it keeps failing.
                mark_unreachable(tx, job.provider, silence.message, now)
                failing = store.providers.failing_for(tx, job.provider, now).total_seconds()
                wait = min(max(failing, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
                store.providers.pause(tx, job.provider, now + timedelta(seconds=wait))


def _settle_accepted(
    tx: Connection, settings: Settings, job: Job, submission: Submission, now: datetime
) -> None:
    """Store an accepted create. A late answer still counts: it resolves an unknown job."""
    holder = store.jobs.holder_of(tx, job.provider, submission.task_id)
    if holder == job.id:
        # A callback was first, or the first commit of this answer succeeded without our notice.
        return
    if holder:
        mark_unknown(tx, job, f"the provider named task {submission.task_id}, as for {holder}", now)
        return
    accepted = store.jobs.accept(
        tx,
        job.id,
        [JobState.SUBMITTING, JobState.UNKNOWN],
        task_id=submission.task_id,
        error=None,
        submitted_at=now,
        deadline_at=deadline_of(job, now),
        due_at=now + timedelta(seconds=_first_poll_seconds(settings, job)),
    )
    message = f"the provider accepted it as task {submission.task_id}"
    message += f" ({submission.remark})" if submission.remark else ""
    if not accepted:
        store.steps.add(tx, job.id, "surplus", f"{message}, after the job had moved on", now)
        return
    store.steps.add(tx, job.id, "submitted", message, now)
    record_event(tx, job, EventType.JOB_SUBMITTED, now)
    store.callbacks.make_due_now(tx, job.id, now)
    if submission.outcome:
        record_outcome(tx, settings, job, submission.outcome, "answer", now)


def _first_poll_seconds(settings: Settings, job: Job) -> float:
    """Seconds until the first poll: the wait for a callback, else half of the expected time."""
    model = model_of(job.model, job.provider)
    if settings.pull and model.calls_back:
        return settings.poll_after or min(model.poll_after, model.expected(job.input) / 2)
    return settings.poll_after or model.poll_after


def deadline_of(job: Job, now: datetime) -> datetime:
    """The deadline of a job that is sent now."""
    expected = 3 * model_of(job.model, job.provider).expected(job.input)
    return now + timedelta(seconds=max(expected, SHORTEST_DEADLINE_SECONDS))


def settle_refused(tx: Connection, job: Job, refusal: Refusal, now: datetime) -> None:
    """Store a refusal, after which there is no task: the claimed job waits, is held, or fails."""
    error = job_error(refusal.code, refusal.message, refusal.provider_code)
    if refusal.code in HOLD_CODES:
        _hold_provider(tx, job, error, now)
        return
    if refusal.code not in RETRY_CODES:
        _fail_refused(tx, job, error, now)
        return
    # The job is sent again when the provider may accept it.
    asked = bounded(refusal.retry_after, LONGEST_VENDOR_HINT)
    wait = asked or backoff(job.claims, 2.0, LONGEST_PAUSE_SECONDS)
    later = now + timedelta(seconds=wait)
    message = with_code(refusal.code, refusal.message)
    _requeue(tx, job, later, f"{message}; again in {format_duration(wait)}", now)
    store.providers.pause(tx, job.provider, later)
    if refusal.code == "PROVIDER_UNAVAILABLE":
        mark_unreachable(tx, job.provider, message, now)


def _fail_refused(tx: Connection, job: Job, error: JobError, now: datetime) -> None:
    """Fail the refused job, unless somebody has sent it again since."""
    if store.jobs.still_sent_by(tx, job):
        fail_job(tx, job, error, "answer", now)
        return
    message = f"{with_code(error.code, error.message)}, after the job had moved on"
    store.steps.add(tx, job.id, "surplus", message, now)


def _requeue(tx: Connection, job: Job, due_at: datetime, why: str, now: datetime) -> None:
    changes = {"state": JobState.QUEUED, "due_at": due_at, "sent_at": None}
    if store.jobs.settle_claimed(tx, job, **changes):
        store.steps.add(tx, job.id, "postponed", why, now)


def _hold_provider(tx: Connection, job: Job, error: JobError, now: datetime) -> None:
    """Hold the provider and its queued jobs; the first refused job notifies the owner."""
    why = with_code(error.code, error.message)
    for waiting in store.jobs.queued_from_compat(tx, job.provider, API_SOURCE):
        fail_job(tx, waiting, error, "answer", now)
    if job.source != API_SOURCE:
        _fail_refused(tx, job, error, now)
    # After the other jobs: a holder of the provider's row must not wait for a job's row.
    first = store.providers.hold(tx, job.provider, why)
    if first:
        log.error("%s is held, nothing goes out to it: %s", job.provider, why)
    if job.source != API_SOURCE:
        return
    if first:
        hold_job(tx, job, error, None, now)
    else:
        _requeue(tx, job, now, f"{why}; goes out once {job.provider} is resumed", now)


def hold_job(
    tx: Connection, job: Job, error: JobError, due_at: datetime | None, now: datetime
) -> None:
    """Hold the claimed job until `due_at`, or for a person if that is None; notify its owner."""
    changes = {"state": JobState.HELD, "error": as_stored(error), "due_at": due_at}
    if store.jobs.settle_claimed(tx, job, **changes):
        store.steps.add(tx, job.id, "held", with_code(error.code, error.message), now)
        record_event(tx, job, EventType.JOB_HELD, now)


def mark_unknown(
    tx: Connection, job: Job, message: str, now: datetime, code: str = "SUBMIT_TIMEOUT_UNKNOWN"
) -> None:
    """
    Make the claimed job `unknown`, as it may have been sent.

    Only a person sends it again, or a lookup without a result at a vendor that refuses duplicates.

    Args:
        code: ``SUBMIT_FAILED_UNKNOWN`` if the vendor answered with an error of its
            own; such a job fails by itself at its deadline.
    """
    # The deadline of the first attempt also holds for repeated ones.
    deadline_at = job.deadline_at or deadline_of(job, now)
    # A callback resolves most such jobs in the time of a video: the owner is notified later.
    expected = timedelta(seconds=model_of(job.model, job.provider).expected(job.input))
    looked_up = can_look_up(job.provider)
    due_at = first_lookup(now) if looked_up else min(now + expected, deadline_at)
    changes = {"error": as_stored(job_error(code, message)), "due_at": due_at}
    state = JobState.UNKNOWN
    if not store.jobs.settle_claimed(tx, job, state=state, deadline_at=deadline_at, **changes):
        return
    store.steps.add(tx, job.id, "unknown", message, now)
    store.callbacks.make_due_now(tx, job.id, now)
