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
from service.errors import DeliveryError, NotFound
from service.messages import Notice
from service.model import (
    Attempt,
    Clock,
    Delivery,
    DeliveryState,
    Subscription,
    Video,
)
from service.retry import LONGEST_HINT, next_attempt_at
from service.settings import Settings
from service.signing import LinkSigner, Sealer, UnsubscribeSigner
from service.storage import FileStorage

LEASE_SECONDS = SEND_SECONDS + 15.0
INTERRUPTED = "interrupted: the worker ended during this attempt"


@dataclass(frozen=True)
class Outgoing:
    """A claimed delivery, ready to be sent."""

    delivery: Delivery
    subscription: Subscription
    parcel: Parcel


@dataclass(frozen=True)
class Post:
    """What turns an event into a message; one per process."""

    channels: Mapping[str, Channel]
    sealer: Sealer
    links: LinkSigner
    unsubscribe: UnsubscribeSigner
    storage: FileStorage
    settings: Settings


def attempt_delivery(db: Database, post: Post, clock: Clock) -> bool:
    """Make the next attempt that is due; False when there was none."""
    now = clock()
    with db.write() as tx:
        delivery = store.deliveries.claim_pending(tx, now, LEASE_SECONDS)
        if delivery is None:
            return False
        outgoing = _prepared(tx, post, delivery, now)
    if outgoing is None:
        return True
    try:
        result: Receipt | DeliveryError = post.channels[delivery.channel].send(outgoing.parcel)
    except DeliveryError as error:
        result = error
    with db.write() as tx:
        _settle(tx, post.settings, outgoing, result, now, clock())
    return True


def _prepared(tx: Connection, post: Post, delivery: Delivery, now: datetime) -> Outgoing | None:
    """Freeze the body and write the attempt down before it is made."""
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    if subscription is None or not subscription.enabled:
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
        return None
    body = delivery.body
    if body is None:
        body = _rendered(tx, post, delivery, subscription, now)
    number = delivery.attempts + 1
    store.deliveries.settle_claimed(tx, delivery, attempts=number, body=body)
    store.deliveries.add_attempt(tx, Attempt(delivery.id, number, None, INTERRUPTED, "", 0, now))
    parcel = Parcel(
        delivery_id=delivery.id,
        event_id=delivery.event_id,
        target=post.sealer.open(subscription.target),
        secrets=(post.sealer.open(subscription.secret),),
        body=body,
        now=now,
    )
    return Outgoing(replace(delivery, attempts=number, body=body), subscription, parcel)


def _rendered(
    tx: Connection, post: Post, delivery: Delivery, subscription: Subscription, now: datetime
) -> bytes:
    event = store.events.find(tx, delivery.event_id)
    job = store.jobs.find(tx, delivery.job_id)
    if event is None or job is None:
        raise NotFound(f"delivery {delivery.id} has lost its event")
    channel = post.channels[delivery.channel]
    video = store.videos.of_job(tx, job.id)
    until = now + timedelta(seconds=post.settings.link_ttl)
    notice = Notice(
        event=event,
        job=job,
        video=video,
        link=post.links.url_for(video.id, video.link_expires_at) if video else None,
        public_url=post.settings.public_url,
        unsubscribe_url=post.unsubscribe.url_for(subscription.id, until),
        poster=_poster(post.storage, video) if channel.carries_poster else None,
    )
    return channel.render(notice, subscription.format)


def _poster(storage: FileStorage, video: Video | None) -> bytes | None:
    if video is None or not video.poster_file:
        return None
    return storage.path(video.poster_file).read_bytes()


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
