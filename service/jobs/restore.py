"""
After a restore: the rows are older than reality.

Every job that was not finished when the backup was made may have been sent, paid
and finished since. So nothing is sent again by itself: a job with a task is
polled, any other waits for its callback or a person.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.errors import Conflict
from service.events.record import record_event
from service.jobs.high_water import WENT_BACK, HighWater
from service.jobs.lookup import can_look_up
from service.model import EventType, JobState
from service.model.error_codes import as_stored, job_error
from service.store.database import Database
from service.store.quarantine import UNREADABLE

#: States in a backup whose jobs may have been sent since.
STALE = (JobState.QUEUED, JobState.HELD, JobState.SUBMITTING, JobState.SUBMITTED)
BATCH = 200
SILENCE = timedelta(seconds=30)
#: A job without a deadline counts as overdue after this.
OVERDUE = timedelta(hours=1)
MESSAGE = "restored from a backup: it may have been sent since"


def mark_unknown_after_restore(
    db: Database, high_water: HighWater, now: datetime
) -> dict[str, int]:
    """
    Make every unfinished job `unknown`; then accept the database as right again.

    Returns:
        The numbers of jobs: `asked` (they have a task), `waiting`, and `damaged`.

    Raises:
        Conflict: a worker is running.
    """
    with db.write() as tx:
        seen = store.work.last_beat(tx)
        if seen is not None and now - seen < SILENCE:
            wait = f"a worker was alive {(now - seen).total_seconds():.0f} s ago"
            retry = f"stop every worker, and try again {SILENCE.seconds} s after that"
            raise Conflict(f"{wait}: {retry}")
        store.work.forget_workers(tx, now)
    count, more = Counter(asked=0, waiting=0, damaged=0), True
    while more:
        with db.write() as tx:
            job_ids = store.jobs.ids_in_states(tx, STALE, BATCH)
            count.update([_make_unknown(tx, job_id, now) for job_id in job_ids])
        more = bool(job_ids)
    with db.write() as tx:
        high_water.accept(tx)
        store.providers.release_reason(tx, WENT_BACK)
    return dict(count)


def _make_unknown(tx: Connection, job_id: str, now: datetime) -> str:
    """Make one job `unknown`; returns the name of its count."""
    try:
        job = store.jobs.find(tx, job_id)
    except UNREADABLE as error:
        store.jobs.change(tx, job_id, STALE, state=JobState.UNKNOWN)
        store.quarantine.put_unreadable(tx, "jobs", job_id, error, now)
        return "damaged"
    if job is None:
        return "waiting"
    restored = as_stored(job_error("RESTORED", MESSAGE))
    deadline_at = job.deadline_at or now + OVERDUE
    changes = {"state": JobState.UNKNOWN, "error": restored, "deadline_at": deadline_at}
    asked = job.task_id or can_look_up(job.provider)
    due_at = now if asked else deadline_at
    store.jobs.change(tx, job.id, STALE, due_at=due_at, **changes)
    store.steps.add(tx, job.id, "restored", f"was {job.state} in the backup", now)
    if job.task_id is None:
        record_event(tx, job, EventType.JOB_UNKNOWN, now)
    return "asked" if job.task_id else "waiting"
