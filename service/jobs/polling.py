"""
Asking the provider: confirms a callback, and finds the end that no callback told.

Polls go out in batches, so that ten thousand waiting jobs need neither threads
nor a commit each. Also where a lease that ran out while sending becomes
`unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service import store
from service.catalogue.models import model_of
from service.errors import ProviderError
from service.events.record import record_event
from service.jobs import budget
from service.jobs.outcomes import fail_job, record_outcome
from service.jobs.provider_status import mark_reachable, mark_unreachable
from service.jobs.submission import GRACE_SECONDS, HELD_LOOK, mark_unknown
from service.model import Clock, EventType, Job, JobState, Outcome, TaskState
from service.model.error_codes import job_error
from service.providers.base import STATUS_SECONDS, Provider
from service.retry import bounded
from service.settings import Settings
from service.store.database import Database
from service.store.quarantine import UNREADABLE
from service.store.quarantine_on_error import quarantine_on_error

LEASE_SECONDS = STATUS_SECONDS + GRACE_SECONDS
#: So many jobs are claimed at once to be polled, for so long.
BATCH = 16
BATCH_SECONDS = 60.0
#: So many polls in a row may find no task, or no result, before the job fails.
PATIENCE = 3
#: Each poll comes later than the last by this factor, up to the longest pause before the deadline.
GROWTH = 1.25
LONGEST_SECONDS = 60.0
#: Above this many open tasks the polls of each become rarer.
THROTTLE_ABOVE = 200
#: Between polls after the deadline.
SLOW_SECONDS = 300.0


def poll_jobs(
    db: Database, providers: Mapping[str, Provider], settings: Settings, clock: Clock
) -> bool:
    """Ask about the tasks that are due, a batch of each provider; False when there were none."""
    asked = [_poll_batch(db, provider, settings, clock) for provider in providers.values()]
    return any(asked)


def _poll_batch(db: Database, provider: Provider, settings: Settings, clock: Clock) -> bool:
    began = clock()
    with db.write() as tx:
        due = store.jobs.claim_polls(tx, provider.name, began, BATCH_SECONDS, BATCH)
        jobs = [job for job in due if _may_poll(tx, provider, job, began)]
    last = began + timedelta(seconds=BATCH_SECONDS - LEASE_SECONDS)
    running = [job for job in jobs if not _poll(db, provider, settings, job, last, clock)]
    try:
        _set_next(db, settings, running, clock)
    except UNREADABLE:
        # Each alone, so that one damaged row does not keep the others from their next poll.
        for job in running:
            with quarantine_on_error(db, "jobs", clock) as claimed:
                claimed.row = job
                _set_next(db, settings, [job], clock)
    return bool(due)


def _set_next(db: Database, settings: Settings, jobs: list[Job], clock: Clock) -> None:
    """Tasks that are still running are asked about again later."""
    if not jobs:
        return
    with db.write() as tx:
        for job in jobs:
            schedule_next_poll(tx, settings, job, clock(), "poll", failed_polls=0, running=True)
        mark_reachable(tx, jobs[0].provider)


def _may_poll(tx: Connection, provider: Provider, job: Job, now: datetime) -> bool:
    """Whether there is a token for this poll; without one it is due again in a second."""
    allowed = may_ask(tx, provider, now)
    if not allowed:
        store.jobs.settle_claimed(tx, job, due_at=now + timedelta(seconds=1))
    return allowed


def handle_expired(
    db: Database, providers: Mapping[str, Provider], settings: Settings, clock: Clock
) -> bool:
    """Look after the next job whose lease, deadline or hold is over; False when there was none."""
    with quarantine_on_error(db, "jobs", clock) as claimed, db.write() as tx:
        job = claimed.row = store.jobs.claim_waiting(tx, clock(), LEASE_SECONDS)
        if job is None:
            return False
        _without_task(tx, providers, settings, job, clock())
    return True


def may_ask(tx: Connection, provider: Provider, now: datetime) -> bool:
    """Take a request token for a poll or a confirm; False when there is none left."""
    allowance = provider.limits.requests_per_minute
    return not allowance or not store.providers.take_token(tx, provider.name, allowance, now)


def _without_task(
    tx: Connection,
    providers: Mapping[str, Provider],
    settings: Settings,
    job: Job,
    now: datetime,
) -> None:
    if job.state is JobState.HELD:
        if budget.objection(tx, settings, job, now):
            store.jobs.settle_claimed(tx, job, due_at=now + HELD_LOOK)
            return
        store.jobs.settle_claimed(tx, job, state=JobState.QUEUED, due_at=now, error=None)
        store.jobs.add_step(tx, job.id, "queued", "no longer held", now)
        return
    if job.state is JobState.SUBMITTING:
        _after_lease(tx, providers.get(job.provider), settings, job, now)
        return
    store.jobs.settle_claimed(tx, job, due_at=None)
    _tell_overdue(tx, job, now)


def _after_lease(
    tx: Connection, provider: Provider | None, settings: Settings, job: Job, now: datetime
) -> None:
    """The worker died while sending; an answer that had come may lie on our disk."""
    if provider and provider.holds_connection:
        found = confirm(provider, job, None)
        if isinstance(found, Outcome) and record_outcome(tx, settings, job, found, "answer", now):
            return
    message = "the worker ended while sending: the provider may have the job"
    mark_unknown(tx, job, message, now)


def _tell_overdue(tx: Connection, job: Job, now: datetime) -> None:
    if not store.jobs.mark_overdue(tx, job.id):
        return
    message = "no end by the deadline; a late one still counts"
    store.jobs.add_step(tx, job.id, "overdue", message, now)
    record_event(tx, job, EventType.JOB_OVERDUE, now)


def _poll(
    db: Database,
    provider: Provider,
    settings: Settings,
    job: Job,
    last: datetime,
    clock: Clock,
) -> bool:
    """Ask, and settle what is more than "running"; False when only the next poll is to be set."""
    if clock() > last:
        # A slow provider has used the lease up: the others have their turn next time.
        with db.write() as tx:
            store.jobs.settle_claimed(tx, job, due_at=clock())
        return True
    with quarantine_on_error(db, "jobs", clock) as claimed:
        claimed.row = job
        found = confirm(provider, job, None)
        if isinstance(found, Outcome) and found.state is TaskState.RUNNING:
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
    """Record what a poll or a confirm found; returns it in words for a log."""
    words = _settled(tx, settings, job, found, by, now)
    if isinstance(found, ProviderError) and found.code == "PROVIDER_UNAVAILABLE":
        mark_unreachable(tx, job.provider, words, now)
    else:
        mark_reachable(tx, job.provider)
    return words


def _settled(
    tx: Connection,
    settings: Settings,
    job: Job,
    found: Outcome | ProviderError,
    by: str,
    now: datetime,
) -> str:
    if isinstance(found, ProviderError):
        return _settle_trouble(tx, settings, job, found, by, now)
    if found.state is TaskState.SUCCEEDED and not (found.result_url or found.result_file):
        empty = ProviderError("EMPTY_RESULT", "the provider reports success without a video")
        return _settle_trouble(tx, settings, job, empty, by, now)
    if found.state is TaskState.RUNNING:
        schedule_next_poll(tx, settings, job, now, by, failed_polls=0, running=True)
        return f"the provider says {found.raw_state or 'running'}"
    recorded = record_outcome(tx, settings, job, found, by, now)
    return str(found.state) if recorded else "the job had ended before"


def _settle_trouble(
    tx: Connection, settings: Settings, job: Job, trouble: ProviderError, by: str, now: datetime
) -> str:
    """No task and no result are counted; anything else says nothing about the task."""
    words = f"{trouble.code}: {trouble.message}"
    if trouble.code not in ("NOT_FOUND_TASK", "EMPTY_RESULT"):
        schedule_next_poll(
            tx, settings, job, now, by, failed_polls=job.failed_polls, wished=trouble.retry_after
        )
        return words
    if job.failed_polls + 1 < PATIENCE:
        schedule_next_poll(tx, settings, job, now, by, failed_polls=job.failed_polls + 1)
        return words
    code = "RESULT_LOST" if trouble.code == "NOT_FOUND_TASK" else trouble.code
    fail_job(tx, job, job_error(code, trouble.message, trouble.provider_code), by, now)
    return words


def schedule_next_poll(
    tx: Connection,
    settings: Settings,
    job: Job,
    now: datetime,
    by: str,
    failed_polls: int,
    running: bool = False,
    wished: float | None = None,
) -> None:
    """The next poll: rarer in a crowd and after the deadline, never before the vendor wishes."""
    late = job.deadline_at is not None and now >= job.deadline_at
    if late:
        _tell_overdue(tx, job, now)
    if job.polls == 0 and by == "poll":
        late_callback = model_of(job.model).calls_back
        message = "no callback yet: asking the provider" if late_callback else "asking from now on"
        store.jobs.add_step(tx, job.id, "polling", message, now)
    changes: dict[str, Any] = {}
    if running:
        changes = {"state": JobState.SUBMITTED, "error": None}
        if job.state is JobState.UNKNOWN:
            store.jobs.add_step(tx, job.id, "found", f"the provider knows task {job.task_id}", now)
    wait = SLOW_SECONDS if late else _pause(tx, settings, job)
    store.jobs.change(
        tx,
        job.id,
        [JobState.SUBMITTED, JobState.UNKNOWN],
        due_at=now + timedelta(seconds=max(wait, bounded(wished))),
        polls=job.polls + (by == "poll"),
        failed_polls=failed_polls,
        **changes,
    )


def _pause(tx: Connection, settings: Settings, job: Job) -> float:
    """Seconds to the next poll: the more polls were, and the more tasks are open, the longer."""
    every = settings.poll_every or model_of(job.model).poll_every
    grown = every * GROWTH ** min(job.polls, 50)
    crowd = max(1.0, store.jobs.count_open(tx, job.provider) / THROTTLE_ABOVE)
    return max(every, min(grown, LONGEST_SECONDS)) * crowd


def confirm(provider: Provider, job: Job, task_id: str | None) -> Outcome | ProviderError:
    """Ask the provider about the job's task, or about one that it may adopt."""
    try:
        return provider.fetch(replace(job, task_id=task_id or job.task_id))
    except ProviderError as error:
        return error
