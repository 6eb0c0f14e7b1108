"""
Quarantined rows: each stops only itself, and is due again once it can be read.

A row that cannot be read, or that no worker can process, would come up first
each time and block all rows behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Row, Table, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from service.errors import DatabaseUnavailable
from service.model import Clock
from service.store.database import Database
from service.store.schema import metadata, quarantined_rows

log = logging.getLogger(__name__)

#: A due date later than any other.
FAR = timedelta(days=366)
#: The errors of decoding a damaged row: invalid JSON, an unknown state, an invalid date.
UNREADABLE = (ValueError, LookupError, TypeError)


class Claimable(Protocol):
    """A row that can be claimed."""

    @property
    def id(self) -> str: ...

    @property
    def claims(self) -> int: ...


class ClaimedRow:
    """The row in progress, once it is claimed."""

    row: Claimable | None = None


@contextmanager
def quarantine_on_error(db: Database, work: str, clock: Clock) -> Iterator[ClaimedRow]:
    """
    A unit of work on one row of the table `work`, named through `ClaimedRow.row`.

    An error inside quarantines the row and goes no further. The database's own errors
    are not the row's: they are raised, and its lease makes it due again.
    """
    claimed = ClaimedRow()
    try:
        yield claimed
    except (DatabaseUnavailable, SQLAlchemyError):
        raise
    except Exception as error:
        if claimed.row is None:
            raise
        log.exception("%s %s cannot be processed", work, claimed.row.id)
        reason = f"{type(error).__name__}: {error}"
        with db.write() as tx:
            put(tx, work, claimed.row.id, claimed.row.claims, reason, clock())


def put(tx: Connection, work: str, row_id: str, claims: int, reason: str, now: datetime) -> None:
    """Quarantine a row of the table `work`, unless it was claimed again since."""
    table = metadata.tables[work]
    # One less if the error rolled back the claim itself.
    ours = table.c.claims.in_([claims, claims - 1])
    claimed = update(table).where(table.c.id == row_id, ours)
    if tx.execute(claimed.values(due_at=None)).rowcount == 1:
        _write_down(tx, work, row_id, reason, now)


def quarantine_unreadable(
    tx: Connection,
    table: Table,
    row_ids: Sequence[str],
    before: Mapping[str, Any],
    now: datetime,
) -> None:
    """
    Quarantine the unreadable rows of a claim, and make the others due at once.

    Args:
        before: columns with the values that all rows had before the claim.
    """
    for row_id in row_ids:
        reason = _unreadable(tx, table, row_id)
        due_at = now if reason is None else None
        tx.execute(update(table).where(table.c.id == row_id).values(due_at=due_at, **before))
        if reason is not None:
            _write_down(tx, table.name, row_id, f"cannot be read: {reason}", now)


def put_unreadable(tx: Connection, work: str, row_id: str, error: Exception, now: datetime) -> None:
    """Quarantine a row of the table `work` that turned out to be unreadable."""
    table = metadata.tables[work]
    tx.execute(update(table).where(table.c.id == row_id).values(due_at=None))
    _write_down(tx, work, row_id, f"cannot be read: {error}", now)


def put_undated(tx: Connection, work: str, states: Sequence[str], now: datetime) -> None:
    """
    Quarantine rows with an invalid due date, which would never be due or found.

    A text that is not a date sorts after every date; PostgreSQL stores no such text.
    """
    table = metadata.tables[work]
    far = table.c.state.in_(states) & (table.c.due_at > now + FAR)
    for row_id in tx.scalars(select(table.c.id).where(far).limit(100)).all():
        reason = _unreadable(tx, table, row_id)
        if reason is not None:
            put_unreadable(tx, work, row_id, ValueError(reason), now)


def _write_down(tx: Connection, work: str, row_id: str, reason: str, now: datetime) -> None:
    log.error("%s %s is quarantined: %s", work, row_id, reason)
    tx.execute(delete(quarantined_rows).filter_by(work=work, row_id=row_id))
    row = {"work": work, "row_id": row_id, "reason": reason, "created_at": now}
    tx.execute(insert(quarantined_rows).values(row))


def _unreadable(tx: Connection, table: Table, row_id: str) -> str | None:
    """The reason why the row cannot be read; None if it can, or is gone."""
    try:
        tx.execute(select(table).where(table.c.id == row_id)).one_or_none()
    except UNREADABLE as error:
        return str(error)
    return None


def rows(tx: Connection) -> list[Row[Any]]:
    """The quarantined rows, oldest first: `work`, `row_id`, `reason`, `created_at`."""
    return list(tx.execute(select(quarantined_rows).order_by(quarantined_rows.c.created_at)).all())


def release(tx: Connection, before: datetime, now: datetime) -> int:
    """Make readable rows that were quarantined before a time due again; returns their number."""
    back = 0
    for aside in rows(tx):
        table = metadata.tables[aside.work]
        if aside.created_at >= before or _unreadable(tx, table, aside.row_id) is not None:
            continue
        # First: a row that another worker has released may be claimed by now, and its date a lease.
        own = delete(quarantined_rows).filter_by(work=aside.work, row_id=aside.row_id)
        if tx.execute(own).rowcount:
            tx.execute(update(table).where(table.c.id == aside.row_id).values(due_at=now))
            back += 1
    return back
