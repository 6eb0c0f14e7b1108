"""
Sending jobs out: claim one, call once, write what was answered.

The create request is never repeated by itself. Only what certainly was not
sent, or certainly was refused, may go out again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.catalogue.models import model_of, sold_model
from service.errors import DatabaseUnavailable, Refused, Unanswered
from service.events.record import record_event
from service.formatting import format_duration
from service.jobs import budget
from service.jobs.failover import fail_over
from service.jobs.high_water import HighWater, hold_if_older
from service.jobs.journal import CreateAnswer, Journal, Refusal, Silence
from service.jobs.lookup import can_look_up, first_lookup
from service.jobs.outcomes import fail_job, record_outcome
from service.jobs.provider_status import mark_reachable, mark_unreachable
from service.jobs.requests import API_SOURCE
from service.model import Clock, EventType, Job, JobError, JobState, Submission
from service.model.error_codes import HOLD_CODES, RETRY_CODES, as_stored, job_error
from service.model.job_json import DryRunJson, dry_run_json
from service.outbound.client import Outbound
from service.providers.base import Provider, WireRequest
from service.retry import LONGEST_VENDOR_HINT, backoff, bounded
from service.settings import Settings
from service.signing import UrlSigner
from service.storage import StorageError
from service.storage.disk import Disks
from service.storage.uploads import (
    FETCH_SECONDS,
    UploadStore,
    check_images,
    count_images,
    shown_body,
)
from service.store.database import Database
from service.store.high_water import Position
from service.store.quarantine import quarantine_on_error

log = logging.getLogger(__name__)

#: How long a callback's URL stays good.
CALLBACK_LIFE = timedelta(days=30)
#: A lease outlasts its call by this many seconds.
GRACE_SECONDS = 15.0
#: A job's deadline is three times what its model is expected to take, but at least this.
SHORTEST_DEADLINE_SECONDS = 300.0
#: How often a job that is held for its price is compared with the budget again.
HELD_LOOK = timedelta(minutes=5)
#: The pauses between two creates at a provider that fails or refuses for now.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0


@dataclass(frozen=True)
class SubmissionContext:
    """Everything that sending needs: these providers, and where the images of jobs are."""

    providers: Mapping[str, Provider]
    signer: UrlSigner
    outbound: Outbound
    uploads: UploadStore
    disks: Disks
    settings: Settings
    journal: Journal
    high_water: HighWater

    def lease_seconds(self, job: Job) -> float:
        """Longer than the job's call and the look at each of its images can last."""
        looks = FETCH_SECONDS * count_images(sold_model(job.model, job.provider), job.input)
        return self.providers[job.provider].submit_seconds + looks + GRACE_SECONDS


@dataclass(frozen=True)
class _Claim:
    """A claimed job and where the rows stand, both None if it may not go out; `more` may wait."""

    job: Job | None = None
    position: Position | None = None
    more: bool = True


def callback_url(settings: Settings, signer: UrlSigner, job: Job, now: datetime) -> str:
    """Where the provider sends the callback of a job that is submitted now; blank: nowhere."""
    if settings.pull:
        return ""
    return signer.url_for(now + CALLBACK_LIFE, job=job.id, provider=job.provider)


def preview(
    providers: Mapping[str, Provider],
    settings: Settings,
    signer: UrlSigner,
    job: Job,
    choice: str = "",
) -> DryRunJson:
    """
    The exact request that would go out, its secrets masked, with price and time.

    Args:
        choice: why this vendor has the job; blank where there was nothing to choose.
    """
    url = callback_url(settings, signer, job, job.created_at)
    wire = providers[job.provider].request_for(job, url).masked()
    model = model_of(job.model, job.provider)
    wire["body"] = shown_body(model, wire["body"])
    notes = {"choice": choice or None, "warning": model.warning(job.created_at.date()) or None}
    return dry_run_json(job, wire, url, model.expected(job.input), notes)


def submit_job(db: Database, context: SubmissionContext, clock: Clock) -> bool:
    """Send the next queued job; False when there was none that may go out."""
    if context.disks.nearly_full():
        # Its video could not be kept. Nothing is written: with room again it just goes on.
        return False
    claim = _Claim()
    try:
        with quarantine_on_error(db, "jobs", clock) as claimed, db.write() as tx:
            job = claimed.row = store.jobs.claim_queued(
                tx, list(context.providers), clock(), GRACE_SECONDS
            )
            claim = _check_claim(tx, context, job, clock()) if job else _Claim(more=False)
    except DatabaseUnavailable:
        unsent = claim.job
        if unsent:
            # Its commit may have come through all the same: it must not look as if it was sent.
            db.write_with_retry(lambda tx: store.jobs.unclaim(tx, unsent, clock()))
        raise
    if claim.job and claim.position:
        answer = _send(context, claim.job, claim.position, clock())
        _commit_answer(db, context, answer, clock)
    return claim.more


