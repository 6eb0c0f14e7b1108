"""A machine's clock that has gone back: found by its workers' own beats, fixed in the rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, bindparam, func, select, update

from service.store.schema import (
    callbacks,
    channels,
    deliveries,
    jobs,
    providers,
    subscriptions,
    videos,
    workers,
)

#: Rows that wait. What is being sent keeps its lease: too short a one would call it unknown.
_WAITING: tuple[tuple[Table, Sequence[str]], ...] = (
    (jobs, ("queued", "submitted", "unknown", "held")),
    (callbacks, ("received",)),
    (videos, ("pending", "deleted")),
    (deliveries, ("pending",)),
)


def detect(tx: Connection, host: str, now: datetime) -> timedelta:
    """How far the last beat of this host's workers lies in the future; zero if in the past."""
    ours = workers.c.id.startswith(host, autoescape=True)
    seen: datetime | None = tx.scalar(select(func.max(workers.c.seen_at)).where(ours))
    return max(timedelta(0), seen - now) if seen else timedelta(0)


def shift_due_dates(tx: Connection, by: timedelta, now: datetime) -> int:
    """Move due dates earlier by `by`, as the clock went back; returns how many rows."""
    count = 0
    for table, states in _WAITING:
        rows = tx.execute(
            select(table.c.id, table.c.due_at).where(
                table.c.state.in_(states), table.c.due_at > now
            )
        ).all()
        earlier = update(table).where(table.c.id == bindparam("row_id"))
        moved = [{"row_id": row.id, "due": row.due_at - by} for row in rows]
        if moved:
            tx.execute(earlier.values(due_at=bindparam("due")), moved)
        count += len(moved)
    tx.execute(update(providers).values(refilled_at=now, paused_until=None))
    tx.execute(update(subscriptions).where(subscriptions.c.held_until > now).values(held_until=now))
    tx.execute(update(deliveries).where(deliveries.c.leased_until > now).values(leased_until=now))
    tx.execute(update(channels).where(channels.c.paused_until > now).values(paused_until=now))
    tx.execute(update(workers).where(workers.c.seen_at > now).values(seen_at=now))
    return count
