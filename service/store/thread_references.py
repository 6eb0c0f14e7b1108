"""A channel's posted message about a job, so that a later one can follow it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from service.store.schema import thread_references
from service.store.statements import row_where


def save(tx: Connection, subscription_id: str, job_id: str, reference: str, now: datetime) -> None:
    """The channel's latest word for its message about this job; replaces an earlier one."""
    kind = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"subscription_id": subscription_id, "job_id": job_id, "created_at": now}
    # One statement, since two events of a job may be settled at once.
    tx.execute(
        kind.insert(thread_references)
        .values(**row, reference=reference)
        .on_conflict_do_update(
            index_elements=["subscription_id", "job_id"], set_={"reference": reference}
        )
    )


def get(tx: Connection, subscription_id: str, job_id: str) -> str | None:
    """That word; None where nothing was posted yet, or the channel gave none."""
    found = row_where(tx, thread_references, subscription_id=subscription_id, job_id=job_id)
    return found.reference if found else None
