"""
Polling: it confirms callbacks, and finds outcomes that no callback has reported.

Polls go out in batches, so that ten thousand waiting jobs need neither threads
nor a commit each. Also here: a lease that expires while sending makes its job
`unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service import store
from service.catalogue.models import model_of
from service.errors import ProviderError, WrongTask
from service.events.record import record_event
from service.jobs import budget
from service.jobs.answers import mark_unknown
from service.jobs.lookup import can_look_up, look_up
from service.jobs.outcomes import PROVIDER_KEEPS, fail_job, record_outcome
from service.jobs.provider_status import mark_reachable, mark_unreachable
from service.jobs.requests import cancel_job
from service.jobs.submission import GRACE_SECONDS, HELD_LOOK
from service.model import Clock, EventType, Job, JobState, Outcome, TaskState
from service.model.error_codes import job_error, with_code
from service.providers.base import STATUS_SECONDS, Provider
from service.retry import LONGEST_VENDOR_HINT, backoff, bounded
from service.settings import Settings
from service.signing import UrlSigner
from service.store.database import Database
from service.store.quarantine import UNREADABLE, quarantine_on_error

LEASE_SECONDS = STATUS_SECONDS + GRACE_SECONDS
#: The pause before an overdue job is checked again while its callback is not processed yet.
CALLBACK_LOOK = timedelta(minutes=1)
#: The number of jobs claimed for one batch of polls, and the seconds of the claim.
POLL_BATCH = 16
POLL_BATCH_SECONDS = 60.0
#: The time for which a provider may call a task done without a result: as long as a link
#: would work. And the least time for which it may not know a task that it accepted.
RESULT_PATIENCE = PROVIDER_KEEPS
TASK_PATIENCE = timedelta(hours=1)
#: The factor between the pauses of polls, and the longest pause before the deadline, in seconds.
POLL_GROWTH = 1.25
LONGEST_POLL_SECONDS = 60.0
#: Above this number of open tasks, each is polled less often.
THROTTLE_ABOVE = 200
#: Seconds between polls after the deadline, and the longest pause while a result is missing.
SLOW_POLL_SECONDS = 300.0


@dataclass(frozen=True)
class _Look:
    """One look at a job's task, whose result is to be stored: for a `poll` or a `callback`."""

    tx: Connection
    settings: Settings
    job: Job
    by: str
    now: datetime

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.job.deadline_at is not None and self.now >= self.job.deadline_at

    @property
    def poll_every(self) -> float:
        """The first pause between polls, in seconds."""
        model = model_of(self.job.model, self.job.provider)
        return self.settings.poll_every or model.poll_every


def poll_jobs(
    db: Database, providers: Mapping[str, Provider], settings: Settings, clock: Clock
) -> bool:
    """Poll the due tasks, one batch per provider; False if there are none."""
    asked = [_poll_batch(db, provider, settings, clock) for provider in providers.values()]
    return any(asked)


def _poll_batch(db: Database, provider: Provider, settings: Settings, clock: Clock) -> bool:
    began = clock()
    with db.write() as tx:
        due = store.jobs.claim_polls(tx, provider.name, began, POLL_BATCH_SECONDS, POLL_BATCH)
        jobs = []
        for job in due:
            if may_ask(tx, provider, began):
                jobs.append(job)
            else:
                # No request token is left for this poll: it is due again in a second.
                store.jobs.settle_claimed(tx, job, due_at=began + timedelta(seconds=1))
    last = began + timedelta(seconds=POLL_BATCH_SECONDS - LEASE_SECONDS)
    running = [job for job in jobs if not _poll(db, provider, settings, job, last, clock)]
    try:
        _set_next(db, settings, running, clock)
    except UNREADABLE:
        # Each alone, so that one damaged row does not block the next polls of the others.
        for job in running:
            with quarantine_on_error(db, "jobs", clock) as claimed:
                claimed.row = job
                _set_next(db, settings, [job], clock)
    return bool(due)


def _set_next(db: Database, settings: Settings, jobs: list[Job], clock: Clock) -> None:
    """Set the next poll of tasks that are still running."""
    if not jobs:
        return
    with db.write() as tx:
        for job in jobs:
            _schedule_next_poll(_Look(tx, settings, job, "poll", clock()))
        mark_reachable(tx, jobs[0].provider)


