"""Events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from service.model import TERMINAL_EVENTS, Event, EventType, new_id
from service.schema import events, jobs
from service.store.work import value, values


def insert(tx: Connection, account_id: str, job_id: str, type_: EventType, now: datetime) -> Event:
    """A new event, next in its job's sequence."""
    tx.execute(select(jobs.c.id).filter_by(id=job_id).with_for_update(key_share=True))
    last = tx.scalar(select(func.max(events.c.sequence)).filter_by(job_id=job_id)) or 0
    event = Event(new_id("evt", now), account_id, job_id, type_, last + 1, now)
    once = job_id if type_ in TERMINAL_EVENTS else event.id
    row = {field: getattr(event, field) for field in Event.__dataclass_fields__}
    tx.execute(events.insert().values(once=once, **row))
    return event


def find(tx: Connection, event_id: str) -> Event | None:
    """The event of that id."""
    return value(Event, tx.execute(_events().where(events.c.id == event_id)).one_or_none())


def of_job(tx: Connection, job_id: str) -> list[Event]:
    """A job's events in order."""
    statement = _events().where(events.c.job_id == job_id).order_by(events.c.sequence)
    return values(Event, tx.execute(statement).all())


def newest(tx: Connection, account_id: str, types: list[str], limit: int) -> list[Event]:
    """An account's newest events of those types."""
    statement = _events().where(events.c.account_id == account_id, events.c.type.in_(types))
    return values(Event, tx.execute(statement.order_by(events.c.id.desc()).limit(limit)).all())


def _events() -> Select[Any]:
    return select(*[events.c[field] for field in Event.__dataclass_fields__])
