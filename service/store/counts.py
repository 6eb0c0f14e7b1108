"""Counts of rows over all accounts, for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, func, literal, select, union_all

from service.store.schema import callbacks, deliveries, jobs, providers, videos, workers
from service.store.work import WORK, WORKERS_ONLY


@dataclass(frozen=True)
class Due:
    """The waiting work of one kind: the number of rows and the oldest due date."""

    kind: str
    count: int
    oldest: datetime | None


def jobs_by_state(tx: Connection) -> list[tuple[str, str, int]]:
    """Tuples of provider, state and number of jobs."""
    columns = (jobs.c.provider, jobs.c.state)
    found = tx.execute(select(*columns, func.count()).group_by(*columns))
    return [(provider, str(state), count) for provider, state, count in found]


def deliveries_by_state(tx: Connection) -> list[tuple[str, str, int]]:
    """Tuples of channel, state and number of deliveries."""
    columns = (deliveries.c.channel, deliveries.c.state)
    found = tx.execute(select(*columns, func.count()).group_by(*columns))
    return [(channel, str(state), count) for channel, state, count in found]


def callbacks_by_state(tx: Connection) -> dict[str, int]:
    """The number of stored callbacks, by state."""
    return _by_state(tx, callbacks)


def videos_by_state(tx: Connection) -> dict[str, int]:
    """The number of videos, by state."""
    return _by_state(tx, videos)


def _by_state(tx: Connection, table: Table) -> dict[str, int]:
    found = tx.execute(select(table.c.state, func.count()).group_by(table.c.state))
    return {str(state): count for state, count in found}


def held_providers(tx: Connection) -> dict[str, bool]:
    """For each provider that was ever used, whether it is held now."""
    found = tx.execute(select(providers.c.name, providers.c.held_reason))
    return {name: held is not None for name, held in found}


def failovers(tx: Connection) -> dict[str, int]:
    """For each provider, the number of jobs that it refused and another vendor got."""
    found = tx.execute(select(providers.c.name, providers.c.failovers))
    return {name: int(count) for name, count in found}


def due(tx: Connection, now: datetime) -> list[Due]:
    """The work of each kind that is due and not claimed yet."""
    questions = [
        select(literal(kind), func.count(), func.min(table.c.due_at)).where(
            table.c.state.in_(states), table.c.due_at <= now
        )
        for kind, (table, states) in WORK.items()
    ]
    return [Due(*row) for row in tx.execute(union_all(*questions))]


def workers_since(tx: Connection, since: datetime) -> int:
    """The number of workers with a heartbeat since a time."""
    found = (
        select(func.count()).select_from(workers).where(WORKERS_ONLY, workers.c.seen_at >= since)
    )
    return tx.scalar(found) or 0
