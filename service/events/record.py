"""The recording of events, together with their deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service import store
from service.events.samples import sample_event
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
from service.model.delivery_json import TriggeredJson
from service.store.database import Database


def record_event(
    tx: Connection, job: Job, type_: EventType, now: datetime, wait: float = 0.0
) -> Event:
    """
    Record an event of a job, and a delivery for each subscription that wants it.

    Args:
        wait: seconds that the copy of the video gets before the first attempt.
    """
    event = store.events.insert_for_job(tx, job.account_id, job.id, type_, now)
    # Read again: during a call to the provider, the caller's value may have become old.
    if store.jobs.is_muted(tx, job.id):
        return event
    named = [store.subscriptions.find(tx, subscription_id) for subscription_id in job.notify or ()]
    candidates = [subscription for subscription in named if subscription]
    if names_own(job):
        candidates += store.subscriptions.all_of(tx, job.account_id)
    _tell(tx, event, candidates, job, now + timedelta(seconds=wait))
    return event


def record_about(
    tx: Connection,
    account_id: str,
    type_: EventType,
    about: dict[str, Any],
    now: datetime,
    besides: Iterable[Subscription] = (),
) -> Event:
    """Record an event without a job, for the account's subscriptions and those in `besides`."""
    event = Event(new_id("evt", now), account_id, None, type_, 1, now, about=about)
    store.events.insert(tx, event)
    everybody = [*store.subscriptions.all_of(tx, account_id), *besides]
    _tell(tx, event, everybody, None, now)
    return event


def record_sample(tx: Connection, account_id: str, type_: EventType, now: datetime) -> Event:
    """Record a sample, which is delivered like a real event; filters by job don't apply."""
    event = sample_event(account_id, type_, now)
    store.events.insert(tx, event)
    _tell(tx, event, store.subscriptions.all_of(tx, account_id), None, now)
    return event


def trigger_sample(
    tx: Connection, account_id: str, type_: EventType, now: datetime
) -> TriggeredJson:
    """Record a sample, and return it with its deliveries."""
    sample = record_sample(tx, account_id, type_, now)
    page = store.deliveries.page(tx, account_id, 1000, event_id=sample.id)
    return {"id": sample.id, "type": type_, "deliveries": [delivery.id for delivery in page]}


def wants(subscription: Subscription, type_: EventType, job: Job | None) -> bool:
    """Whether the subscription wants this type of event and, if there is a job, such a job."""
    if type_ not in (subscription.events or DEFAULT_EVENTS):
        return False
    if job is None:
        return True
    if job.events is not None and type_ not in job.events:
        return False
    if subscription.models and job.model not in subscription.models:
        return False
    for name, wished in subscription.metadata.items():
        own = job.metadata.get(name)
        # Compared as JSON: true is not 1.
        same = own == wished and isinstance(own, bool) is isinstance(wished, bool)
        if name not in job.metadata or not same:
            return False
    return True


def _tell(
    tx: Connection,
    event: Event,
    candidates: Iterable[Subscription],
    job: Job | None,
    due_at: datetime,
) -> None:
    for subscription in candidates:
        if subscription.enabled and wants(subscription, event.type, job):
            add_delivery(tx, event, subscription, event.created_at, due_at)


def add_delivery(
    tx: Connection, event: Event, subscription: Subscription, now: datetime, due_at: datetime
) -> None:
    """Insert a delivery of this event to a subscription, first due at `due_at`."""
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


def names_own(job: Job) -> bool:
    """Whether the account's own subscriptions get events of this job."""
    return job.notify is None or ACCOUNTS_OWN in job.notify


def number_events(db: Database) -> bool:
    """
    Give committed events their numbers in their account's feed; False if there were none.

    There is one sequencer at a time in all processes: an event gets a number only after those
    below it are visible, so that a reader skips nothing.
    """
    with db.write() as tx:
        return store.events.number(tx) > 0
