"""
The rows of jobs that a transaction has locked.

A transaction that has claimed or changed a job holds its row already: locking it once
more costs a round trip for each line of its timeline.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from service.store.schema import jobs

#: Built once, since building it takes longer than running it.
_LOCK = select(jobs.c.id).where(jobs.c.id == bindparam("id")).with_for_update(key_share=True)
#: The key of the locked ids in a connection's `info`; emptied with each transaction.
KEPT = "kept jobs"


def keep_job(tx: Connection, job_id: str) -> None:
    """Lock the job's row; waits for another holder."""
    # On SQLite, a writing transaction is alone anyway.
    if tx.dialect.name == "sqlite" or job_id in tx.info.get(KEPT, ()):
        return
    tx.execute(_LOCK, {"id": job_id})
    note_kept(tx, job_id)


def note_kept(tx: Connection, job_id: str) -> None:
    """Note that this transaction holds the job's row, since it has just changed it."""
    # The rollback of a savepoint releases its locks.
    if not tx.in_nested_transaction():
        tx.info.setdefault(KEPT, set()).add(job_id)