def handle_expired(
    db: Database,
    providers: Mapping[str, Provider],
    settings: Settings,
    signer: UrlSigner,
    clock: Clock,
) -> bool:
    """Handle the next job with an expired lease, hold or deadline; False if there is none."""
    with quarantine_on_error(db, "jobs", clock) as claimed:
        with db.write() as tx:
            late = claimed.row = store.jobs.lock_late(tx, clock())
            if late is not None:
                cancel_job(tx, late, clock(), "canceled: not sent within `cancel_after` seconds")
                return True
            job = claimed.row = store.jobs.claim_waiting(tx, clock(), LEASE_SECONDS)
            if job is None:
                return False
            provider = providers.get(job.provider)
            finder = provider if can_look_up(job.provider) else None
            if job.state is JobState.HELD:
                _look_at_held(tx, settings, job, clock())
            elif job.state is JobState.SUBMITTING:
                _after_lease(tx, provider, settings, job, clock())
            elif finder is None:
                _after_silence(tx, job, clock())
        if job.state is not JobState.UNKNOWN or finder is None:
            return True
        awaited = look_up(db, finder, signer, job, clock)
        is_late = job.deadline_at is not None and clock() >= job.deadline_at
        with db.write() as tx:
            if awaited and is_late:
                _record_overdue(tx, job, clock())
            elif not awaited and store.jobs.still_claimed(tx, job):
                # Neither its callback nor a person has resolved it while the vendor was asked.
                _after_silence(tx, job, clock())
    return True


def may_ask(tx: Connection, provider: Provider, now: datetime) -> bool:
    """Take a request token for a poll or a confirmation; False if none is left."""
    allowance = provider.limits.requests_per_minute
    if not allowance:
        return True
    row = store.providers.lock(tx, provider.name)
    return not store.providers.take_token(tx, row, allowance, now)


def _look_at_held(tx: Connection, settings: Settings, job: Job, now: datetime) -> None:
    if budget.objection(tx, settings, job, now):
        store.jobs.settle_claimed(tx, job, due_at=now + HELD_LOOK)
        return
    store.jobs.settle_claimed(tx, job, state=JobState.QUEUED, due_at=now, error=None)
    store.steps.add(tx, job.id, "queued", "no longer held", now)


def _after_lease(
    tx: Connection, provider: Provider | None, settings: Settings, job: Job, now: datetime
) -> None:
    """Make the job of a worker that died while sending unknown; its answer may be on our disk."""
    if provider and provider.holds_connection:
        found = confirm(provider, job, None)
        if isinstance(found, Outcome) and record_outcome(tx, settings, job, found, "answer", now):
            return
    message = "the worker ended while sending: the provider may have the job"
    mark_unknown(tx, job, message, now)


def _after_silence(tx: Connection, job: Job, now: datetime) -> None:
    """
    Notify the owner of an unknown job without a task, once a video should be ready.

    At its deadline, a job whose create was answered with an error fails by itself.
    """
    sent_at = job.sent_at or job.created_at
    report = [e.type for e in store.events.of_job(tx, job.id) if e.created_at > sent_at]
    if EventType.JOB_UNKNOWN not in report:
        record_event(tx, job, EventType.JOB_UNKNOWN, now)
    if job.deadline_at and now < job.deadline_at:
        store.jobs.settle_claimed(tx, job, due_at=job.deadline_at)
        return
    if store.callbacks.is_awaited(tx, job.id):
        # The callback may name the task, and only its confirmation is still missing.
        store.jobs.settle_claimed(tx, job, due_at=now + CALLBACK_LOOK)
        return
    if (job.error or {}).get("code") == "SUBMIT_FAILED_UNKNOWN":
        message = "the provider answered the create with an error, and nothing came until now"
        fail_job(tx, job, job_error("RESULT_LOST", message), "deadline", now)
        return
    store.jobs.settle_claimed(tx, job, due_at=None)
    _record_overdue(tx, job, now)


def _record_overdue(tx: Connection, job: Job, now: datetime) -> None:
    if not store.jobs.mark_overdue(tx, job.id):
        return
    message = "no result by the deadline; a late one still counts"
    store.steps.add(tx, job.id, "overdue", message, now)
    record_event(tx, job, EventType.JOB_OVERDUE, now)


def _poll(
    db: Database,
    provider: Provider,
    settings: Settings,
    job: Job,
    last: datetime,
    clock: Clock,
) -> bool:
    """Poll a task and settle any answer but "running"; False if only the next poll must be set."""
    if clock() > last:
        # A slow provider has used up the lease: the rest of the batch is polled next time.
        with db.write() as tx:
            store.jobs.settle_claimed(tx, job, due_at=clock())
        return True
    with quarantine_on_error(db, "jobs", clock) as claimed:
        claimed.row = job
        found = confirm(provider, job, None)
        if isinstance(found, Outcome) and found.state is TaskState.RUNNING and not found.remark:
            return False
        with db.write() as tx:
            settle_poll(tx, settings, job, found, "poll", clock())
    return True


def settle_poll(
    tx: Connection,
    settings: Settings,
    job: Job,
    found: Outcome | ProviderError,
    by: str,
    now: datetime,
) -> str:
    """
    Store the result of a poll or a confirmation.

    Args:
        by: ``poll`` or ``callback``, the reason of the request.

    Returns:
        The result as a sentence, for a log or a note.
    """
    note = _settle_found(_Look(tx, settings, job, by, now), found)
    # After the job: a holder of the provider's row must not wait for a job's row.
    if isinstance(found, ProviderError) and found.code == "PROVIDER_UNAVAILABLE":
        mark_unreachable(tx, job.provider, with_code(found.code, found.message), now)
    else:
        mark_reachable(tx, job.provider)
    return note


