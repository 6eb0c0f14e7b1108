"""
Rows of jobs that a transaction keeps from change by others until it ends.

A transaction that has claimed or changed a job has its row already: to lock it once
more costs a round trip for each line of its timeline.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from service.store.schema import jobs

#: Built once: that takes longer than running it.
_LOCK = select(jobs.c.id).where(jobs.c.id == bindparam("id")).with_for_update(key_share=True)
#: The place of the kept ids in what a connection knows; emptied with each transaction.
KEPT = "kept jobs"


def keep_job(tx: Connection, job_id: str) -> None:
    """Keep the job's row; waits for whoever has it."""
    # On SQLite whoever may write is alone.
    if tx.dialect.name == "sqlite" or job_id in tx.info.get(KEPT, ()):
        return
    tx.execute(_LOCK, {"id": job_id})
    note_kept(tx, job_id)


def note_kept(tx: Connection, job_id: str) -> None:
    """This transaction has just changed the job's row."""
    # What a savepoint has locked is free again when it is rolled back.
    if not tx.in_nested_transaction():
        tx.info.setdefault(KEPT, set()).add(job_id)
