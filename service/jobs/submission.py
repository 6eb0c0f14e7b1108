"""
Submission of jobs: claim one, call the vendor once, store the answer.

The create request is never repeated by itself. Only a job that certainly was not
sent, or certainly was refused, may be sent again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.catalogue.entries import Limits
from service.catalogue.models import model_of, sold_model
from service.errors import DatabaseUnavailable, Refused, Unanswered
from service.jobs import budget
from service.jobs.answers import hold_job, settle
from service.jobs.high_water import HighWater, hold_if_older
from service.jobs.journal import CreateAnswer, Journal, Refusal, Silence
from service.jobs.outcomes import fail_job
from service.jobs.requests import API_SOURCE
from service.model import Clock, Job, JobError, JobState, Submission
from service.model.error_codes import as_stored
from service.model.job_json import DryRunJson, dry_run_json
from service.outbound.client import Outbound
from service.providers.base import Provider
from service.settings import Settings
from service.signing import UrlSigner
from service.slots import ANYWHERE, Slot
from service.storage import StorageError
from service.storage.disk import Disks
from service.storage.uploads import (
    FETCH_SECONDS,
    UploadStore,
    check_images,
    images_of,
    shown_body,
)
from service.store.database import Database
from service.store.high_water import Position
from service.store.quarantine import quarantine_on_error

log = logging.getLogger(__name__)

#: The lifetime of a callback URL.
CALLBACK_LIFE = timedelta(days=30)
#: A lease lasts this many seconds longer than its call.
GRACE_SECONDS = 15.0
#: The pause before a job that is held for its price is compared with the budget again.
HELD_LOOK = timedelta(minutes=5)


@dataclass(frozen=True)
class SubmissionContext:
    """Everything that the submission needs, such as the providers and the store of images."""

    providers: Mapping[str, Provider]
    signer: UrlSigner
    outbound: Outbound
    uploads: UploadStore
    disks: Disks
    settings: Settings
    journal: Journal
    high_water: HighWater

    def lease_seconds(self, job: Job) -> float:
        """The seconds of a claim: longer than the call and the checks of all images can last."""
        looks = FETCH_SECONDS * len(images_of(sold_model(job.model, job.provider), job.input))
        return self.providers[job.provider].submit_seconds + looks + GRACE_SECONDS


@dataclass(frozen=True)
class _Claim:
    """A claimed job and the database's position, both None if none may be sent; `more` may wait."""

    job: Job | None = None
    position: Position | None = None
    more: bool = True


def callback_url(settings: Settings, signer: UrlSigner, job: Job, now: datetime) -> str:
    """The callback URL of a job that is sent now; blank without callbacks."""
    if settings.pull:
        return ""
    return signer.url_for(now + CALLBACK_LIFE, job=job.id, provider=job.provider)


def preview(
    providers: Mapping[str, Provider],
    settings: Settings,
    signer: UrlSigner,
    job: Job,
    choice: str = "",
    objection: JobError | None = None,
) -> DryRunJson:
    """
    The exact request that would be sent, with secrets masked, and its price and time.

    Args:
        choice: the reason for this vendor; blank if there was no choice.
        objection: the reason why it would be held now, see `budget.objection`.
    """
    url = callback_url(settings, signer, job, job.created_at)
    wire = providers[job.provider].request_for(job, url).masked()
    model = model_of(job.model, job.provider)
    wire["body"] = shown_body(model, wire["body"])
    held = as_stored(objection) if objection else None
    notes = {"choice": choice or None, "warning": model.warning(job.created_at.date()) or None}
    return dry_run_json(job, wire, url, model.expected(job.input), notes, held)


def submit_job(
    db: Database, context: SubmissionContext, clock: Clock, slot: Slot = ANYWHERE
) -> bool:
    """Send the next queued job; False if none may be sent."""
    if not context.providers or context.disks.nearly_full():
        # A video could not be stored. Nothing is written: with room again, sending just continues.
        return False
    claim = _Claim()
    try:
        with quarantine_on_error(db, "jobs", clock) as claimed, db.write() as tx:
            job = claimed.row = store.jobs.claim_queued(
                tx, list(context.providers), clock(), GRACE_SECONDS, slot
            )
            claim = _check_claim(tx, context, job, clock()) if job else _Claim(more=False)
    except DatabaseUnavailable:
        unsent = claim.job
        if unsent:
            # The commit may have succeeded nevertheless: the job must not look as if it was sent.
            db.write_with_retry(lambda tx: store.jobs.unclaim(tx, unsent, clock()))
        raise
    if claim.job and claim.position:
        answer = _send(context, claim.job, claim.position, clock())
        _commit_answer(db, context, answer, clock)
    return claim.more


def _check_claim(tx: Connection, context: SubmissionContext, job: Job, now: datetime) -> _Claim:
    """Check whether the claimed job may be sent now; if not, store what it waits for."""
    if context.settings.budget is not None:
        # Two jobs claimed at the same time must not both use the rest of the budget.
        store.accounts.lock(tx, job.account_id)
    if objection := budget.objection(tx, context.settings, job, now):
        # It is checked again from time to time; a job of a vendor-shaped API fails at once.
        if job.source == API_SOURCE:
            hold_job(tx, job, objection, now + HELD_LOOK, now)
        else:
            fail_job(tx, job, objection, "answer", now)
        return _Claim()
    if wait := _wait(tx, job.provider, context.providers[job.provider].limits, now):
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
    store.steps.add(tx, job.id, "submitting", f"sending to {job.provider}", now)
    return _Claim(job, position)


def _wait(tx: Connection, name: str, limits: Limits, now: datetime) -> float:
    """Take one of the provider's task slots and request tokens: 0.0, or the seconds to wait."""
    if limits == Limits():
        return 0.0
    # Locks before it counts: two processes that send at once must see each other's tasks.
    row = store.providers.lock(tx, name)
    if limits.tasks and store.jobs.count_open(tx, name) > limits.tasks:
        return 1.0
    if limits.requests_per_minute:
        return store.providers.take_token(tx, row, limits.requests_per_minute, now)
    return 0.0


def _send(context: SubmissionContext, job: Job, position: Position, now: datetime) -> CreateAnswer:
    """Check the images and make the one create call; each possible result is an answer."""
    try:
        context.high_water.save(position)
        check_images(context.outbound, context.uploads, model_of(job.model, job.provider), job, now)
        url = callback_url(context.settings, context.signer, job, now)
        provider = context.providers[job.provider]
        own = f"{context.settings.public_url}/i/"
        if context.settings.pull and own in json.dumps(provider.request_for(job, url).body):
            message = "no vendor can fetch an uploaded image from this server (CLIPBELL_PULL=true)"
            raise Refused("INVALID_IMAGE_URL", f"{message}: give the image as a public URL")
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


def _commit_answer(
    db: Database, context: SubmissionContext, answer: CreateAnswer, clock: Clock
) -> None:
    """Write the answer to disk, then commit it: no database outage and no crash can lose it."""
    try:
        context.journal.write(answer)
    except StorageError as error:
        log.error("the answer for %s is kept in memory only: %s", answer.job_id, error)
    try:
        db.write_with_retry(lambda tx: settle(tx, context.settings, answer, clock()))
    except Exception:
        context.journal.release(answer)
        raise
    context.journal.remove(answer)
