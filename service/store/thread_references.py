"""References to a channel's posted messages about jobs, for later messages in their thread."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, text

from service.store.schema import thread_references
from service.store.statements import row_where

#: One statement, since two events of a job may be settled at once. It is text, as in `providers`.
_SAVE = text(
    "INSERT INTO thread_references (subscription_id, job_id, reference, created_at)"
    " VALUES (:subscription_id, :job_id, :reference, :created_at)"
    " ON CONFLICT (subscription_id, job_id) DO UPDATE SET reference = excluded.reference"
).bindparams(bindparam("created_at", type_=thread_references.c.created_at.type))


def save(tx: Connection, subscription_id: str, job_id: str, reference: str, now: datetime) -> None:
    """Store the channel's latest reference for this job; it replaces an earlier one."""
    row = {"subscription_id": subscription_id, "job_id": job_id}
    tx.execute(_SAVE, {**row, "reference": reference, "created_at": now})


def get(tx: Connection, subscription_id: str, job_id: str) -> str | None:
    """The reference; None if nothing was posted yet, or the channel gave none."""
    found = row_where(tx, thread_references, subscription_id=subscription_id, job_id=job_id)
    return found.reference if found else None
