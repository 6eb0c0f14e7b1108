"""Events, in the order of their job and of their account's feed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from service.model import TERMINAL_EVENTS, Event, EventType, new_id
from service.store.kept_rows import keep_job
from service.store.schema import events, feeds
from service.store.statements import insert_row, take_turn, update_where
from service.store.work import call_for, value, values

#: An arbitrary, unique number; see `database.MIGRATION_LOCK`.
SEQUENCER_LOCK = 7_013_202
NUMBERED_AT_ONCE = 500

_EVENTS = select(*[events.c[field] for field in Event.__dataclass_fields__])
_BY_ID = _EVENTS.where(events.c.id == bindparam("id"))
_NEXT = select(func.coalesce(func.max(events.c.sequence), 0) + 1).where(
    events.c.job_id == bindparam("of_job")
)
_INSERT_NEXT = events.insert().values(sequence=_NEXT.scalar_subquery()).returning(events.c.sequence)
_WAITING = _EVENTS.where(events.c.feed_sequence.is_(None)).order_by(events.c.id)
_UNNUMBERED = _WAITING.limit(NUMBERED_AT_ONCE)
_NUMBER = update(events).where(events.c.id == bindparam("of_id"))
_FEEDS = select(feeds).where(feeds.c.account_id.in_(bindparam("accounts", expanding=True)))


def insert_for_job(
    tx: Connection, account_id: str, job_id: str, type_: EventType, now: datetime
) -> Event:
    """Insert a new event of a job, with the next number of its sequence."""
    keep_job(tx, job_id)
    event = Event(new_id("evt", now), account_id, job_id, type_, 0, now)
    row = _row_of(event)
    del row["sequence"]
    sequence = tx.execute(_INSERT_NEXT, {"of_job": job_id, **row}).scalar_one()
    call_for(tx, "number")
    return replace(event, sequence=sequence)


def insert(tx: Connection, event: Event) -> None:
    """Insert an event unchanged; a terminal event only if its job has none of that type yet."""
    insert_row(tx, events, _row_of(event))
    call_for(tx, "number")


def _row_of(event: Event) -> dict[str, Any]:
    ends = event.job_id is not None and event.type in TERMINAL_EVENTS
    dedup_key = f"{event.job_id}:{event.type}" if ends else event.id
    return {"dedup_key": dedup_key, **vars(event)}


def find(tx: Connection, event_id: str) -> Event | None:
    """The event with this id, or None."""
    return value(Event, tx.execute(_BY_ID, {"id": event_id}).one_or_none())


def of_ids(tx: Connection, event_ids: Collection[str]) -> dict[str, Event]:
    """The events with these ids, by id."""
    rows = tx.execute(_EVENTS.where(events.c.id.in_(event_ids))).all()
    return {event.id: event for event in values(Event, rows)}


def of_job(tx: Connection, job_id: str) -> list[Event]:
    """A job's events in order."""
    statement = _EVENTS.where(events.c.job_id == job_id).order_by(events.c.sequence)
    return values(Event, tx.execute(statement).all())


def newest(tx: Connection, account_id: str, types: Sequence[str], limit: int) -> list[Event]:
    """An account's newest real events of those types."""
    statement = _EVENTS.where(
        events.c.account_id == account_id, events.c.type.in_(types), events.c.sample.is_(False)
    )
    return values(Event, tx.execute(statement.order_by(events.c.id.desc()).limit(limit)).all())


def after(tx: Connection, account_id: str, event_id: str, limit: int) -> list[Event]:
    """An account's real events whose ids are above `event_id`, in order of their ids."""
    statement = _EVENTS.where(
        events.c.account_id == account_id, events.c.id > event_id, events.c.sample.is_(False)
    )
    return values(Event, tx.execute(statement.order_by(events.c.id).limit(limit)).all())


def number(tx: Connection) -> int:
    """
    Give the oldest unnumbered events their `seq`; returns their number.

    It needs a transaction of its own: it waits for the previous sequencer, and
    then sees what that one wrote.
    """
    take_turn(tx, SEQUENCER_LOCK)
    found = values(Event, tx.execute(_UNNUMBERED).all())
    if not found:
        return 0
    # The numbers of each account have no gap.
    accounts = {event.account_id for event in found}
    rows = tx.execute(_FEEDS, {"accounts": sorted(accounts)}).all()
    known = {row.account_id: row.last_seq for row in rows}
    last = dict.fromkeys(accounts, 0) | known
    numbers = []
    for event in sorted(found, key=lambda e: (e.created_at, e.sequence, e.id)):
        last[event.account_id] += 1
        numbers.append({"of_id": event.id, "feed_sequence": last[event.account_id]})
    tx.execute(_NUMBER, numbers)
    for account_id in sorted(accounts):
        own, changed = {"account_id": account_id}, {"last_seq": last[account_id]}
        if account_id in known:
            update_where(tx, feeds, own, **changed)
        else:
            insert_row(tx, feeds, own | changed)
    return len(found)


def feed_ends(tx: Connection, account_id: str) -> tuple[int, int]:
    """(first, last): the `seq` from which on no event is missing, and the last `seq`."""
    ends = select(feeds.c.first_seq, feeds.c.last_seq).filter_by(account_id=account_id)
    found = tx.execute(ends).one_or_none()
    return (found.first_seq, found.last_seq) if found else (1, 0)


def feed(
    tx: Connection, account_id: str, after: int, until: int, types: Sequence[str], limit: int
) -> list[Event]:
    """An account's events numbered above `after` up to `until`, of those types or, if none, all."""
    statement = _EVENTS.where(
        events.c.account_id == account_id,
        events.c.feed_sequence > after,
        events.c.feed_sequence <= until,
    )
    if types:
        statement = statement.where(events.c.type.in_(types))
    return values(Event, tx.execute(statement.order_by(events.c.feed_sequence).limit(limit)).all())
