"""
Claiming: one statement takes the most overdue row and its lease.

A claimed row's `due_at` moves past the lease, so that a dead worker's row
comes up again by itself; `claims` fences off a worker that comes back late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Row, Table, func, insert, literal, select, union_all, update
from sqlalchemy.sql import ColumnElement

from service.schema import accounts, callbacks, deliveries, jobs, videos, workers

T = TypeVar("T")


class Claimable(Protocol):
    """A row that can be claimed."""

    @property
    def id(self) -> str: ...

    @property
    def claims(self) -> int: ...


def value(kind: type[T], row: Row[Any] | None) -> T | None:
    """The row as its value from `model`, column names being field names."""
    return None if row is None else kind(**row._mapping)


def values(kind: type[T], rows: Sequence[Row[Any]]) -> list[T]:
    """Many rows as values."""
    return [kind(**row._mapping) for row in rows]


def add(tx: Connection, table: Table, item: Any) -> None:
    """A new row from a value of `model`."""
    tx.execute(insert(table).values(asdict(item)))


def claim(
    tx: Connection,
    table: Table,
    kind: type[T],
    states: Sequence[str],
    now: datetime,
    lease: float,
    *conditions: ColumnElement[bool],
    **changes: Any,
) -> T | None:
    """The most overdue row in one of `states`, leased for `lease` seconds; None if none is due."""
    due = (
        select(table.c.id)
        .where(table.c.state.in_(states), table.c.due_at <= now, *conditions)
        .order_by(table.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True, of=table)
    )
    statement = (
        update(table)
        .where(table.c.id == due.scalar_subquery())
        .values(due_at=now + timedelta(seconds=lease), claims=table.c.claims + 1, **changes)
        .returning(*table.c)
    )
    return value(kind, tx.execute(statement).one_or_none())


def next_in_turn(
    tx: Connection,
    table: Table,
    states: Sequence[str],
    now: datetime,
    *conditions: ColumnElement[bool],
) -> str | None:
    """
    The account with something due that was served longest ago; it moves to the end.

    So a batch of ten thousand rows holds up another account by one claim only.
    """
    due = select(table.c.id).where(
        table.c.account_id == accounts.c.id,
        table.c.state.in_(states),
        table.c.due_at <= now,
        *conditions,
    )
    waiting = select(accounts.c.id).where(due.exists())
    account_id: str | None = tx.scalar(waiting.order_by(accounts.c.turn, accounts.c.id).limit(1))
    if account_id is not None:
        last = select(func.max(accounts.c.turn)).scalar_subquery()
        tx.execute(update(accounts).filter_by(id=account_id).values(turn=last + 1))
    return account_id


def settle(tx: Connection, table: Table, row: Claimable, **changes: Any) -> bool:
    """Write what became of a claimed row; False when somebody else has claimed it since."""
    statement = (
        update(table).where(table.c.id == row.id, table.c.claims == row.claims).values(**changes)
    )
    return tx.execute(statement).rowcount == 1


def due_work(tx: Connection, now: datetime) -> set[str]:
    """Which kinds of work have a row that is due."""
    questions = [
        select(literal(kind)).where(
            select(table.c.id).where(table.c.state.in_(states), table.c.due_at <= now).exists()
        )
        for kind, (table, states) in WORK.items()
    ]
    return set(tx.scalars(union_all(*questions)))


#: The kinds of work: where its rows are, and in which states they want it.
WORK: dict[str, tuple[Table, Sequence[str]]] = {
    "submit": (jobs, ("queued",)),
    "generate": (jobs, ("queued",)),
    "process": (callbacks, ("received",)),
    "reconcile": (jobs, ("submitting", "submitted", "unknown", "held")),
    "archive": (videos, ("pending",)),
    "deliver": (deliveries, ("pending",)),
}


def beat(tx: Connection, worker_id: str, now: datetime) -> None:
    """This worker is alive."""
    statement = update(workers).where(workers.c.id == worker_id).values(seen_at=now)
    if tx.execute(statement).rowcount == 0:
        tx.execute(insert(workers).values(id=worker_id, seen_at=now))


def last_beat(tx: Connection) -> datetime | None:
    """When a worker was last seen alive."""
    found: datetime | None = tx.scalar(
        select(workers.c.seen_at).order_by(workers.c.seen_at.desc()).limit(1)
    )
    return found


def forget_workers(tx: Connection, before: datetime) -> None:
    """Drop the rows of workers not seen since."""
    tx.execute(workers.delete().where(workers.c.seen_at < before))