def _check_claim(tx: Connection, context: SubmissionContext, job: Job, now: datetime) -> _Claim:
    """Whether the claimed job may go out now; if not, what it waits for is written."""
    store.accounts.lock(tx, job.account_id)
    if objection := budget.objection(tx, context.settings, job, now):
        # Looked at again now and then; a job of a vendor-shaped API fails at once.
        if job.source == API_SOURCE:
            hold_job(tx, job, objection, now + HELD_LOOK, now)
        else:
            fail_job(tx, job, objection, "answer", now)
        return _Claim()
    if wait := _seconds_to_wait(tx, context.providers[job.provider], job, now):
        later = now + timedelta(seconds=wait)
        store.jobs.settle_claimed(tx, job, state=JobState.QUEUED, due_at=later)
        store.providers.pause(tx, job.provider, later)
        return _Claim()
    position = store.high_water.advance(tx, context.high_water.data_folder)
    if hold_if_older(tx, context.high_water, position, position.sent - 1):
        store.jobs.settle_claimed(tx, job, state=JobState.QUEUED, due_at=now)
        return _Claim()
    until = now + timedelta(seconds=context.lease_seconds(job))
    low, high = budget.price_range(context.settings, model_of(job.model, job.provider), job.input)
    prices = {"estimated_min": low, "estimated_max": high}
    store.jobs.settle_claimed(tx, job, sent_at=now, due_at=until, **prices)
    store.jobs.add_step(tx, job.id, "submitting", f"sending to {job.provider}", now)
    return _Claim(job, position)


def _seconds_to_wait(tx: Connection, provider: Provider, job: Job, now: datetime) -> float:
    limits = provider.limits
    if limits.tasks and store.jobs.count_open(tx, job.provider) > limits.tasks:
        return 1.0
    if limits.requests_per_minute:
        return store.providers.take_token(tx, job.provider, limits.requests_per_minute, now)
    return 0.0


def _send(context: SubmissionContext, job: Job, position: Position, now: datetime) -> CreateAnswer:
    """The one create call, after a look at the images; every way it can end is an answer."""
    try:
        context.high_water.save(position)
        check_images(context.outbound, context.uploads, model_of(job.model, job.provider), job, now)
        url = callback_url(context.settings, context.signer, job, now)
        provider = context.providers[job.provider]
        if context.settings.pull:
            _refuse_own_urls(context, provider.request_for(job, url))
        result: Submission | Refusal | Silence = provider.submit(job, url)
    except StorageError as error:
        result = Refusal("PROVIDER_UNAVAILABLE", f"not sent: {error}")
    except Refused as error:
        result = Refusal(error.code, error.message, error.provider_code, error.retry_after)
    except Unanswered as error:
        result = Silence(error.code, error.message)
    except Exception as error:
        log.exception("%s failed while it was sent", job.id)
        result = Silence("SUBMIT_TIMEOUT_UNKNOWN", f"an error of ours while sending: {error}")
    return CreateAnswer(job.id, job.claims, result)


def _refuse_own_urls(context: SubmissionContext, wire: WireRequest) -> None:
    """In pull mode no vendor can fetch an image from us. Raises Refused."""
    if f"{context.settings.public_url}/i/" in json.dumps(wire.body):
        message = "no vendor can fetch an uploaded image from this server (CLIPBELL_PULL=true)"
        raise Refused("INVALID_IMAGE_URL", f"{message}: give the image as a public URL")


def _commit_answer(
    db: Database, context: SubmissionContext, answer: CreateAnswer, clock: Clock
) -> None:
    """On our disk first: neither a database that is away nor a crash can lose it from there."""
    try:
        context.journal.write(answer)
    except StorageError as error:
        log.error("the answer for %s is kept in memory only: %s", answer.job_id, error)
    try:
        db.write_with_retry(lambda tx: settle(tx, context.settings, answer, clock()))
    except Exception:
        context.journal.release(answer.job_id)
        raise
    context.journal.remove(answer.job_id)


def commit_left_answers(db: Database, journal: Journal, settings: Settings, clock: Clock) -> int:
    """Commit the answers that an earlier try or process left on the disk; how many they were."""
    count = 0
    for answer in journal.left():
        with db.write() as tx:
            settle(tx, settings, answer, clock())
        journal.remove(answer.job_id)
        log.warning("the answer for %s, left on the disk, is committed", answer.job_id)
        count += 1
    return count


def settle(tx: Connection, settings: Settings, answer: CreateAnswer, now: datetime) -> None:
    """Write what became of the create; doing it twice changes nothing more."""
    found = store.jobs.find(tx, answer.job_id)
    if found is None:
        return
    job = replace(found, claims=answer.claims)
    match answer.result:
        case Submission() as submission:
            _settle_accepted(tx, settings, job, submission, now)
        case Refusal() as refusal:
            if not fail_over(tx, settings, job, refusal, now):
                settle_refused(tx, job, refusal, now)
        case Silence() as silence:
            mark_unknown(tx, job, silence.message, now, silence.code)
            if silence.code == "SUBMIT_FAILED_UNKNOWN":
                _spare_provider(tx, job.provider, silence.message, now)


