"""Stored callbacks after their receipt; the insert itself is in `ingest`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, text, update

from service.model import URL_CHECK, Callback, CallbackState, Rejection, new_id
from service.store.schema import callbacks, jobs, rejected_callbacks, rejection_counts
from service.store.statements import row_where
from service.store.work import NOW, Claim, Page, call_for, newest_page, settle, value, values

_RECEIVED = Claim(callbacks, Callback, [CallbackState.RECEIVED])
_LATER = (
    select(callbacks.c.id)
    .where(
        callbacks.c.job_id == bindparam("of_job"),
        callbacks.c.state == CallbackState.RECEIVED,
        callbacks.c.due_at > NOW,
    )
    # The holder of a claimed one waits for the job, and checks its state by itself. Waiting
    # for that holder would be a deadlock.
    .with_for_update(skip_locked=True, key_share=True)
)
_MAKE_DUE = update(callbacks).where(callbacks.c.id.in_(_LATER)).values(due_at=NOW)
#: The number of rejected callbacks that are listed; all are counted.
REJECT = """
INSERT INTO rejected_callbacks (id, reason, remote, received_at)
VALUES (:id, :reason, :remote, :received_at)
"""
COUNT = """
INSERT INTO rejection_counts (reason, count) VALUES (:reason, :count)
ON CONFLICT (reason) DO UPDATE SET count = rejection_counts.count + excluded.count
"""
FORGET = """
DELETE FROM rejected_callbacks WHERE id <
    (SELECT id FROM rejected_callbacks ORDER BY id DESC LIMIT 1 OFFSET 999)
"""
LISTED = 1000


@dataclass(frozen=True)
class Arrival:
    """A callback without headers and body; `bytes` is the size of its body, 1 MiB at most."""

    id: str
    state: CallbackState
    note: str
    repeats: int
    bytes: int
    received_at: datetime


def claim_received(tx: Connection, now: datetime, lease: float) -> Callback | None:
    """Claim the next unprocessed callback for `lease` seconds; None if there is none."""
    return _RECEIVED.one(tx, now, lease)


def settle_claimed(tx: Connection, callback: Callback, **changes: Any) -> bool:
    """Store the result of a claimed callback; False if somebody else has claimed it since."""
    return settle(tx, callbacks, callback, **changes)


def postpone(tx: Connection, callback: Callback, until: datetime) -> bool:
    """Make it due again at `until`; False if somebody else has claimed it since."""
    return settle(tx, callbacks, callback, due_at=until)


def make_due_now(tx: Connection, job_id: str, now: datetime) -> None:
    """Make the waiting callbacks of a job due, since it has its task id."""
    call_for(tx, "process", tx.execute(_MAKE_DUE, {"of_job": job_id, "now": now}).rowcount)


def is_awaited(tx: Connection, job_id: str) -> bool:
    """Whether a callback of the job is not processed yet."""
    waiting = select(callbacks.c.id).filter_by(job_id=job_id, state=CallbackState.RECEIVED)
    return tx.scalar(waiting.limit(1)) is not None


def find(tx: Connection, callback_id: str) -> Callback | None:
    """The callback with this id, or None."""
    return value(Callback, row_where(tx, callbacks, id=callback_id))


def requeue(tx: Connection, callback_id: str, now: datetime) -> None:
    """Queue a callback again, as if it had just arrived."""
    changes = {"state": CallbackState.RECEIVED, "note": "", "due_at": now}
    tx.execute(update(callbacks).filter_by(id=callback_id).values(**changes))


def owned(tx: Connection, account_id: str, callback_id: str) -> Callback | None:
    """The callback with this id if its job belongs to this account, else None."""
    statement = _of_account(account_id).where(callbacks.c.id == callback_id)
    return value(Callback, tx.execute(statement).one_or_none())


def page(
    tx: Connection,
    account_id: str,
    limit: int,
    *,
    before: str | None = None,
    **which: str | None,
) -> Page[Callback]:
    """An account's callbacks, newest first, by columns in `which` that are not None."""
    statement = _of_account(account_id)
    for name, wanted in which.items():
        if wanted is not None:
            statement = statement.where(callbacks.c[name] == wanted)
    return newest_page(tx, statement, Callback, limit, before)


def _of_account(account_id: str) -> Select[Any]:
    own = (jobs.c.id == callbacks.c.job_id) & (jobs.c.account_id == account_id)
    # No join: SQLite would read all jobs of a busy account and sort their callbacks.
    return select(callbacks).where(select(jobs.c.id).where(own).exists())


def rejected(
    tx: Connection, limit: int, *, before: str | None = None, reason: str | None = None
) -> Page[Rejection]:
    """The newest rejected callbacks, only those with `reason` if one is given."""
    statement = select(rejected_callbacks)
    if reason is not None:
        statement = statement.filter_by(reason=reason)
    return newest_page(tx, statement, Rejection, limit, before)


def of_job(tx: Connection, job_id: str) -> list[Callback]:
    """A job's callbacks in order of arrival."""
    statement = select(callbacks).filter_by(job_id=job_id)
    rows = tx.execute(statement.order_by(callbacks.c.received_at, callbacks.c.id)).all()
    return values(Callback, rows)


def arrivals(tx: Connection, job_id: str) -> list[Arrival]:
    """A job's callbacks in order of arrival, without their content."""
    length = func.length(callbacks.c.body).label("bytes")
    light = [c for c in callbacks.c if c.name in Arrival.__annotations__]
    statement: Select[Any] = select(*light, length).where(callbacks.c.job_id == job_id)
    rows = tx.execute(statement.order_by(callbacks.c.received_at, callbacks.c.id)).all()
    return values(Arrival, rows)


def reject(tx: Connection, reason: str, remote: str, now: datetime) -> None:
    """List and count a callback that is rejected after its receipt."""
    row = {"id": new_id("rej", now), "reason": reason, "remote": remote, "received_at": now}
    tx.execute(insert(rejected_callbacks), row)
    tx.execute(text(COUNT), {"reason": reason, "count": 1})
    tx.execute(text(FORGET))


def count_rejections(tx: Connection) -> dict[str, int]:
    """The number of rejected callbacks, by reason."""
    refused = select(rejection_counts).where(rejection_counts.c.reason != URL_CHECK)
    return {row[0]: row[1] for row in tx.execute(refused.order_by("reason"))}


def url_checks(tx: Connection) -> int:
    """The number of checks of callback URLs (GET or HEAD) that were answered 200."""
    return tx.scalar(select(rejection_counts.c.count).filter_by(reason=URL_CHECK)) or 0
