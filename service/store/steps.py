"""Steps: the lines of a job's timeline, numbered in their order."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from service.model import Step
from service.model.error_codes import strip_unstorable
from service.store.kept_rows import keep_job
from service.store.schema import steps
from service.store.statements import rows_where
from service.store.work import values

_NEXT = select(func.coalesce(func.max(steps.c.number), 0) + 1).where(
    steps.c.job_id == bindparam("of_job")
)
_ADD = steps.insert().values(number=_NEXT.scalar_subquery())


def add(tx: Connection, job_id: str, kind: str, message: str, now: datetime) -> None:
    """Add a line to the job's timeline."""
    keep_job(tx, job_id)
    said = strip_unstorable(message)
    row = {"job_id": job_id, "kind": kind, "message": said, "created_at": now}
    tx.execute(_ADD, {"of_job": job_id, **row})


def note(tx: Connection, job_id: str, kind: str, message: str, now: datetime) -> None:
    """Add a line, unless the last line of this kind has the same message."""
    said = [step.message for step in of_job(tx, job_id) if step.kind == kind]
    if said[-1:] != [strip_unstorable(message)]:
        add(tx, job_id, kind, message, now)


def of_job(tx: Connection, job_id: str) -> list[Step]:
    """The job's steps in order."""
    found = values(Step, rows_where(tx, steps, job_id=job_id))
    return sorted(found, key=lambda step: step.number)
