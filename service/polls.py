"""
Asking the provider: confirms a callback, and finds the end that no callback told.

Also where a lease that ran out while sending becomes `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import budget, store
from service.catalogue import MODELS
from service.db import Database
from service.errors import ProviderError
from service.events import record_event
from service.failures import job_error
from service.model import Clock, EventType, Job, JobState, Outcome, TaskState
from service.outcomes import fail_job, record_outcome
from service.providers.base import STATUS_SECONDS, Provider
from service.retry import bounded
from service.settings import Settings
from service.submissions import GRACE_SECONDS, HELD_LOOK, mark_unknown

LEASE_SECONDS = STATUS_SECONDS + GRACE_SECONDS
#: So many polls in a row may find no task, or no result, before the job fails.
PATIENCE = 3
#: Above this many open tasks the polls of each become rarer.
CROWD = 200
#: Between polls after the deadline.
SLOW_SECONDS = 300.0


def reconcile_job(
    db: Database, providers: Mapping[str, Provider], settings: Settings, clock: Clock
) -> bool:
    """Look after the next job that is due; False when there was none."""
    now = clock()
    with db.write() as tx:
        job = store.jobs.claim_open(tx, list(providers), now, LEASE_SECONDS)
        if job is None:
            return False
        if job.state is not JobState.SUBMITTED:
            _without_task(tx, providers, settings, job, now)
            return True
        if not may_ask(tx, providers[job.provider], now):
            store.jobs.settle_claimed(tx, job, due_at=now + timedelta(seconds=1))
            return False
    _poll(db, providers[job.provider], settings, job, clock)
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


def _poll(db: Database, provider: Provider, settings: Settings, job: Job, clock: Clock) -> None:
    try:
        outcome: Outcome | ProviderError = provider.fetch(job)
    except ProviderError as error:
        outcome = error
    with db.write() as tx:
        settle_poll(tx, settings, job, outcome, "poll", clock())


def settle_poll(
    tx: Connection,
    settings: Settings,
    job: Job,
    found: Outcome | ProviderError,
    by: str,
    now: datetime,
) -> str:
    """Record what a poll or a confirm found; returns it in words for a log."""
    if isinstance(found, ProviderError):
        return _settle_trouble(tx, settings, job, found, by, now)
    if found.state is TaskState.SUCCEEDED and not (found.result_url or found.result_file):
        empty = ProviderError("EMPTY_RESULT", "the provider reports success without a video")
        return _settle_trouble(tx, settings, job, empty, by, now)
    if found.state is TaskState.RUNNING:
        _again(tx, settings, job, now, by, misses=0)
        return f"the provider says {found.raw_state or 'running'}"
    recorded = record_outcome(tx, settings, job, found, by, now)
    return str(found.state) if recorded else "the job had ended before"


def _settle_trouble(
    tx: Connection, settings: Settings, job: Job, trouble: ProviderError, by: str, now: datetime
) -> str:
    """No task and no result are counted; anything else says nothing about the task."""
    words = f"{trouble.code}: {trouble.message}"
    if trouble.code not in ("NOT_FOUND_TASK", "EMPTY_RESULT"):
        _again(tx, settings, job, now, by, misses=job.misses, wished=trouble.retry_after)
        return words
    if job.misses + 1 < PATIENCE:
        _again(tx, settings, job, now, by, misses=job.misses + 1)
        return words
    code = "RESULT_LOST" if trouble.code == "NOT_FOUND_TASK" else trouble.code
    fail_job(tx, job, job_error(code, trouble.message, trouble.provider_code), by, now)
    return words


def _again(
    tx: Connection,
    settings: Settings,
    job: Job,
    now: datetime,
    by: str,
    misses: int,
    wished: float | None = None,
) -> None:
    """The next poll: rarer in a crowd and after the deadline, never before the vendor wishes."""
    late = job.deadline_at is not None and now >= job.deadline_at
    if late:
        _tell_overdue(tx, job, now)
    if job.polls == 0 and by == "poll":
        late_callback = MODELS[job.model].calls_back
        message = "no callback yet: asking the provider" if late_callback else "asking from now on"
        store.jobs.add_step(tx, job.id, "polling", message, now)
    every = settings.poll_every or MODELS[job.model].poll_every
    stretch = max(1.0, store.jobs.count_open(tx, job.provider) / CROWD)
    wait = max(every, SLOW_SECONDS) if late else every * stretch
    store.jobs.change(
        tx,
        job.id,
        [JobState.SUBMITTED],
        due_at=now + timedelta(seconds=max(wait, bounded(wished))),
        polls=job.polls + (by == "poll"),
        misses=misses,
    )


def confirm(provider: Provider, job: Job, task_id: str | None) -> Outcome | ProviderError:
    """Ask the provider about the job's task, or about one that it may adopt."""
    try:
        return provider.fetch(replace(job, task_id=task_id or job.task_id))
    except ProviderError as error:
        return error
