"""
Quarantined rows: each stops only itself, and is due again once it can be read.

A row that cannot be read, or that no worker can work on, would come up first
each time and keep all behind it waiting.
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

#: No date of ours lies that far ahead.
FAR = timedelta(days=366)
#: What decoding a damaged row raises: broken JSON, a word that is no state, a date that is none.
UNREADABLE = (ValueError, LookupError, TypeError)


class Claimable(Protocol):
    """A row that can be claimed."""

    @property
    def id(self) -> str: ...

    @property
    def claims(self) -> int: ...


class ClaimedRow:
    """The row under work, once it is claimed."""

    row: Claimable | None = None


@contextmanager
def quarantine_on_error(db: Database, work: str, clock: Clock) -> Iterator[ClaimedRow]:
    """
    A unit of work on one row of the table `work`, named through `ClaimedRow.row`.

    An error inside quarantines the row and ends there. The database's own errors
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
    """A row of the table `work` is due no more; nothing when it was claimed again since."""
    table = metadata.tables[work]
    # One less where the trouble took the claim itself back.
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
    Of these rows, just claimed, the unreadable are due no more, the others at once.

    Args:
        before: columns with the values that all of them had before the claim.
    """
    for row_id in row_ids:
        reason = _unreadable(tx, table, row_id)
        due_at = now if reason is None else None
        tx.execute(update(table).where(table.c.id == row_id).values(due_at=due_at, **before))
        if reason is not None:
            _write_down(tx, table.name, row_id, f"cannot be read: {reason}", now)


def put_unreadable(tx: Connection, work: str, row_id: str, error: Exception, now: datetime) -> None:
    """A row of the table `work` that turned out to be unreadable is due no more."""
    table = metadata.tables[work]
    tx.execute(update(table).where(table.c.id == row_id).values(due_at=None))
    _write_down(tx, work, row_id, f"cannot be read: {error}", now)


def put_undated(tx: Connection, work: str, states: Sequence[str], now: datetime) -> None:
    """
    Rows whose due date is none are never due, and so would never be found: quarantined.

    A text that is no date sorts behind every date; on PostgreSQL there is none.
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
    """Why that row cannot be read; None when it can, or is gone."""
    try:
        tx.execute(select(table).where(table.c.id == row_id)).one_or_none()
    except UNREADABLE as error:
        return str(error)
    return None


def rows(tx: Connection) -> list[Row[Any]]:
    """The rows that are quarantined, oldest first: `work`, `row_id`, `reason`, `created_at`."""
    return list(tx.execute(select(quarantined_rows).order_by(quarantined_rows.c.created_at)).all())


def release(tx: Connection, before: datetime, now: datetime) -> int:
    """Rows quarantined before then are due again if they can be read; how many they were."""
    back = 0
    for aside in rows(tx):
        table = metadata.tables[aside.work]
        if aside.created_at >= before or _unreadable(tx, table, aside.row_id) is not None:
            continue
        # First: what another worker has released may be claimed by now, and its date a lease.
        own = delete(quarantined_rows).filter_by(work=aside.work, row_id=aside.row_id)
        if tx.execute(own).rowcount:
            tx.execute(update(table).where(table.c.id == aside.row_id).values(due_at=now))
            back += 1
    return back
