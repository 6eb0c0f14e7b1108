"""
Deliveries: claim one, make one attempt, settle by the schedule.

At least once: the attempt's row is written before the send, so a crash leaves
evidence and the lease brings the delivery up again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.channels.base import SEND_SECONDS, Channel, Parcel, Receipt
from service.db import Database
from service.errors import ClipbellError, Conflict, DeliveryError, NotFound
from service.messages import Notice
from service.model import (
    Attempt,
    Clock,
    Delivery,
    DeliveryState,
    Subscription,
    Video,
)
from service.retry import bounded, next_attempt_at
from service.settings import Settings
from service.signing import LinkSigner, Sealer, UnsubscribeSigner
from service.storage import FileStorage

log = logging.getLogger(__name__)

LEASE_SECONDS = SEND_SECONDS + 15.0
INTERRUPTED = "interrupted: the worker ended during this attempt"


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
        claimed = store.deliveries.claim_pending(tx, now, LEASE_SECONDS)
        if claimed is None:
            return False
        delivery = _begun(tx, claimed, now)
    if delivery is not None:
        result = _attempt(db, post, delivery, now)
        with db.write() as tx:
            _settle(tx, post.settings, delivery, result, now, clock())
    return True


def _begun(tx: Connection, delivery: Delivery, now: datetime) -> Delivery | None:
    """The attempt written down before it is made; None for a subscription that is off."""
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    if subscription is None or not subscription.enabled:
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
        return None
    number = delivery.attempts + 1
    store.deliveries.settle_claimed(tx, delivery, attempts=number)
    store.deliveries.add_attempt(tx, Attempt(delivery.id, number, None, INTERRUPTED, "", 0, now))
    return replace(delivery, attempts=number)


def _attempt(
    db: Database, post: Post, delivery: Delivery, now: datetime
) -> Receipt | DeliveryError:
    """Whatever goes wrong is this attempt's failure: no row may stop those behind it."""
    try:
        parcel = _packed(db, post, delivery, now)
        return post.channels[delivery.channel].send(parcel)
    except DeliveryError as error:
        return error
    except KeyError:
        return DeliveryError(f"the channel {delivery.channel} is not set up on this server")
    except (ClipbellError, OSError) as error:
        return DeliveryError(f"the message could not be made: {error}")
    except Exception as error:
        log.exception("delivery %s cannot be made", delivery.id)
        return DeliveryError(f"the message could not be made: {type(error).__name__}")


def _packed(db: Database, post: Post, delivery: Delivery, now: datetime) -> Parcel:
    """The parcel of this attempt; its body is frozen before it is first sent."""
    with db.write() as tx:
        subscription = store.subscriptions.find(tx, delivery.subscription_id)
        if subscription is None:
            raise NotFound("its subscription is gone")
        body = delivery.body
        if body is None:
            body = _rendered(tx, post, delivery, subscription, now)
            store.deliveries.settle_claimed(tx, delivery, body=body)
    return Parcel(
        delivery_id=delivery.id,
        event_id=delivery.event_id,
        target=post.sealer.open(subscription.target),
        secrets=(post.sealer.open(subscription.secret),),
        body=body,
        now=now,
    )


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
    delivery: Delivery,
    result: Receipt | DeliveryError,
    began: datetime,
    now: datetime,
) -> None:
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
        _settle_failure(tx, settings, delivery, result, now)
    else:
        _end(tx, delivery, DeliveryState.DELIVERED, now)
    if result.disable:
        _disable(tx, delivery.subscription_id, result.disable, now)


def _settle_failure(
    tx: Connection,
    settings: Settings,
    delivery: Delivery,
    error: DeliveryError,
    now: datetime,
) -> None:
    if error.retry_after:
        wait = timedelta(seconds=bounded(error.retry_after))
        store.subscriptions.hold(tx, delivery.subscription_id, now + wait)
    due_at = next_attempt_at(settings.retry_schedule, delivery.attempts, now, error.retry_after)
    if error.permanent or due_at is None:
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
        return
    store.deliveries.settle_claimed(tx, delivery, due_at=due_at)


def _end(tx: Connection, delivery: Delivery, state: DeliveryState, now: datetime) -> None:
    store.deliveries.settle_claimed(tx, delivery, state=state, due_at=None, finished_at=now)


def _disable(tx: Connection, subscription_id: str, reason: str, now: datetime) -> None:
    store.subscriptions.change(tx, subscription_id, enabled=False, disabled_reason=reason)
    store.deliveries.end_pending(tx, now, subscription_id=subscription_id)


def resend_delivery(tx: Connection, delivery: Delivery, now: datetime) -> None:
    """
    One more attempt now, with the same bytes and id under a fresh signature.

    Raises:
        Conflict: the subscription is off.
    """
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    if subscription is None or not subscription.enabled:
        reason = subscription.disabled_reason if subscription else "it is gone"
        raise Conflict(f"the subscription is off ({reason}): enable it, then resend")
    store.deliveries.settle_claimed(
        tx, delivery, state=DeliveryState.PENDING, due_at=now, finished_at=None
    )
