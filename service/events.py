"""Events: a fact is recorded together with every delivery it causes."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.model import (
    ACCOUNTS_OWN,
    DEFAULT_EVENTS,
    Delivery,
    DeliveryState,
    Event,
    EventType,
    Job,
    Subscription,
    new_id,
)


def record_event(
    tx: Connection, job: Job, type_: EventType, now: datetime, wait: float = 0.0
) -> Event:
    """
    Record a fact about a job, and a delivery for everybody who wants it.

    `wait` seconds are given to the copy of the video before the first attempt.
    """
    event = store.events.insert(tx, job.account_id, job.id, type_, now)
    for subscription in _wanting(tx, job, type_):
        _add_delivery(tx, event, subscription, now, now + timedelta(seconds=wait))
    return event


def _add_delivery(
    tx: Connection, event: Event, subscription: Subscription, now: datetime, due_at: datetime
) -> None:
    store.deliveries.insert(
        tx,
        Delivery(
            id=new_id("dlv", now),
            account_id=event.account_id,
            event_id=event.id,
            job_id=event.job_id,
            subscription_id=subscription.id,
            channel=subscription.channel,
            state=DeliveryState.PENDING,
            attempts=0,
            body=None,
            claims=0,
            due_at=due_at,
            created_at=now,
            finished_at=None,
        ),
    )


def _wanting(tx: Connection, job: Job, type_: EventType) -> list[Subscription]:
    # Read again: the caller's value may be as old as a call to the provider is long.
    if store.jobs.is_muted(tx, job.id):
        return []
    candidates = [] if job.notify is None else _named(tx, job.notify)
    if job.notify is None or ACCOUNTS_OWN in job.notify:
        candidates += store.subscriptions.all_of(tx, job.account_id)
    return [s for s in candidates if s.enabled and type_ in (s.events or DEFAULT_EVENTS)]


def _named(tx: Connection, notify: list[str]) -> list[Subscription]:
    found = [store.subscriptions.find(tx, subscription_id) for subscription_id in notify]
    return [subscription for subscription in found if subscription]
