"""
Claiming: one statement takes the most overdue row and its lease.

A claimed row's `due_at` moves past the lease, so that a dead worker's row
becomes due again by itself; `claims` blocks a worker that continues too late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Integer,
    Row,
    Select,
    Table,
    bindparam,
    func,
    insert,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.sql import ColumnElement

from service.slots import Slot
from service.store.quarantine import UNREADABLE, Claimable, quarantine_unreadable
from service.store.schema import (
    Moment,
    accounts,
    callbacks,
    deliveries,
    events,
    jobs,
    subscriptions,
    videos,
    workers,
)
from service.store.statements import insert_row, update_where

T = TypeVar("T")


def value(kind: type[T], row: Row[Any] | None) -> T | None:
    """The row as a value of `model`; column names are field names."""
    return None if row is None else kind(**row._mapping)


def values(kind: type[T], rows: Sequence[Row[Any]]) -> list[T]:
    """Many rows as values."""
    return [kind(**row._mapping) for row in rows]


def readable(tx: Connection, statement: Select[Any], kind: type[T]) -> list[T]:
    """The rows of a statement over one table, without those that cannot be read."""
    return values(kind, [row for _, row in _rows_by_id(tx, statement) if row is not None])


class Page(list[T]):
    """Rows, newest first; `older` is the id after which the next page begins, None on the last."""

    def __init__(self, rows: Sequence[T], older: str | None) -> None:
        super().__init__(rows)
        self.older = older


def newest_page(
    tx: Connection, statement: Select[Any], kind: type[T], limit: int, before: str | None
) -> Page[T]:
    """
    The newest rows of a statement over one table, without those that cannot be read.

    Args:
        limit: the most rows of the page; unreadable ones count.
        before: only rows that are older than the one of this id.
    """
    key = statement.selected_columns.id
    if before is not None:
        statement = statement.where(key < before)
    return _page(tx, statement.order_by(key.desc()), kind, limit)


def oldest_page(
    tx: Connection, statement: Select[Any], kind: type[T], limit: int, after: str | None
) -> Page[T]:
    """The oldest rows after the id `after`; `older` is the last id of the page, None at the end."""
    key = statement.selected_columns.id
    if after is not None:
        statement = statement.where(key > after)
    return _page(tx, statement.order_by(key), kind, limit)


def _page(tx: Connection, ordered: Select[Any], kind: type[T], limit: int) -> Page[T]:
    found = _rows_by_id(tx, ordered.limit(limit + 1))
    last = found[limit - 1][0] if len(found) > limit else None
    return Page(values(kind, [row for _, row in found[:limit] if row is not None]), last)


def _rows_by_id(tx: Connection, statement: Select[Any]) -> list[tuple[str, Row[Any] | None]]:
    """The id of each row with the row itself, None if that cannot be read."""
    try:
        return [(row.id, row) for row in tx.execute(statement).all()]
    except UNREADABLE:
        key = statement.selected_columns.id
        ids = tx.scalars(statement.with_only_columns(key)).all()
        one = select(*statement.selected_columns)
        return [(id_, _if_readable(tx, one.where(key == id_))) for id_ in ids]


def _if_readable(tx: Connection, statement: Select[Any]) -> Row[Any] | None:
    try:
        return tx.execute(statement).one_or_none()
    except UNREADABLE:
        return None


#: Counts that are only shown stop here.
MOST_COUNTED = 10_000


def count_each(tx: Connection, statements: Mapping[str, Select[Any]]) -> dict[str, int]:
    """The number of rows of each statement, at most `MOST_COUNTED` + 1, by name, zeros included."""
    counted = [
        select(literal(str(name)), func.count()).select_from(one.limit(MOST_COUNTED + 1).subquery())
        for name, one in statements.items()
    ]
    return {name: count for name, count in tx.execute(union_all(*counted)) if count}


def add(tx: Connection, table: Table, item: Any) -> None:
    """Insert a row from a value of `model`."""
    insert_row(tx, table, vars(item))


NOW = bindparam("now", type_=Moment())
_UNTIL = bindparam("until", type_=Moment())


class Claim(Generic[T]):
    """
    Claims the most overdue rows of a table, with statements that are built once.

    Args:
        kind: the value of `model` that such a row becomes.
        states: the states of rows that need work.
        conditions: further conditions, whose parameters are given to each claim.
        changes: further columns that a claim sets.
    """

    def __init__(
        self,
        table: Table,
        kind: type[T],
        states: Sequence[str],
        *conditions: ColumnElement[bool],
        **changes: Any,
    ) -> None:
        self._table = table
        self._kind = kind
        # As if never claimed: a job that was not sent must not look as if it was.
        self._before = {"state": states[0]} if "state" in changes else {}
        self._due = (
            select(table.c.id)
            .where(table.c.state.in_(states), table.c.due_at <= NOW, *conditions)
            .order_by(table.c.due_at)
            .limit(bindparam("limit", type_=Integer()))
            # No stronger than an update's lock: others can still add rows that refer to
            # this one.
            .with_for_update(skip_locked=True, key_share=True, of=table)
        )
        self._lease = (
            update(table)
            .where(table.c.id.in_(bindparam("ids", expanding=True)))
            .values(due_at=_UNTIL, claims=table.c.claims + 1, **changes)
            .returning(*table.c)
        )

    def one(self, tx: Connection, now: datetime, lease: float, **given: Any) -> T | None:
        """The most overdue row, leased for `lease` seconds; None if none is due."""
        found = self.many(tx, now, lease, 1, **given)
        return found[0] if found else None

    def many(
        self, tx: Connection, now: datetime, lease: float, limit: int, **given: Any
    ) -> list[T]:
        """
        The most overdue rows, no more than `limit`, all leased for `lease` seconds.

        Their ids are read first: an unreadable row is identified by its id, never by a
        date that another row may share. It is quarantined, and then nothing is
        claimed: ask again.
        """
        row_ids = tx.scalars(self._due, {"now": now, "limit": limit, **given}).all()
        if not row_ids:
            return []
        leased = {"ids": row_ids, "until": now + timedelta(seconds=lease)}
        try:
            return values(self._kind, tx.execute(self._lease, leased).all())
        except UNREADABLE:
            quarantine_unreadable(tx, self._table, row_ids, self._before, now)
            return []


#: Accounts that may have another slot; see `Slot.full`.
NOT_FULL = accounts.c.id.not_in(bindparam("full", expanding=True))


class Turns:
    """
    Serves accounts with due rows in turn, so that a batch of ten thousand rows delays another
    account by one claim only.
    """

    def __init__(
        self, table: Table, states: Sequence[str], *conditions: ColumnElement[bool]
    ) -> None:
        due = select(table.c.id).where(
            table.c.account_id == accounts.c.id,
            table.c.state.in_(states),
            table.c.due_at <= NOW,
            *conditions,
        )
        self._waiting = (
            select(accounts.c.id)
            .where(due.exists(), NOT_FULL)
            .order_by(accounts.c.last_served, accounts.c.id)
            .limit(2)
        )

    def take(self, tx: Connection, now: datetime, slot: Slot, **given: Any) -> str | None:
        """The account that was served longest ago, of those that may have the slot."""
        account_id, others_wait = give_slot(tx, self._waiting, slot, {"now": now, **given})
        if account_id is not None and others_wait:
            mark_served(tx, account_id)
        return account_id


def give_slot(
    tx: Connection, waiting: Select[Any], slot: Slot, given: Mapping[str, Any]
) -> tuple[str | None, bool]:
    """
    Give the slot to the first account of a statement.

    Args:
        waiting: selects the first two accounts with due rows, of those that are `NOT_FULL`.

    Returns:
        The account, and whether others wait, so that it must be marked as served.
    """
    while account_ids := tx.scalars(waiting, {**given, "full": slot.full()}).all():
        if slot.take(account_ids[0]):
            return str(account_ids[0]), len(account_ids) > 1
        # Other threads of this account were faster: now it is full.
    return None, False


_OWN = accounts.c.id == bindparam("of_id")
_LAST_SERVED = (
    update(accounts)
    # An account that is served at this moment is moved by its server: no wait here.
    .where(
        accounts.c.id.in_(
            select(accounts.c.id).where(_OWN).with_for_update(skip_locked=True, key_share=True)
        )
    )
    .values(last_served=select(func.max(accounts.c.last_served)).scalar_subquery() + 1)
)


def mark_served(tx: Connection, account_id: str) -> None:
    """Mark this account as served now, so that it is the last in turn."""
    tx.execute(_LAST_SERVED, {"of_id": account_id})


def call_for(tx: Connection, kind: str, rows: int = 1) -> None:
    """After the commit, wake slots for `rows` due rows of this kind of work."""
    if rows:
        tx.info.setdefault("due", Counter())[kind] += rows


def settle(tx: Connection, table: Table, row: Claimable, **changes: Any) -> bool:
    """Store the result of a claimed row; False if somebody else has claimed it since."""
    return update_where(tx, table, {"id": row.id, "claims": row.claims}, **changes) == 1


def kinds_due(tx: Connection, now: datetime) -> set[str]:
    """The kinds of work with a due row."""
    return set(tx.scalars(_kinds_due(), {"now": now}))


@cache
def _kinds_due() -> CompoundSelect[tuple[str]]:
    questions = [
        select(literal(kind)).where(
            select(table.c.id).where(table.c.state.in_(states), table.c.due_at <= NOW).exists()
        )
        for kind, (table, states) in WORK.items()
    ]
    # Two kinds have no due date, and one has another besides.
    slow = select(subscriptions.c.id).where(subscriptions.c.slow_until > NOW)
    unnumbered = select(events.c.id).where(events.c.feed_sequence.is_(None))
    late = select(jobs.c.id).where(jobs.c.cancel_at <= NOW, jobs.c.state.in_(UNSENT))
    questions.append(select(literal("reconcile")).where(late.exists()))
    questions.append(select(literal("deliver_slow")).where(slow.exists()))
    questions.append(select(literal("number")).where(unnumbered.exists()))
    return union_all(*questions)


#: The states of jobs that `cancel_after` still cancels.
UNSENT = ("queued", "held")

#: The kinds of work, with the table and the states of their rows.
WORK: dict[str, tuple[Table, Sequence[str]]] = {
    "submit": (jobs, ("queued",)),
    "generate": (jobs, ("queued",)),
    "process": (callbacks, ("received",)),
    "poll": (jobs, ("submitted", "unknown")),
    "reconcile": (jobs, ("submitting", "unknown", "held")),
    "archive": (videos, ("pending",)),
    "remove": (videos, ("deleted",)),
    "deliver": (deliveries, ("pending",)),
}


#: The prefix of the ids of web processes: they only report their secret keys here.
WEB = "web:"
WORKERS_ONLY = ~workers.c.id.startswith(WEB)


def beat(
    tx: Connection,
    worker_id: str,
    now: datetime,
    *,
    offset: timedelta = timedelta(0),
    key_ids: str = "",
) -> None:
    """
    Store a worker's heartbeat; its machine's clock is `offset` behind the database's.

    `key_ids` are the ids of its secret keys, newest first.
    """
    row = {"seen_at": now, "clock_offset": offset.total_seconds(), "key_ids": key_ids}
    statement = update(workers).where(workers.c.id == worker_id).values(**row)
    if tx.execute(statement).rowcount == 0:
        tx.execute(insert(workers).values(id=worker_id, **row))


def wrong_clocks(
    tx: Connection, seen_after: datetime, tolerance: timedelta
) -> list[tuple[str, float]]:
    """Workers since a time whose clocks differ by more than `tolerance`: ids and seconds behind."""
    wrong = func.abs(workers.c.clock_offset) > tolerance.total_seconds()
    statement = select(workers.c.id, workers.c.clock_offset)
    found = tx.execute(statement.where(workers.c.seen_at >= seen_after, wrong))
    return [(worker_id, offset) for worker_id, offset in found]


def other_keys(tx: Connection, seen_after: datetime, key_ids: str) -> list[str]:
    """The ids of workers and web processes since a time that run with other secret keys."""
    other = workers.c.key_ids.not_in([key_ids, ""])
    statement = select(workers.c.id).where(workers.c.seen_at >= seen_after, other)
    return list(tx.execute(statement.order_by(workers.c.id)).scalars())


def last_beat(tx: Connection, before: datetime | None = None) -> datetime | None:
    """The last heartbeat of any worker, not after `before` if given; None if there is none."""
    statement = select(workers.c.seen_at).where(WORKERS_ONLY)
    statement = statement.order_by(workers.c.seen_at.desc()).limit(1)
    if before is not None:
        statement = statement.where(workers.c.seen_at <= before)
    found: datetime | None = tx.scalar(statement)
    return found


def forget_workers(tx: Connection, before: datetime) -> None:
    """Delete the rows of workers without a heartbeat since a time."""
    tx.execute(workers.delete().where(workers.c.seen_at < before))
