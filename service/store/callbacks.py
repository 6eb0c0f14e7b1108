"""Stored callbacks after their receipt; the insert itself is in `ingest`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from service.model import Callback, CallbackState
from service.schema import callbacks, refusals
from service.store.work import claim, settle, value, values


def claim_received(tx: Connection, now: datetime, lease: float) -> Callback | None:
    """The next callback that nobody has looked at."""
    return claim(tx, callbacks, Callback, [CallbackState.RECEIVED], now, lease)


def settle_claimed(tx: Connection, callback: Callback, **changes: Any) -> bool:
    """Write what became of a claimed callback."""
    return settle(tx, callbacks, callback, **changes)


def postpone(tx: Connection, callback: Callback, until: datetime) -> bool:
    """Look at it again later."""
    return settle(tx, callbacks, callback, due_at=until)


def hurry(tx: Connection, job_id: str, now: datetime) -> None:
    """The job has its task id: its waiting callbacks are due."""
    waiting = update(callbacks).filter_by(job_id=job_id, state=CallbackState.RECEIVED)
    tx.execute(waiting.where(callbacks.c.due_at > now).values(due_at=now))


def find(tx: Connection, callback_id: str) -> Callback | None:
    """The callback of that id."""
    statement = select(callbacks).filter_by(id=callback_id)
    return value(Callback, tx.execute(statement).one_or_none())


def of_job(tx: Connection, job_id: str) -> list[Callback]:
    """A job's callbacks in order of arrival."""
    statement = select(callbacks).filter_by(job_id=job_id)
    rows = tx.execute(statement.order_by(callbacks.c.received_at, callbacks.c.id)).all()
    return values(Callback, rows)


def refusal_counts(tx: Connection) -> dict[str, int]:
    """How many callbacks were refused, by reason."""
    return {row[0]: row[1] for row in tx.execute(select(refusals).order_by("reason"))}
