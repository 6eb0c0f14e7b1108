"""
Sending jobs out: claim one, call once, settle.

The create request is never repeated by itself. Only what certainly was not
sent, or certainly was refused, may go out again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from service import store
from service.catalogue.models import MODELS
from service.errors import Refused, Unanswered
from service.events.record import record_event
from service.jobs import budget
from service.jobs.outcomes import fail_job, record_outcome
from service.jobs.provider_status import mark_reachable, mark_unreachable
from service.jobs.requests import API_SOURCE
from service.model import Clock, EventType, Job, JobError, JobState, Submission
from service.model.error_codes import HOLD_CODES, RETRY_CODES, as_stored, job_error
from service.model.serializers import dry_run_json
from service.outbound.client import Outbound
from service.providers.base import Provider
from service.retry import backoff, bounded
from service.settings import Settings
from service.signing import CallbackSigner
from service.storage.disk import Disks
from service.storage.uploads import (
    FETCH_SECONDS,
    UploadStore,
    check_images,
    count_images,
    shown_body,
)
from service.store.database import Database
from service.store.quarantine_on_error import ClaimedRow, quarantine_on_error

log = logging.getLogger(__name__)

#: How long a callback's URL stays good.
CALLBACK_LIFE = timedelta(days=30)
#: A lease outlasts its call by this many seconds.
GRACE_SECONDS = 15.0
SHORTEST_DEADLINE = 300.0
#: How often a job that is held for its price is held against the budget again.
HELD_LOOK = timedelta(minutes=5)
#: The longest pause between two tries at a provider that refuses for now.
LONGEST_PAUSE = 300.0


@dataclass(frozen=True)
class SubmissionContext:
    """What sending needs: these providers, and where the images of jobs are."""

    providers: Mapping[str, Provider]
    signer: CallbackSigner
    outbound: Outbound
    uploads: UploadStore
    disks: Disks
    settings: Settings

    def send(self, job: Job, now: datetime) -> Submission:
        """The one create call, after a look at the images. Raises Refused or Unanswered."""
        check_images(self.outbound, self.uploads, MODELS[job.model], job, now)
        callback_url = self.signer.url_for(job.id, job.provider, now + CALLBACK_LIFE)
        return self.providers[job.provider].submit(job, callback_url)

    def lease(self, job: Job) -> float:
        """Seconds that outlast the job's call and the look at each of its images."""
        looks = FETCH_SECONDS * count_images(MODELS[job.model], job.input)
        return self.providers[job.provider].submit_seconds + looks + GRACE_SECONDS


def preview(providers: Mapping[str, Provider], signer: CallbackSigner, job: Job) -> dict[str, Any]:
    """The exact request that would go out, its secrets masked, with price and time."""
    callback_url = signer.url_for(job.id, job.provider, job.created_at + CALLBACK_LIFE)
    wire = providers[job.provider].request_for(job, callback_url).masked()
    wire["body"] = shown_body(MODELS[job.model], wire["body"])
    return dry_run_json(job, wire, callback_url)


def submit_job(db: Database, context: SubmissionContext, clock: Clock) -> bool:
    """Send the next queued job; False when there was none that may go out."""
    if context.disks.nearly_full():
        # Its video could not be kept. Nothing is written: with room again it just goes on.
        return False
    with quarantine_on_error(db, "jobs", clock) as claimed:
        with db.write() as tx:
            job, more = _claim(tx, context, claimed, clock())
        if job is not None:
            # From here on its lease, not the quarantine, answers for it: it may have been sent.
            claimed.row = None
            write = _sent(context, job, clock())
            db.write_with_retry(lambda tx: write(tx=tx, now=clock()))
        return more
    return True


def _sent(context: SubmissionContext, job: Job, now: datetime) -> Callable[..., None]:
    """Make the one create call; returns what is to be written of it, given `tx` and `now`."""
    try:
        submission = context.send(job, now)
    except Refused as error:
        return partial(settle_refused, job=job, refused=error)
    except Unanswered as error:
        return partial(mark_unknown, job=job, message=error.message)
    except Exception as error:
        log.exception("%s failed while it was sent", job.id)
        message = f"an error of ours while sending: {error}"
        return partial(mark_unknown, job=job, message=message)
    return partial(_settle_accepted, settings=context.settings, job=job, submission=submission)


def _claim(
    tx: Connection, context: SubmissionContext, claimed: ClaimedRow, now: datetime
) -> tuple[Job | None, bool]:
    """The next job, if it may go out; and whether there may be more to look at."""
    job = store.jobs.claim_queued(tx, list(context.providers), now, GRACE_SECONDS)
    if job is None:
        return None, False
    claimed.row = job
    store.accounts.lock(tx, job.account_id)
    if objection := budget.objection(tx, context.settings, job, now):
        _refuse_for_budget(tx, job, objection, now)
        return None, True
    wait = _wait(tx, context.providers[job.provider], job, now)
    if not wait:
        until = now + timedelta(seconds=context.lease(job))
        low, high = budget.price_range(context.settings, MODELS[job.model], job.input)
        prices = {"estimated_min": low, "estimated_max": high}
        store.jobs.settle_claimed(tx, job, sent_at=now, due_at=until, **prices)
        store.jobs.add_step(tx, job.id, "submitting", f"sending to {job.provider}", now)
        return job, True
    later = now + timedelta(seconds=wait)
    store.jobs.settle_claimed(tx, job, state=JobState.QUEUED, due_at=later)
    store.providers.pause(tx, job.provider, later)
    return None, True


