"""
Redelivery by hand: of one delivery, of a job's final event, or of all missed events.

A resend has the event's id and bytes with a new signature. It is one attempt,
also to a disabled subscription, and does not count for an endpoint's health.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.deliveries.subscriptions import REMOVED, UNSUBSCRIBED
from service.errors import Conflict, TooOften
from service.events.record import add_delivery, names_own, wants
from service.model import (
    TERMINAL_EVENTS,
    Clock,
    Delivery,
    DeliveryState,
    Event,
    Job,
    Subscription,
    first_id,
)
from service.store.database import Database

log = logging.getLogger(__name__)

#: The most resends of one account in a minute.
RESENDS = 60
MINUTE = timedelta(minutes=1)
#: Events that one transaction of a recovery looks at.
RECOVERED_AT_ONCE = 500


def resend_delivery(tx: Connection, delivery: Delivery, now: datetime) -> None:
    """
    Make one more attempt now, with the same bytes and id and a new signature.

    Raises:
        Conflict: the recipient or the account ended it, the job's data was deleted, or an
            attempt is in progress.
        TooOften: more than `RESENDS` within a minute.
    """
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    reason = subscription.disabled_reason if subscription else REMOVED
    if reason in (UNSUBSCRIBED, REMOVED):
        raise Conflict(f"the subscription is {reason}: nothing more is sent to it")
    job = store.jobs.find(tx, delivery.job_id) if delivery.job_id is not None else None
    if job is not None and job.is_erased:
        raise Conflict(f"the data of {job.id} was deleted: there is nothing left to send")
    # Transactions that count the account's resends run one after the other.
    store.accounts.lock(tx, delivery.account_id)
    # Read again: a worker may start an attempt, or somebody else resend it, at this moment.
    delivery = store.deliveries.lock(tx, delivery.id) or delivery
    leased = delivery.leased_until is not None and delivery.leased_until > now
    if delivery.resending is not None or leased:
        raise Conflict("an attempt at this delivery is in progress: wait until it ends")
    if store.deliveries.resent_since(tx, delivery.account_id, now - MINUTE) >= RESENDS:
        raise TooOften(f"more than {RESENDS} resends a minute: use recover for many", 60)
    again = {"state": DeliveryState.PENDING, "due_at": now, "finished_at": None}
    store.deliveries.update_claimed(tx, delivery, **again, resending=delivery.state, resent_at=now)
    log.info("delivery resent by hand", extra={"delivery_id": delivery.id})


def redeliver_final_event(tx: Connection, job: Job, now: datetime) -> list[str]:
    """
    Resend the final event of a job to each subscription that has a delivery of it.

    Returns:
        One string per delivery: blank if it is resent, else the reason why not.

    Raises:
        Conflict: the final event has no delivery, or the job is not finished.
    """
    ends = {e.id for e in store.events.of_job(tx, job.id) if e.type in TERMINAL_EVENTS}
    found = [d for d in store.deliveries.of_job(tx, job.id) if d.event_id in ends]
    if not found:
        message = "no subscription wants its final event" if ends else f"the job is {job.state}"
        raise Conflict(message)
    refusals = []
    for delivery in found:
        try:
            resend_delivery(tx, delivery, now)
            refusals.append("")
        except (Conflict, TooOften) as error:
            refusals.append(str(error))
    return refusals


@dataclass(frozen=True)
class Recovery:
    """
    A request to deliver the failed events since a time to a subscription again.

    Args:
        missing: also events that match it but were never sent to it, such as
            those from before its creation.
        dry_run: only count them.
    """

    since: datetime
    missing: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Recovered:
    """The number of requeued deliveries, and the event to continue after; None at the end."""

    count: int
    next_event: str | None


def recover_subscription(
    tx: Connection,
    subscription: Subscription,
    wanted: Recovery,
    now: datetime,
    after: str | None = None,
    at_once: int = RECOVERED_AT_ONCE,
) -> Recovered:
    """
    Requeue the events that this subscription did not get: one page of the events since a time.

    A pending delivery stays as it is; an exhausted one starts its schedule again.
    Events of muted jobs are not sent.

    Args:
        after: the `next_event` of the previous page.
        at_once: the number of events of a page.

    Raises:
        Conflict: the subscription is disabled.
    """
    # Locks it: a second recovery at the same time sees the deliveries of the first.
    subscription = store.subscriptions.lock(tx, subscription.id) or subscription
    if not subscription.enabled:
        raise Conflict("the subscription is disabled: enable it, then recover")
    start = after or first_id("evt", wanted.since)
    found = store.events.after(tx, subscription.account_id, start, at_once + 1)
    page = found[:at_once]
    known = store.deliveries.of_events(tx, subscription.id, [event.id for event in page])
    count = 0
    for event in page:
        count += _recover_event(tx, event, subscription, known.get(event.id), wanted, now)
    return Recovered(count, page[-1].id if len(found) > len(page) else None)


def recover_since(
    db: Database,
    subscription: Subscription,
    wanted: Recovery,
    clock: Clock,
    at_once: int = RECOVERED_AT_ONCE,
) -> int:
    """Requeue all pages, each in a transaction. Returns the number of deliveries."""
    count, after, more = 0, None, True
    while more:
        with db.write() as tx:
            done = recover_subscription(tx, subscription, wanted, clock(), after, at_once)
        count, after, more = count + done.count, done.next_event, done.next_event is not None
    return count


def _recover_event(
    tx: Connection,
    event: Event,
    subscription: Subscription,
    delivery: Delivery | None,
    wanted: Recovery,
    now: datetime,
) -> bool:
    """Requeue an event that the subscription did not get; False if there is nothing to do."""
    is_open = wanted.missing if delivery is None else delivery.state is DeliveryState.EXHAUSTED
    if not is_open:
        return False
    job = store.jobs.find(tx, event.job_id) if event.job_id is not None else None
    if job is not None and job.muted:
        return False
    if delivery is None:
        if event.job_id is not None and (job is None or not names_own(job)):
            return False
        fits = wants(subscription, event.type, job)
        if fits and not wanted.dry_run:
            add_delivery(tx, event, subscription, now, now)
        return fits
    if wanted.dry_run:
        return True
    again = {
        "state": DeliveryState.PENDING,
        "due_at": now,
        "finished_at": None,
        "scheduled_attempts": 0,
    }
    return store.deliveries.update_claimed(tx, delivery, **again)
