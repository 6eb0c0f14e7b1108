"""How many rows there are of everything, over all accounts; for whoever watches the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, func, literal, select, union_all

from service.store.schema import callbacks, deliveries, jobs, providers, videos, workers
from service.store.work import WORK, WORKERS_ONLY


@dataclass(frozen=True)
class Due:
    """Work of one kind that waits: how much, and since when."""

    kind: str
    count: int
    oldest: datetime | None


def jobs_by_state(tx: Connection) -> list[tuple[str, str, int]]:
    """Provider, state, and how many jobs."""
    columns = (jobs.c.provider, jobs.c.state)
    found = tx.execute(select(*columns, func.count()).group_by(*columns))
    return [(provider, str(state), count) for provider, state, count in found]


def deliveries_by_state(tx: Connection) -> list[tuple[str, str, int]]:
    """Channel, state, and how many deliveries."""
    columns = (deliveries.c.channel, deliveries.c.state)
    found = tx.execute(select(*columns, func.count()).group_by(*columns))
    return [(channel, str(state), count) for channel, state, count in found]


def callbacks_by_state(tx: Connection) -> dict[str, int]:
    """How many kept callbacks are in each state."""
    return _by_state(tx, callbacks)


def videos_by_state(tx: Connection) -> dict[str, int]:
    """How many videos are in each state."""
    return _by_state(tx, videos)


def _by_state(tx: Connection, table: Table) -> dict[str, int]:
    found = tx.execute(select(table.c.state, func.count()).group_by(table.c.state))
    return {str(state): count for state, count in found}


def held_providers(tx: Connection) -> dict[str, bool]:
    """Each provider that was ever used, and whether nothing goes out to it now."""
    found = tx.execute(select(providers.c.name, providers.c.held_reason))
    return {name: held is not None for name, held in found}


def failovers(tx: Connection) -> dict[str, int]:
    """How many jobs each provider's sure refusal sent to another vendor."""
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
    """How many workers were seen alive since then."""
    found = (
        select(func.count()).select_from(workers).where(WORKERS_ONLY, workers.c.seen_at >= since)
    )
    return tx.scalar(found) or 0