def _settle_accepted(
    tx: Connection, settings: Settings, job: Job, submission: Submission, now: datetime
) -> None:
    """A late answer still counts: a job that was given up as unknown is adopted by it."""
    mark_reachable(tx, job.provider)
    holder = store.jobs.holder_of(tx, job.provider, submission.task_id)
    if holder == job.id:
        # A callback was first, or the commit of this very answer only seemed to fail.
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


def _first_poll_seconds(settings: Settings, job: Job) -> float:
    """How long to wait for a callback; without one, for half of the time that it should take."""
    model = model_of(job.model, job.provider)
    if settings.pull and model.calls_back:
        return settings.poll_after or min(model.poll_after, model.expected(job.input) / 2)
    return settings.poll_after or model.poll_after


def deadline_of(job: Job, now: datetime) -> datetime:
    """When a job that is sent now should have ended."""
    expected = 3 * model_of(job.model, job.provider).expected(job.input)
    return now + timedelta(seconds=max(expected, SHORTEST_DEADLINE_SECONDS))


def _spare_provider(tx: Connection, name: str, message: str, now: datetime) -> None:
    """A provider that fails gets the next job later, and later still while it goes on failing."""
    mark_unreachable(tx, name, message, now)
    failing = store.providers.failing_for(tx, name, now).total_seconds()
    wait = min(max(failing, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
    store.providers.pause(tx, name, now + timedelta(seconds=wait))


def settle_refused(tx: Connection, job: Job, refusal: Refusal, now: datetime) -> None:
    """There is no task: the claimed job waits, is held, or fails."""
    error = job_error(refusal.code, refusal.message, refusal.provider_code)
    if refusal.code in RETRY_CODES:
        _postpone(tx, job, refusal, now)
    elif refusal.code in HOLD_CODES:
        _hold_provider(tx, job, error, now)
    else:
        _fail_refused(tx, job, error, now)


def _fail_refused(tx: Connection, job: Job, error: JobError, now: datetime) -> None:
    """A refusal ends the job, unless somebody has sent it once more since."""
    if store.jobs.still_sent_by(tx, job):
        fail_job(tx, job, error, "answer", now)
        return
    message = f"{error.code}: {error.message}, after the job had moved on"
    store.jobs.add_step(tx, job.id, "surplus", message, now)


def _postpone(tx: Connection, job: Job, refusal: Refusal, now: datetime) -> None:
    """Sent again when the provider may take it."""
    asked = bounded(refusal.retry_after, LONGEST_VENDOR_HINT)
    wait = asked or backoff(job.claims, 2.0, LONGEST_PAUSE_SECONDS)
    later = now + timedelta(seconds=wait)
    message = f"{refusal.code}: {refusal.message}"
    _requeue(tx, job, later, f"{message}; again in {format_duration(wait)}", now)
    store.providers.pause(tx, job.provider, later)
    if refusal.code == "PROVIDER_UNAVAILABLE":
        mark_unreachable(tx, job.provider, message, now)


def _requeue(tx: Connection, job: Job, due_at: datetime, why: str, now: datetime) -> None:
    changes = {"state": JobState.QUEUED, "due_at": due_at, "sent_at": None}
    if store.jobs.settle_claimed(tx, job, **changes):
        store.jobs.add_step(tx, job.id, "postponed", why, now)


def _hold_provider(tx: Connection, job: Job, error: JobError, now: datetime) -> None:
    """Nothing more goes to the provider; the first job that was refused notifies the owner."""
    why = f"{error.code}: {error.message}"
    for waiting in store.jobs.queued_from_compat(tx, job.provider, API_SOURCE):
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


def hold_job(
    tx: Connection, job: Job, error: JobError, due_at: datetime | None, now: datetime
) -> None:
    """The claimed job waits until `due_at`, or for a person; its owner is notified."""
    changes = {"state": JobState.HELD, "error": as_stored(error), "due_at": due_at}
    if store.jobs.settle_claimed(tx, job, **changes):
        store.jobs.add_step(tx, job.id, "held", f"{error.code}: {error.message}", now)
        record_event(tx, job, EventType.JOB_HELD, now)


def mark_unknown(
    tx: Connection, job: Job, message: str, now: datetime, code: str = "SUBMIT_TIMEOUT_UNKNOWN"
) -> None:
    """
    The claimed job may have been sent: nobody sends it again but a person, or a lookup that
    found nothing at a vendor that would refuse a second one.

    Args:
        code: ``SUBMIT_FAILED_UNKNOWN`` where the vendor answered with an error of its
            own; such a job fails by itself at its deadline.
    """
    # The deadline of the first try holds for the repeated ones, too.
    deadline_at = job.deadline_at or deadline_of(job, now)
    looked_up = can_look_up(job.provider)
    due_at = first_lookup(now) if looked_up else deadline_at
    changes = {"error": as_stored(job_error(code, message)), "due_at": due_at}
    state = JobState.UNKNOWN
    if not store.jobs.settle_claimed(tx, job, state=state, deadline_at=deadline_at, **changes):
        return
    store.jobs.add_step(tx, job.id, "unknown", message, now)
    if not looked_up:
        record_event(tx, job, EventType.JOB_UNKNOWN, now)
    store.callbacks.make_due_now(tx, job.id, now)
