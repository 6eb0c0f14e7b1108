"""Recording the outcome of a task: the first terminal one wins, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service import store
from service.catalogue.models import VENDORS, model_of
from service.errors import Conflict, InvalidInput, got
from service.events.record import record_event
from service.model import (
    EventType,
    Job,
    JobError,
    JobState,
    Outcome,
    TaskState,
    Video,
    VideoState,
    new_id,
)
from service.model.error_codes import as_stored, job_error, with_code
from service.model.ids import TASK_ID_LENGTH, as_task_id
from service.settings import Settings

#: The time for which vendors store results: their pages differ, and this is the shortest.
PROVIDER_KEEPS = timedelta(hours=24)
#: The timeline's text for each way in which an outcome was found.
FOUND_BY = {
    "callback": "the provider called back",
    "poll": "found by polling",
    "answer": "the answer held the video",
    "operator": "resolved by hand",
}


def record_outcome(
    tx: Connection, settings: Settings, job: Job, outcome: Outcome, by: str, now: datetime
) -> bool:
    """
    End the job with a terminal outcome, and create its event, deliveries and video.

    Args:
        by: the source: ``callback``, ``poll``, ``answer``, ``operator``, or ``deadline``
            if we conclude the outcome ourselves.

    Returns:
        False if the outcome is not terminal or the job was finished before.
    """
    recorded = _record(tx, settings, job, outcome, by, now)
    # After the job: a holder of the provider's row must not wait for a job's row.
    if outcome.credits_left is not None:
        store.providers.set_credits_left(tx, job.provider, outcome.credits_left)
    return recorded


def _record(
    tx: Connection, settings: Settings, job: Job, outcome: Outcome, by: str, now: datetime
) -> bool:
    if outcome.state is TaskState.FAILED:
        error = outcome.error or job_error("PROVIDER_ERROR", "failed without a reason")
        return fail_job(tx, job, error, by, now, cost=settled_cost(settings, job.provider, outcome))
    if outcome.state is not TaskState.SUCCEEDED:
        return False
    found = settled_cost(settings, job.provider, outcome)
    cost = found if found is not None else job.actual_cost
    changes = {"state": JobState.SUCCEEDED, "resolved_by": by, "error": None, "actual_cost": cost}
    if not store.jobs.end(tx, job.id, now, **changes):
        return False
    store.videos.insert(tx, _pending_video(settings, job, outcome, now))
    # Polling is a recovery only if a callback should have come.
    awaited = model_of(job.model, job.provider).calls_back and not settings.pull
    recovered = by == "poll" and awaited
    how = "recovered by polling" if recovered else FOUND_BY[by]
    if billed := [f"{one.amount:g} {one.unit}" for one in outcome.charges]:
        how += f"; charged {' and '.join(billed)}"
    store.steps.add(tx, job.id, "succeeded", how, now)
    record_event(tx, job, EventType.JOB_SUCCEEDED, now, wait=settings.archive_wait)
    return True


def settled_cost(settings: Settings, provider: str, outcome: Outcome) -> float | None:
    """
    The cost of the task in dollars; None if the vendor does not report it.

    A vendor's own unit is converted by the operator's rate (PRICES names
    ``VENDOR:UNIT``), else by the rate that the vendor states.
    """
    if outcome.cost is not None or not outcome.charges:
        return outcome.cost
    vendor = VENDORS.get(provider)
    rates = {"USD": 1.0} | (vendor.units if vendor else {})
    rates |= {
        name.rpartition(":")[2]: rate
        for name, rate in settings.prices.items()
        if name.startswith(f"{provider}:")
    }
    if any(one.unit not in rates for one in outcome.charges):
        return None
    return round(sum(one.amount * rates[one.unit] for one in outcome.charges), 6)


def fail_job(
    tx: Connection, job: Job, error: JobError, by: str, now: datetime, cost: float | None = None
) -> bool:
    """Fail the job; False if it was finished before."""
    changes = {"state": JobState.FAILED, "resolved_by": by, "error": as_stored(error)}
    if not store.jobs.end(tx, job.id, now, actual_cost=cost, **changes):
        return False
    store.steps.add(tx, job.id, "failed", with_code(error.code, error.message), now)
    record_event(tx, job, EventType.JOB_FAILED, now)
    return True


def _pending_video(settings: Settings, job: Job, outcome: Outcome, now: datetime) -> Video:
    """The row of a video that is not archived yet; a link that needs a key is left out."""
    link = None if outcome.is_private else outcome.result_url
    return Video(
        id=new_id("vid", now),
        account_id=job.account_id,
        job_id=job.id,
        state=VideoState.PENDING,
        provider_url=link,
        provider_expires_at=now + PROVIDER_KEEPS if link else None,
        file=outcome.result_file,
        poster_file=None,
        bytes=None,
        sha256=None,
        seconds=None,
        width=None,
        height=None,
        attempts=0,
        note="",
        claims=0,
        due_at=now,
        link_expires_at=now.replace(microsecond=0) + timedelta(seconds=settings.link_ttl),
        created_at=now,
        stored_at=None,
    )


@dataclass(frozen=True)
class Resolution:
    """A person's decision about an `unknown` job: its task, a resend, or neither (failed)."""

    task_id: str | None = None
    resend: bool = False


def resolve_by_hand(tx: Connection, job: Job, found: Resolution, now: datetime) -> None:
    """
    Resolve an `unknown` job as a person decided; with neither task nor resend it fails.

    Raises:
        InvalidInput: no vendor has such a task id.
        Conflict: the job is not unknown, or the task belongs to another job.
    """
    task_id = None if found.task_id is None else as_task_id(found.task_id.strip())
    if found.task_id is not None and task_id is None:
        message = f"must be the task's id at the vendor: one word, at most {TASK_ID_LENGTH} letters"
        raise InvalidInput.at("/task_id", "not_allowed", message + got(found.task_id))
    if task_id and store.jobs.holder_of(tx, job.provider, task_id):
        raise Conflict(f"task {task_id} belongs to another job")
    # Read again: two people may use the same page.
    state = (store.jobs.lock(tx, job.id) or job).state
    if state is not JobState.UNKNOWN:
        raise Conflict(f"the job is {state}: only unknown jobs are resolved by hand")
    if not (task_id or found.resend):
        fail_job(tx, job, job_error("OPERATOR", "marked failed by hand"), "operator", now)
        return
    changes: dict[str, Any] = {"error": None, "due_at": now}
    if found.resend:
        changes |= {"state": JobState.QUEUED, "deadline_at": None, "overdue": False}
    else:
        # The vendor accepted it when it was sent, although that was unknown here.
        submitted_at = job.sent_at or now
        changes |= {"state": JobState.SUBMITTED, "task_id": task_id}
        changes["submitted_at"] = submitted_at
    store.jobs.change(tx, job.id, [JobState.UNKNOWN], **changes)
    how = "sent again" if found.resend else f"it is task {task_id}"
    store.steps.add(tx, job.id, "resolved", f"resolved by hand: {how}", now)