def _refuse_for_budget(tx: Connection, job: Job, error: JobError, now: datetime) -> None:
    """The job is held and looked at again now and then; one from a vendor-shaped API fails."""
    if job.source != API_SOURCE:
        fail_job(tx, job, error, "answer", now)
        return
    hold_job(tx, job, error, now + HELD_LOOK, now)


def hold_job(
    tx: Connection, job: Job, error: JobError, due_at: datetime | None, now: datetime
) -> None:
    """The claimed job waits until `due_at`, or for a person; its owner is told."""
    changes = {"state": JobState.HELD, "error": as_stored(error), "due_at": due_at}
    if store.jobs.settle_claimed(tx, job, **changes):
        store.jobs.add_step(tx, job.id, "held", f"{error.code}: {error.message}", now)
        record_event(tx, job, EventType.JOB_HELD, now)


def _wait(tx: Connection, provider: Provider, job: Job, now: datetime) -> float:
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
    mark_reachable(tx, job.provider)
    holder = store.jobs.holder_of(tx, job.provider, submission.task_id)
    if holder == job.id:
        # A callback told it first, or the commit of this very answer only seemed to fail.
        return
    if holder:
        mark_unknown(tx, job, f"the provider named task {submission.task_id}, as for {holder}", now)
        return
    model = MODELS[job.model]
    deadline = max(3 * model.expected(job.input), SHORTEST_DEADLINE)
    accepted = store.jobs.accept(
        tx,
        job.id,
        [JobState.SUBMITTING, JobState.UNKNOWN],
        task_id=submission.task_id,
        error=None,
        submitted_at=now,
        deadline_at=now + timedelta(seconds=deadline),
        due_at=now + timedelta(seconds=settings.poll_after or model.poll_after),
    )
    message = f"the provider took it as task {submission.task_id}"
    message += f" ({submission.remark})" if submission.remark else ""
    if not accepted:
        store.jobs.add_step(tx, job.id, "surplus", f"{message}, after the job had moved on", now)
        return
    store.jobs.add_step(tx, job.id, "submitted", message, now)
    record_event(tx, job, EventType.JOB_SUBMITTED, now)
    store.callbacks.make_due_now(tx, job.id, now)
    if submission.outcome:
        record_outcome(tx, settings, job, submission.outcome, "answer", now)


def settle_refused(tx: Connection, job: Job, refused: Refused, now: datetime) -> None:
    """There is no task: the claimed job waits, is held, or fails."""
    error = job_error(refused.code, refused.message, refused.provider_code)
    if refused.code in RETRY_CODES:
        _postpone(tx, job, refused, now)
    elif refused.code in HOLD_CODES:
        _hold_all(tx, job, error, now)
    else:
        _fail_refused(tx, job, error, now)


def _fail_refused(tx: Connection, job: Job, error: JobError, now: datetime) -> None:
    """A refusal ends the job, unless somebody has sent it once more since."""
    if store.jobs.still_sent_by(tx, job):
        fail_job(tx, job, error, "answer", now)
        return
    message = f"{error.code}: {error.message}, after the job had moved on"
    store.jobs.add_step(tx, job.id, "surplus", message, now)


def _postpone(tx: Connection, job: Job, refused: Refused, now: datetime) -> None:
    """Sent again when the provider may take it."""
    wait = bounded(refused.retry_after) or backoff(job.claims, 2.0, LONGEST_PAUSE)
    later = now + timedelta(seconds=wait)
    message = f"{refused.code}: {refused.message}"
    _requeue(tx, job, later, f"{message}; again in {wait:.0f} s", now)
    store.providers.pause(tx, job.provider, later)
    if refused.code == "PROVIDER_UNAVAILABLE":
        mark_unreachable(tx, job.provider, message, now)


def _requeue(tx: Connection, job: Job, due_at: datetime, why: str, now: datetime) -> None:
    changes = {"state": JobState.QUEUED, "due_at": due_at, "sent_at": None}
    if store.jobs.settle_claimed(tx, job, **changes):
        store.jobs.add_step(tx, job.id, "postponed", why, now)


def _hold_all(tx: Connection, job: Job, error: JobError, now: datetime) -> None:
    """Nothing more goes to the provider; the first job that was refused tells the owner."""
    why = f"{error.code}: {error.message}"
    for waiting in store.jobs.queued_at_doors(tx, job.provider, API_SOURCE):
        fail_job(tx, waiting, error, "answer", now)
    if job.source != API_SOURCE:
        _fail_refused(tx, job, error, now)
    # After the other jobs: who has the provider's row must not wait for a job's.
    first = store.providers.hold(tx, job.provider, why)
    if first:
        log.error("%s is held, nothing goes out to it: %s", job.provider, why)
    if job.source != API_SOURCE:
        return
    if first:
        hold_job(tx, job, error, None, now)
    else:
        _requeue(tx, job, now, f"{why}; goes out once {job.provider} is resumed", now)


def mark_unknown(tx: Connection, job: Job, message: str, now: datetime) -> None:
    """It may have been sent: nobody sends it again but a person."""
    error = job_error("SUBMIT_TIMEOUT_UNKNOWN", message)
    deadline = max(3 * MODELS[job.model].expected(job.input), SHORTEST_DEADLINE)
    due_at = now + timedelta(seconds=deadline)
    changes = {"error": as_stored(error), "due_at": due_at, "deadline_at": due_at}
    if not store.jobs.settle_claimed(tx, job, state=JobState.UNKNOWN, **changes):
        return
    store.jobs.add_step(tx, job.id, "unknown", message, now)
    record_event(tx, job, EventType.JOB_UNKNOWN, now)
    store.callbacks.make_due_now(tx, job.id, now)
