"""Detection of a machine's clock that went back, by its workers' heartbeats, and its repair."""

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
from service.store.statements import take_turn

#: An arbitrary, unique number; see `database.MIGRATION_LOCK`.
SKEW_LOCK = 7_013_204
#: Waiting rows. A job that is being sent keeps its lease: a shorter one would make it unknown.
_WAITING: tuple[tuple[Table, Sequence[str]], ...] = (
    (jobs, ("queued", "submitted", "unknown", "held")),
    (callbacks, ("received",)),
    (videos, ("pending", "deleted")),
    (deliveries, ("pending",)),
)


def detect(tx: Connection, host: str, now: datetime) -> timedelta:
    """The time by which the last heartbeat of this host's workers is in the future, or zero."""
    ours = workers.c.id.startswith(host, autoescape=True)
    seen: datetime | None = tx.scalar(select(func.max(workers.c.seen_at)).where(ours))
    return max(timedelta(0), seen - now) if seen else timedelta(0)


def follow_back(
    tx: Connection, host: str, now: datetime, slack: timedelta
) -> tuple[timedelta, int]:
    """
    Move due dates earlier where this host's clock went back by more than `slack`.

    Returns:
        The time by which it went back, and the number of moved rows; zeros if it did not.
    """
    if detect(tx, host, now) <= slack:
        return timedelta(0), 0
    # Two workers of the host may detect it at once: the second one checks after the first.
    take_turn(tx, SKEW_LOCK)
    by = detect(tx, host, now)
    return (by, shift_due_dates(tx, by, now)) if by > slack else (timedelta(0), 0)


def shift_due_dates(tx: Connection, by: timedelta, now: datetime) -> int:
    """Move due dates earlier by `by`, as the clock went back; returns the number of rows."""
    count = 0
    for table, states in _WAITING:
        rows = tx.execute(
            select(table.c.id, table.c.due_at).where(
                table.c.state.in_(states), table.c.due_at > now
            )
        ).all()
        # A row that was claimed since has a lease instead.
        same = (table.c.id == bindparam("row_id")) & (table.c.due_at == bindparam("before"))
        earlier = update(table).where(same)
        moved = [{"row_id": row.id, "before": row.due_at, "due": row.due_at - by} for row in rows]
        if moved:
            tx.execute(earlier.values(due_at=bindparam("due")), moved)
        count += len(moved)
    tx.execute(update(providers).values(refilled_at=now, paused_until=None))
    tx.execute(update(subscriptions).where(subscriptions.c.held_until > now).values(held_until=now))
    tx.execute(update(deliveries).where(deliveries.c.leased_until > now).values(leased_until=now))
    tx.execute(update(channels).where(channels.c.paused_until > now).values(paused_until=now))
    tx.execute(update(workers).where(workers.c.seen_at > now).values(seen_at=now))
    return count
