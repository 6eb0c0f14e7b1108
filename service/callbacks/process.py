"""
Callbacks: kept before they are answered, believed only once confirmed.

A token proves that we made the URL, not that the body is true; so the worker
asks the provider before anything is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import Connection

from service import store
from service.callbacks.ingest import Ingest
from service.errors import BadToken, ExpiredToken, NotFound, ProviderError
from service.jobs.polling import LEASE_SECONDS, confirm, may_ask, settle_poll
from service.model import (
    Callback,
    CallbackState,
    Clock,
    Job,
    JobState,
    Outcome,
    TaskState,
)
from service.providers.base import Provider
from service.settings import Settings
from service.signing import UrlSigner
from service.store.database import Database
from service.store.quarantine import quarantine_on_error

#: A callback is looked at again after this when the provider could not be asked.
RETRY_SECONDS = 5.0
#: So long the vendor may not know a task yet that its own callback names.
ADOPTION_PATIENCE = timedelta(minutes=5)


def receive_callback(
    ingest: Ingest,
    signer: UrlSigner,
    token: str,
    headers: Mapping[str, str],
    body: bytes,
    remote: str,
    now: datetime,
) -> None:
    """
    Verify the token and keep the bytes; returns when they are on disk.

    Raises:
        BadToken, ExpiredToken, NotFound: refused, counted, nothing kept.
        Busy: not now; the provider shall come again.
    """
    try:
        payload = signer.verify(token, now)
        ingest.insert(payload["job"], payload["provider"], headers, body, now)
    except (BadToken, NotFound) as error:
        ingest.reject(_REASONS[type(error)], remote, now)
        raise


_REASONS = {BadToken: "bad_signature", ExpiredToken: "expired", NotFound: "unknown_job"}


def process_callback(
    db: Database, providers: Mapping[str, Provider], settings: Settings, clock: Clock
) -> bool:
    """Look at the next stored callback; False when there was none."""
    now = clock()
    with quarantine_on_error(db, "callbacks", clock) as claimed:
        with db.write() as tx:
            callback = claimed.row = store.callbacks.claim_received(tx, now, LEASE_SECONDS)
        if callback is None:
            return False
        with db.write() as tx:
            # The job first, as everybody takes them who wants both.
            job = store.jobs.lock(tx, callback.job_id)
            provider = providers.get(callback.provider)
            if job is None or provider is None or not _worth_asking(tx, callback, job, now):
                return True
            if not may_ask(tx, provider, now):
                store.callbacks.postpone(tx, callback, now + timedelta(seconds=1))
                return False
        _settle(db, provider, settings, callback, job, clock)
    return True


def _worth_asking(tx: Connection, callback: Callback, job: Job, now: datetime) -> bool:
    """Settles those callbacks at once that need no question to the provider."""
    if job.is_final:
        _done(tx, callback, CallbackState.PROCESSED, "the job had ended before")
        return False
    if job.state is JobState.SUBMITTING:
        # It beat the answer of the submit, or that answer never comes: the
        # job is woken by either, and this callback with it.
        store.callbacks.postpone(tx, callback, max(job.due_at or now, now) + timedelta(seconds=1))
        return False
    if job.state in (JobState.QUEUED, JobState.HELD):
        _done(tx, callback, CallbackState.IGNORED, f"the job is {job.state}: it has no task")
        return False
    return True


def _settle(
    db: Database,
    provider: Provider,
    settings: Settings,
    callback: Callback,
    job: Job,
    clock: Clock,
) -> None:
    said = _parsed(provider, callback)
    task_id = said.task_id if isinstance(said, Outcome) else None
    taskless = job.state is JobState.UNKNOWN and job.task_id is None
    if taskless and task_id is None:
        with db.write() as tx:
            _done(tx, callback, CallbackState.IGNORED, "it names no task that could be adopted")
        return
    adopted = task_id if taskless else None
    found = confirm(provider, job, adopted) if settings.confirm_callbacks else said
    with db.write() as tx:
        _record(tx, settings, callback, job, adopted, found, clock())


def _parsed(provider: Provider, callback: Callback) -> Outcome | ProviderError:
    try:
        return provider.parse(callback.body)
    except ProviderError as error:
        return error


def _record(
    tx: Connection,
    settings: Settings,
    callback: Callback,
    job: Job,
    adopted: str | None,
    found: Outcome | ProviderError,
    now: datetime,
) -> None:
    if isinstance(found, ProviderError) and not settings.confirm_callbacks:
        _done(tx, callback, CallbackState.IGNORED, f"it cannot be read: {found.message}")
        return
    if isinstance(found, ProviderError) and found.code not in ("NOT_FOUND_TASK", "EMPTY_RESULT"):
        store.callbacks.postpone(tx, callback, now + timedelta(seconds=RETRY_SECONDS))
        return
    unsure = adopted and isinstance(found, ProviderError)
    if unsure and now - callback.received_at < ADOPTION_PATIENCE:
        store.callbacks.postpone(tx, callback, now + timedelta(seconds=RETRY_SECONDS))
        return
    refusal = _refusal(tx, settings, job, adopted, found)
    if refusal:
        _done(tx, callback, CallbackState.IGNORED, refusal)
        return
    if adopted and not _adopt(tx, job, adopted, now):
        # It has left `unknown` meanwhile: looked at again as what it is now.
        store.callbacks.postpone(tx, callback, now)
        return
    note = settle_poll(tx, settings, job, found, "callback", now)
    _done(tx, callback, CallbackState.PROCESSED, note)


def _refusal(
    tx: Connection,
    settings: Settings,
    job: Job,
    adopted: str | None,
    found: Outcome | ProviderError,
) -> str | None:
    """Why this callback may not change its job; None when it may."""
    if adopted and isinstance(found, ProviderError):
        return f"the provider does not know task {adopted}"
    if adopted and store.jobs.holder_of(tx, job.provider, adopted):
        return f"task {adopted} belongs to another job"
    if settings.confirm_callbacks or isinstance(found, ProviderError):
        return None
    if found.task_id != (adopted or job.task_id):
        return f"it names task {found.task_id}, not ours"
    host = urlsplit(found.result_url or "").hostname
    if found.state is TaskState.SUCCEEDED and host not in settings.result_hosts:
        return f"its result lies at {host}, which RESULT_HOSTS does not name"
    return None


def _adopt(tx: Connection, job: Job, task_id: str, now: datetime) -> bool:
    changes = {"task_id": task_id, "error": None, "submitted_at": now}
    adopted = store.jobs.accept(tx, job.id, [JobState.UNKNOWN], **changes)
    if adopted:
        store.jobs.add_step(tx, job.id, "adopted", f"the callback told its task, {task_id}", now)
    return adopted


def _done(tx: Connection, callback: Callback, state: CallbackState, note: str) -> None:
    store.callbacks.settle_claimed(tx, callback, state=state, note=note, due_at=None)


def replay_callback(tx: Connection, callback: Callback, now: datetime) -> None:
    """
    Look at a stored callback once more, as if it had just come.

    What it can change is what it could change then: an ended job stays as it is.
    """
    store.callbacks.requeue(tx, callback.id, now)
    store.jobs.add_step(tx, callback.job_id, "replayed", f"callback {callback.id}, by hand", now)