def _settle_found(look: _Look, found: Outcome | ProviderError) -> str:
    if isinstance(found, ProviderError):
        return _settle_error(look, found)
    if found.state is TaskState.SUCCEEDED and not (found.result_url or found.result_file):
        said = f": {found.message}" if found.message else ""
        empty = ProviderError("EMPTY_RESULT", f"the provider reports success without a video{said}")
        return _settle_error(look, empty)
    if found.state is TaskState.RUNNING:
        if found.remark:
            store.steps.note(look.tx, look.job.id, "state", found.remark, look.now)
        _schedule_next_poll(look)
        return f"the provider says {found.raw_state or 'running'}"
    recorded = record_outcome(look.tx, look.settings, look.job, found, look.by, look.now)
    return str(found.state) if recorded else "the job was finished before"


def _settle_error(look: _Look, error: ProviderError) -> str:
    """Wait for a missing task or result; any other error says nothing about the task."""
    tx, job, now = look.tx, look.job, look.now
    words = with_code(error.code, error.message)
    if isinstance(error, WrongTask):
        store.steps.note(tx, job.id, "mismatch", error.message, now)
    if error.code not in ("NOT_FOUND_TASK", "EMPTY_RESULT"):
        asked = bounded(error.retry_after, LONGEST_VENDOR_HINT)
        _poll_again(look, max(_seconds_to_poll(look), asked))
        return words
    since = job.missing_since or now
    until = patience_ends(job, error.code, since)
    if now < until:
        # The timeline names the end of the wait once.
        if job.missing_since is None:
            message = f"{words}; polling goes on until {until:%Y-%m-%d %H:%M:%S} UTC"
            store.steps.add(tx, job.id, "missing", message, now)
        failed = job.failed_polls + 1
        wait = backoff(failed, look.poll_every, SLOW_POLL_SECONDS)
        _poll_again(look, wait, failed_polls=failed, missing_since=since)
        return words
    code = "RESULT_LOST" if error.code == "NOT_FOUND_TASK" else error.code
    message = f"{error.message}, polled since {since:%Y-%m-%d %H:%M} UTC"
    fail_job(tx, job, job_error(code, message, error.provider_code), "deadline", now)
    return words


def patience_ends(job: Job, code: str, since: datetime) -> datetime:
    """
    The time until which a missing task or result is polled.

    Args:
        code: ``EMPTY_RESULT``, or ``NOT_FOUND_TASK``.
        since: the time at which it was missing first.
    """
    if code == "EMPTY_RESULT":
        return since + RESULT_PATIENCE
    return max(since + TASK_PATIENCE, job.deadline_at or since)


def _schedule_next_poll(look: _Look) -> None:
    """Schedule the next poll of a running task."""
    job = look.job
    if job.state is JobState.UNKNOWN:
        message = f"the provider knows task {job.task_id}"
        store.steps.add(look.tx, job.id, "found", message, look.now)
    seen = {"state": JobState.SUBMITTED, "error": None, "failed_polls": 0, "missing_since": None}
    _poll_again(look, _seconds_to_poll(look), **seen)


def _poll_again(look: _Look, wait_seconds: float, **changes: Any) -> None:
    tx, job, now = look.tx, look.job, look.now
    is_poll = look.by == "poll"
    if look.is_late:
        _record_overdue(tx, job, now)
    if job.polls == 0 and is_poll:
        late_callback = model_of(job.model, job.provider).calls_back and not look.settings.pull
        message = "no callback yet: polling the provider" if late_callback else "polling starts"
        store.steps.add(tx, job.id, "polling", message, now)
    counted = {"due_at": now + timedelta(seconds=wait_seconds), "polls": job.polls + is_poll}
    store.jobs.change(tx, job.id, [JobState.SUBMITTED, JobState.UNKNOWN], **counted, **changes)


def _seconds_to_poll(look: _Look) -> float:
    """Seconds to the next poll: more after many polls, with many open tasks, or when late."""
    if look.is_late:
        return SLOW_POLL_SECONDS
    grown = look.poll_every * POLL_GROWTH ** min(look.job.polls, 50)
    crowd = max(1.0, store.jobs.count_open(look.tx, look.job.provider) / THROTTLE_ABOVE)
    return max(look.poll_every, min(grown, LONGEST_POLL_SECONDS)) * crowd


def confirm(provider: Provider, job: Job, task_id: str | None) -> Outcome | ProviderError:
    """Ask the provider about the job's task, or about the task `task_id` that it may adopt."""
    try:
        return provider.fetch(replace(job, task_id=task_id or job.task_id))
    except ProviderError as error:
        return error
