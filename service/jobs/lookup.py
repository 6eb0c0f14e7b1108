"""
Lookups of creates without an answer, at vendors that can tell their result.

If the vendor has the task, the job continues with it. If it has none, and refuses a
second create for the same job, the create is repeated: that cannot make two tasks. A person is
asked only after a minute of lookups without a result.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.catalogue.models import VENDORS
from service.errors import BadToken, ExpiredToken, ProviderError
from service.events.record import record_event
from service.model import Clock, EventType, Job, JobState
from service.providers.base import Provider
from service.signing import UrlSigner
from service.store.database import Database

#: The first lookup comes this long after the create; each pause is half as long again.
FIRST_LOOKUP_SECONDS = 2.0
LOOKUP_GROWTH = 1.5
LONGEST_LOOKUP_SECONDS = 60.0
#: A task that the vendor does not show by then counts as not made, if a second create is safe.
SETTLING = timedelta(seconds=20)
#: After this many lookups, about a minute, the job's owner is notified.
LOOKUPS_BEFORE_NOTICE = 7


def can_look_up(provider: str) -> bool:
    """Whether the vendor can tell the result of a create."""
    vendor = VENDORS.get(provider)
    return bool(vendor and vendor.lookup)


def first_lookup(now: datetime) -> datetime:
    """The time of the first lookup of a create that got no answer now."""
    return now + timedelta(seconds=FIRST_LOOKUP_SECONDS)


def job_in_url(signer: UrlSigner, now: datetime) -> Callable[[str], str | None]:
    """A function that returns the job id in a callback URL of ours; None for other URLs."""

    def read(url: str) -> str | None:
        token = signer.token_in(url)
        try:
            return str(signer.verify(token, now)["job"]) if token else None
        except (BadToken, ExpiredToken, KeyError):
            return None

    return read


def look_up(db: Database, provider: Provider, signer: UrlSigner, job: Job, clock: Clock) -> bool:
    """
    Look up the task of a claimed `unknown` job, and store the result.

    Returns:
        False, with nothing written, if the vendor has none and the job's deadline has passed. A
        vendor that does not answer is asked again, even after the deadline.
    """
    try:
        task_id = provider.find(job, job_in_url(signer, clock()))
        is_absent, trouble = task_id is None, "the provider has no task for this job"
    except ProviderError as error:
        task_id, is_absent, trouble = None, False, error.message
    now = clock()
    may_repeat = VENDORS[job.provider].refuses_duplicates and now >= _settled_at(job)
    if is_absent and job.deadline_at and now >= job.deadline_at:
        return False
    with db.write() as tx:
        if task_id:
            _adopt(tx, job, task_id, now)
        elif is_absent and may_repeat:
            _send_again(tx, job, now)
        else:
            _look_again(tx, job, trouble, now)
    return True


def _adopt(tx: Connection, job: Job, task_id: str, now: datetime) -> None:
    if holder := store.jobs.holder_of(tx, job.provider, task_id):
        if holder != job.id:
            _look_again(tx, job, f"task {task_id} belongs to {holder}", now)
        return
    submitted_at = job.sent_at or now
    changes = {"error": None, "submitted_at": submitted_at, "due_at": now, "failed_polls": 0}
    if store.jobs.accept(tx, job.id, [JobState.UNKNOWN], task_id=task_id, **changes):
        store.steps.add(tx, job.id, "found", f"looked up: it is task {task_id}", now)
        record_event(tx, job, EventType.JOB_SUBMITTED, now)
        store.callbacks.make_due_now(tx, job.id, now)


def _settled_at(job: Job) -> datetime:
    """The time after which a task that the vendor does not show counts as not made."""
    return (job.sent_at or job.created_at) + SETTLING


def _send_again(tx: Connection, job: Job, now: datetime) -> None:
    """Queue the job again. Its error stays: it tells the adapter that this is a second create."""
    changes = {"state": JobState.QUEUED, "due_at": now, "failed_polls": 0}
    if store.jobs.settle_claimed(tx, job, **changes):
        message = "looked up: not made; sent again, since the vendor refuses duplicates"
        store.steps.add(tx, job.id, "resent", message, now)


def _look_again(tx: Connection, job: Job, trouble: str, now: datetime) -> None:
    count = job.failed_polls + 1
    wait = min(FIRST_LOOKUP_SECONDS * LOOKUP_GROWTH**count, LONGEST_LOOKUP_SECONDS)
    due_at = now + timedelta(seconds=wait)
    if now < _settled_at(job) < due_at:
        due_at = _settled_at(job)
    if not store.jobs.settle_claimed(tx, job, due_at=due_at, failed_polls=count):
        return
    store.steps.note(tx, job.id, "lookup", f"{trouble}; looked up again", now)
    if count == LOOKUPS_BEFORE_NOTICE:
        record_event(tx, job, EventType.JOB_UNKNOWN, now)
