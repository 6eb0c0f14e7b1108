"""
The processing of callbacks: a callback is trusted only once its vendor has confirmed it.

A token proves that we made the URL, not that the body is true. So the worker
asks the provider before anything is recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from service import store
from service.callbacks.ingest import Ingest
from service.errors import (
    BadToken,
    CallbackTooLarge,
    Conflict,
    ExpiredToken,
    NotFound,
    ProviderError,
    Refused,
    Unanswered,
    WrongTask,
)
from service.jobs.polling import LEASE_SECONDS, confirm, may_ask, settle_poll
from service.model import (
    CALLBACK_BYTES,
    Callback,
    CallbackState,
    Clock,
    Job,
    JobState,
    Outcome,
    TaskState,
)
from service.model.codings import content_of
from service.providers.base import Provider
from service.settings import Settings
from service.signing import UrlSigner
from service.store.database import Database
from service.store.quarantine import quarantine_on_error

log = logging.getLogger(__name__)

#: Seconds until a callback is retried if the provider did not answer.
RETRY_SECONDS = 5.0
#: Seconds until a callback is retried if its job was given up, but its task still runs.
RUNNING_SECONDS = 60.0
#: Seconds until a callback is retried if another transaction has locked its job.
BUSY_SECONDS = 0.1
#: Seconds until a callback is retried if the answer to the create has not arrived yet.
EARLY_SECONDS = 2.0
#: The provider's error codes for an id that is not the job's task.
_DENIALS = frozenset({"NOT_FOUND_TASK", "NOT_FOUND_MODEL", "BAD_REQUEST", "FORBIDDEN"})
#: The reason of a refusal: the URL is ours, but the vendor did not sign the callback.
BAD_VENDOR_SIGNATURE = "bad_vendor_signature"
_NAMELESS = "the callback names no task to adopt"
#: The vendor may not know a task for this long, although its own callback names it.
ADOPTION_PATIENCE = timedelta(minutes=5)


def receive_callback(
    ingest: Ingest,
    signer: UrlSigner,
    token: str,
    headers: Mapping[str, str],
    read: Callable[[], bytes],
    remote: str,
    now: datetime,
) -> None:
    """
    Verify the token and store the bytes as received; returns when they are on disk.

    `read` returns the bytes, and is called only after the token was verified.

    A body with a content coding is stored as received, with its Content-Encoding header. A
    reader decodes it (`content_of`), so a replay sees exactly the bytes that were sent.

    Raises:
        BadToken, ExpiredToken, NotFound: it is refused and counted, and nothing is stored.
        CallbackTooLarge: the same; its decoded body is too large.
        Busy: it cannot be stored now; the provider should send it again.
    """
    with _counting_refusals(ingest, remote, now):
        payload = signer.verify(token, now)
        body = read()
        if len(content_of(headers, body, CALLBACK_BYTES)) > CALLBACK_BYTES:
            raise CallbackTooLarge(f"the body is larger than {CALLBACK_BYTES} bytes")
        ingest.insert(payload["job"], payload["provider"], headers, body, now)


def check_callback_url(
    ingest: Ingest, signer: UrlSigner, token: str, remote: str, now: datetime
) -> None:
    """
    Count a provider's check of a callback URL (GET or HEAD); nothing is stored.

    Raises:
        BadToken, ExpiredToken, NotFound, Busy: as for a callback.
    """
    with _counting_refusals(ingest, remote, now):
        ingest.count_url_check(signer.verify(token, now)["job"])


@contextmanager
def _counting_refusals(ingest: Ingest, remote: str, now: datetime) -> Iterator[None]:
    try:
        yield
    except tuple(_REASONS) as error:
        ingest.reject(_REASONS[type(error)], remote, now)
        raise


_REASONS: dict[type[Exception], str] = {
    BadToken: "bad_signature",
    ExpiredToken: "expired",
    NotFound: "unknown_job",
    CallbackTooLarge: "too_large",
}


def process_callback(
    db: Database, providers: Mapping[str, Provider], settings: Settings, clock: Clock
) -> bool:
    """Process the next stored callback; False if there is none."""
    now = clock()
    with quarantine_on_error(db, "callbacks", clock) as claimed:
        with db.write() as tx:
            callback = claimed.row = store.callbacks.claim_received(tx, now, LEASE_SECONDS)
            if callback is None:
                return False
            provider = providers.get(callback.provider)
            if provider is None:
                return True
            # Other transactions lock the job first, and the holder may want this callback.
            job = store.jobs.lock_if_free(tx, callback.job_id)
            if job is None:
                store.callbacks.postpone(tx, callback, now + timedelta(seconds=BUSY_SECONDS))
                return True
            if not _worth_asking(tx, callback, job, now):
                return True
            if not may_ask(tx, provider, now):
                store.callbacks.postpone(tx, callback, now + timedelta(seconds=1))
                return False
        _settle(db, provider, settings, callback, job, clock)
    return True


def _worth_asking(tx: Connection, callback: Callback, job: Job, now: datetime) -> bool:
    """Whether the provider must be asked; a callback that needs no question is settled at once."""
    if job.is_final:
        _done(tx, callback, CallbackState.PROCESSED, "the job was finished before")
        return False
    if job.provider != callback.provider:
        # It refused the job, which went to another vendor: the task of that one is the job's.
        note = f"{callback.provider} called back, but the job went to {job.provider}"
        store.steps.note(tx, job.id, "surplus", f"{note}: it may have made a video too", now)
        _done(tx, callback, CallbackState.IGNORED, note)
        return False
    if job.state is JobState.SUBMITTING:
        # The answer to the create makes it due. On PostgreSQL it cannot while another worker,
        # looking for callbacks, has locked the row: so it also becomes due by itself.
        store.callbacks.postpone(tx, callback, now + timedelta(seconds=EARLY_SECONDS))
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
    if fault := _signature_fault(provider, settings, callback):
        with db.write() as tx:
            _done(tx, callback, CallbackState.IGNORED, f"not signed by {provider.name}: {fault}")
            # The sender's address is not stored with it.
            store.callbacks.reject(tx, BAD_VENDOR_SIGNATURE, "", clock())
        return
    said: Outcome | ProviderError
    try:
        said = provider.parse(content_of(callback.headers, callback.body, CALLBACK_BYTES))
    except ProviderError as error:
        said = error
    # A job that was given up without a task can adopt one, too.
    taskless = job.task_id is None and job.state in (JobState.UNKNOWN, JobState.FAILED)
    adopted = None
    if not taskless:
        found = confirm(provider, job, None) if settings.confirm_callbacks else said
    elif isinstance(said, ProviderError):
        found = said
    elif settings.confirm_callbacks:
        adopted, found = _confirm_any(db, provider, job, said, clock)
    else:
        adopted, found = said.task_id, said
    with db.write() as tx:
        if taskless and adopted is None:
            note = found.message if isinstance(found, ProviderError) else _NAMELESS
            _done(tx, callback, CallbackState.IGNORED, note)
            return
        _record(tx, settings, callback, job, adopted, found, clock())


def _confirm_any(
    db: Database, provider: Provider, job: Job, said: Outcome, clock: Clock
) -> tuple[str | None, Outcome | ProviderError]:
    """
    Ask the provider about each task id in a callback, until it confirms one.

    Returns:
        The id asked about last (None if there was none), and the provider's
        answer; NOT_FOUND_TASK if no id is that of the job's task.
    """
    asked, reasons = None, []
    for task_id in said.candidates or filter(None, [said.task_id]):
        with db.write() as tx:
            if store.jobs.holder_of(tx, job.provider, task_id):
                reasons.append(f"task {task_id} belongs to another job")
                continue
            if asked and not may_ask(tx, provider, clock()):
                return asked, Unanswered("PROVIDER_UNAVAILABLE", "no request is allowed now")
        asked, found = task_id, confirm(provider, job, task_id)
        if isinstance(found, Outcome):
            # An answer without a task id confirms only the id that the callback gives for its task.
            is_settled = task_id in (found.task_id, said.task_id)
        else:
            # Without a denial the provider is unreachable: further questions make no sense.
            is_settled = not isinstance(found, WrongTask) and found.code not in _DENIALS
        if is_settled:
            return asked, found
        reasons.append(f"the provider does not confirm task {task_id}")
    return asked, Refused("NOT_FOUND_TASK", "; ".join(reasons) or _NAMELESS)


def _signature_fault(provider: Provider, settings: Settings, callback: Callback) -> str | None:
    """
    The fault of the vendor's own signature; None if it is valid, or the vendor signs nothing.

    If the vendor's keys cannot be fetched, the task is confirmed as without a signature.
    """
    if provider.scheme is None:
        return None
    headers = {name.lower(): value for name, value in callback.headers.items()}
    try:
        return provider.scheme.fault(headers, callback.body, callback.received_at)
    except Unanswered as error:
        log.warning("the signature of %s was not checked: %s", callback.id, error.message)
        return None if settings.confirm_callbacks else error.message


def _record(
    tx: Connection,
    settings: Settings,
    callback: Callback,
    job: Job,
    adopted: str | None,
    found: Outcome | ProviderError,
    now: datetime,
) -> None:
    if isinstance(found, WrongTask):
        store.steps.note(tx, job.id, "mismatch", found.message, now)
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
    running = isinstance(found, Outcome) and found.state is TaskState.RUNNING
    if job.state is JobState.FAILED and running:
        # For a job that was given up, only a final state counts.
        store.callbacks.postpone(tx, callback, now + timedelta(seconds=RUNNING_SECONDS))
        return
    if adopted and not _adopt(tx, job, adopted, now):
        # The job has left `unknown` since then: process it again in its new state.
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
    """The reason why this callback may not change its job; None if it may."""
    if adopted and isinstance(found, ProviderError):
        return found.message
    if adopted and store.jobs.holder_of(tx, job.provider, adopted):
        return f"task {adopted} belongs to another job"
    if settings.confirm_callbacks or isinstance(found, ProviderError):
        return None
    if found.task_id != (adopted or job.task_id):
        return f"the callback names another task, {found.task_id}"
    host = urlsplit(found.result_url or "").hostname
    if found.state is TaskState.SUCCEEDED and host not in settings.result_hosts:
        return f"its result lies at {host}, which is not in RESULT_HOSTS"
    return None


def _adopt(tx: Connection, job: Job, task_id: str, now: datetime) -> bool:
    """Give the job this task; a job that was given up stays failed until a success."""
    changes: dict[str, Any] = {"task_id": task_id, "submitted_at": job.sent_at or now}
    if job.state is JobState.FAILED:
        adopted = store.jobs.change(tx, job.id, [JobState.FAILED], **changes)
    else:
        adopted = store.jobs.accept(tx, job.id, [JobState.UNKNOWN], error=None, **changes)
    if adopted:
        store.steps.add(tx, job.id, "adopted", f"the callback named its task, {task_id}", now)
    return adopted


def _done(tx: Connection, callback: Callback, state: CallbackState, note: str) -> None:
    store.callbacks.settle_claimed(tx, callback, state=state, note=note, due_at=None)


def replay_callback(tx: Connection, callback: Callback, now: datetime) -> None:
    """
    Process a stored callback again, as if it had just arrived.

    It can change no more than a new callback: a finished job stays as it is.

    Raises:
        Conflict: its body was deleted with the data of its job.
    """
    job = store.jobs.find(tx, callback.job_id)
    if job is not None and job.is_erased:
        raise Conflict(f"the data of {job.id} was deleted, and this callback's body with it")
    # Locks the job first, in the same order as the processing of callbacks.
    store.steps.add(tx, callback.job_id, "replayed", f"callback {callback.id}, by hand", now)
    store.callbacks.requeue(tx, callback.id, now)
