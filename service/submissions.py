"""
Sending jobs out: claim one, call once, settle.

The create request is never repeated by itself. Only what certainly was not
sent, or certainly was refused, may go out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.catalogue import MODELS
from service.db import Database
from service.errors import Refused, Unanswered
from service.events import record_event
from service.failures import HOLDING, PASSING, job_error
from service.model import Clock, EventType, Job, JobState, Submission
from service.outcomes import fail_job, record_outcome
from service.providers.base import Provider
from service.retry import backoff
from service.settings import Settings
from service.signing import CallbackSigner

#: How long a callback's URL stays good.
CALLBACK_LIFE = timedelta(days=30)
#: A lease outlasts its call by this many seconds.
GRACE_SECONDS = 15.0
SHORTEST_DEADLINE = 300.0
#: The longest pause between two tries at a provider that refuses for now.
LONGEST_PAUSE = 300.0


def submit_job(
    db: Database,
    providers: Mapping[str, Provider],
    signer: CallbackSigner,
    settings: Settings,
    clock: Clock,
) -> bool:
    """Send the next queued job; False when there was none that may go out."""
    now = clock()
    with db.write() as tx:
        job = _claim(tx, providers, settings, now)
    if job is None:
        return False
    callback_url = signer.url_for(job.id, job.provider, now + CALLBACK_LIFE)
    try:
        submission = providers[job.provider].submit(job, callback_url)
    except Refused as error:
        with db.write() as tx:
            _settle_refused(tx, job, error, clock())
    except Unanswered as error:
        with db.write() as tx:
            mark_unknown(tx, job, error.message, clock())
    else:
        with db.write() as tx:
            _settle_accepted(tx, settings, job, submission, clock())
    return True


def _claim(
    tx: Connection, providers: Mapping[str, Provider], settings: Settings, now: datetime
) -> Job | None:
    """The next job, if its provider has room for a task and a request."""
    job = store.jobs.claim_queued(tx, now, settings.submit_timeout + GRACE_SECONDS)
    if job is None:
        return None
    wait = _wait(tx, providers.get(job.provider), job, now)
    if not wait:
        store.jobs.add_step(tx, job.id, "submitting", f"sending to {job.provider}", now)
        return job
    later = now + timedelta(seconds=wait)
    store.jobs.settle_claimed(tx, job, state=JobState.QUEUED, due_at=later)
    store.providers.pause(tx, job.provider, later)
    return None


def _wait(tx: Connection, provider: Provider | None, job: Job, now: datetime) -> float:
    if provider is None:
        return LONGEST_PAUSE
    limits = provider.limits
    if limits.tasks and store.jobs.count_open(tx, job.provider) > limits.tasks:
        return 1.0
    if limits.requests_per_minute:
        return store.providers.take_token(tx, job.provider, limits.requests_per_minute, now)
    return 0.0


def _settle_accepted(
    tx: Connection, settings: Settings, job: Job, submission: Submission, now: datetime
) -> None:
    """A late answer still counts: a job that was given up as unknown is adopted by it."""
    model = MODELS[job.model]
    deadline = max(3 * model.expected(job.input), SHORTEST_DEADLINE)
    accepted = store.jobs.change(
        tx,
        job.id,
        [JobState.SUBMITTING, JobState.UNKNOWN],
        state=JobState.SUBMITTED,
        task_id=submission.task_id,
        error=None,
        submitted_at=now,
        deadline_at=now + timedelta(seconds=deadline),
        due_at=now + timedelta(seconds=settings.poll_after or model.poll_after),
    )
    message = f"the provider took it as task {submission.task_id}"
    if not accepted:
        store.jobs.add_step(tx, job.id, "surplus", f"{message}, after the job had moved on", now)
        return
    store.jobs.add_step(tx, job.id, "submitted", message, now)
    record_event(tx, job, EventType.JOB_SUBMITTED, now)
    store.callbacks.hurry(tx, job.id, now)
    if submission.outcome:
        record_outcome(tx, settings, job, submission.outcome, "answer", now)


def _settle_refused(tx: Connection, job: Job, refused: Refused, now: datetime) -> None:
    error = job_error(refused.code, refused.message, refused.provider_code)
    if refused.code in PASSING:
        wait = refused.retry_after or backoff(job.claims, 2.0, LONGEST_PAUSE)
        later = now + timedelta(seconds=wait)
        store.providers.pause(tx, job.provider, later)
        store.jobs.settle_claimed(tx, job, state=JobState.QUEUED, due_at=later)
        message = f"{refused.code}: {refused.message}; again in {wait:.0f} s"
        store.jobs.add_step(tx, job.id, "postponed", message, now)
        return
    if refused.code in HOLDING:
        store.providers.hold(tx, job.provider, f"{refused.code}: {refused.message}")
    if refused.code in HOLDING and job.door == "clipbell":
        store.jobs.settle_claimed(tx, job, state=JobState.HELD, due_at=None, error=asdict(error))
        store.jobs.add_step(tx, job.id, "held", f"{error.code}: {error.message}", now)
        record_event(tx, job, EventType.JOB_HELD, now)
        return
    fail_job(tx, job, error, "answer", now)


def mark_unknown(tx: Connection, job: Job, message: str, now: datetime) -> None:
    """It may have been sent: nobody sends it again but a person."""
    error = job_error("SUBMIT_TIMEOUT_UNKNOWN", message)
    deadline = max(3 * MODELS[job.model].expected(job.input), SHORTEST_DEADLINE)
    due_at = now + timedelta(seconds=deadline)
    changes = {"error": asdict(error), "due_at": due_at, "deadline_at": due_at}
    if not store.jobs.settle_claimed(tx, job, state=JobState.UNKNOWN, **changes):
        return
    store.jobs.add_step(tx, job.id, "unknown", message, now)
    record_event(tx, job, EventType.JOB_UNKNOWN, now)
    store.callbacks.hurry(tx, job.id, now)
