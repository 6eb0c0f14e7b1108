"""
Deliveries: claim one, make one attempt, settle by the schedule.

At least once: the attempt's row is written before the send, so a crash leaves
evidence and the lease brings the delivery up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.channels.base import SEND_SECONDS, Channel, Parcel, Receipt
from service.db import Database
from service.errors import DeliveryError
from service.messages import Notice
from service.model import (
    Attempt,
    Clock,
    Delivery,
    DeliveryState,
    Event,
    Job,
    Subscription,
)
from service.retry import LONGEST_HINT, next_attempt_at
from service.settings import Settings
from service.signing import LinkSigner, Sealer

LEASE_SECONDS = SEND_SECONDS + 15.0
INTERRUPTED = "interrupted: the worker ended during this attempt"


@dataclass(frozen=True)
class Outgoing:
    """A claimed delivery, ready to be sent."""

    delivery: Delivery
    subscription: Subscription
    parcel: Parcel


def attempt_delivery(
    db: Database,
    channels: Mapping[str, Channel],
    sealer: Sealer,
    links: LinkSigner,
    settings: Settings,
    clock: Clock,
) -> bool:
    """Make the next attempt that is due; False when there was none."""
    now = clock()
    with db.write() as tx:
        delivery = store.deliveries.claim_pending(tx, now, LEASE_SECONDS)
        if delivery is None:
            return False
        outgoing = _prepared(tx, channels, sealer, links, settings, delivery, now)
    if outgoing is None:
        return True
    try:
        result: Receipt | DeliveryError = channels[delivery.channel].send(outgoing.parcel)
    except DeliveryError as error:
        result = error
    with db.write() as tx:
        _settle(tx, settings, outgoing, result, now, clock())
    return True


def _prepared(
    tx: Connection,
    channels: Mapping[str, Channel],
    sealer: Sealer,
    links: LinkSigner,
    settings: Settings,
    delivery: Delivery,
    now: datetime,
) -> Outgoing | None:
    """Freeze the body and write the attempt down before it is made."""
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    event = store.events.find(tx, delivery.event_id)
    job = store.jobs.find(tx, delivery.job_id)
    if not (subscription and event and job and subscription.enabled):
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
        return None
    body = delivery.body
    if body is None:
        notice = make_notice(tx, links, settings, event, job)
        body = channels[delivery.channel].render(notice, subscription.format)
    number = delivery.attempts + 1
    store.deliveries.settle_claimed(tx, delivery, attempts=number, body=body)
    store.deliveries.add_attempt(tx, Attempt(delivery.id, number, None, INTERRUPTED, "", 0, now))
    parcel = Parcel(
        delivery_id=delivery.id,
        event_id=delivery.event_id,
        target=sealer.open(subscription.target),
        secrets=(sealer.open(subscription.secret),),
        body=body,
        now=now,
    )
    return Outgoing(replace(delivery, attempts=number, body=body), subscription, parcel)


def make_notice(
    tx: Connection, links: LinkSigner, settings: Settings, event: Event, job: Job
) -> Notice:
    """All that a message about this event needs."""
    video = store.videos.of_job(tx, job.id)
    link = links.url_for(video.id, video.link_expires_at) if video else None
    return Notice(event, job, video, link, settings.public_url)


def _settle(
    tx: Connection,
    settings: Settings,
    outgoing: Outgoing,
    result: Receipt | DeliveryError,
    began: datetime,
    now: datetime,
) -> None:
    delivery = outgoing.delivery
    store.deliveries.end_attempt(
        tx,
        delivery.id,
        delivery.attempts,
        status=result.status,
        error=result.message if isinstance(result, DeliveryError) else None,
        response=result.response,
        milliseconds=int((now - began).total_seconds() * 1000),
    )
    if isinstance(result, DeliveryError):
        _settle_failure(tx, settings, outgoing, result, now)
    else:
        _end(tx, delivery, DeliveryState.DELIVERED, now)
    if result.disable:
        _disable(tx, outgoing.subscription, result.disable, now)


def _settle_failure(
    tx: Connection,
    settings: Settings,
    outgoing: Outgoing,
    error: DeliveryError,
    now: datetime,
) -> None:
    delivery = outgoing.delivery
    if error.retry_after:
        wait = timedelta(seconds=min(error.retry_after, LONGEST_HINT))
        store.subscriptions.hold(tx, delivery.subscription_id, now + wait)
    due_at = next_attempt_at(settings.retry_schedule, delivery.attempts, now, error.retry_after)
    if error.permanent or due_at is None:
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
        return
    store.deliveries.settle_claimed(tx, delivery, due_at=due_at)


def _end(tx: Connection, delivery: Delivery, state: DeliveryState, now: datetime) -> None:
    store.deliveries.settle_claimed(tx, delivery, state=state, due_at=None, finished_at=now)


def _disable(tx: Connection, subscription: Subscription, reason: str, now: datetime) -> None:
    store.subscriptions.change(tx, subscription.id, enabled=False, disabled_reason=reason)
    store.deliveries.end_pending(tx, now, subscription_id=subscription.id)


def resend_delivery(tx: Connection, delivery: Delivery, now: datetime) -> None:
    """One more attempt now, with the same bytes and id under a fresh signature."""
    store.deliveries.settle_claimed(
        tx, delivery, state=DeliveryState.PENDING, due_at=now, finished_at=None
    )
