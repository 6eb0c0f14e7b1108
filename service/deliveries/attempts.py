"""
Deliveries: claim one, make one attempt, settle by the schedule.

At least once: the attempt's row is written before the send, so a crash leaves
evidence and the lease brings the delivery up again.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.channels.base import SEND_SECONDS, DeliveryRequest, DeliveryResult
from service.deliveries import endpoint_health
from service.deliveries.notification import NotificationContext, build_notification
from service.deliveries.subscriptions import secrets_of
from service.errors import ClipbellError, DeliveryError, NotFound
from service.model import Attempt, Clock, Delivery, DeliveryState, Subscription
from service.retry import next_attempt_at
from service.store.database import Database
from service.store.quarantine import quarantine_on_error

log = logging.getLogger(__name__)

LEASE_SECONDS = SEND_SECONDS + 15.0
INTERRUPTED = "interrupted: the worker ended during this attempt"

Result = DeliveryResult | DeliveryError


def attempt_delivery(
    db: Database, context: NotificationContext, clock: Clock, *, slow: bool = False
) -> bool:
    """Make the next attempt that is due in this lane; False when there was none."""
    now = clock()
    with quarantine_on_error(db, "deliveries", clock) as claimed:
        with db.write() as tx:
            row = claimed.row = store.claims.claim_pending(tx, now, LEASE_SECONDS, slow=slow)
            if row is None:
                return False
            delivery = _begun(tx, context, row, now)
        if delivery is not None:
            result = _attempt(db, context, delivery, now)
            with db.write() as tx:
                _settle(tx, context, delivery, result, now, clock())
    return True


def _begun(
    tx: Connection, context: NotificationContext, delivery: Delivery, now: datetime
) -> Delivery | None:
    """The attempt written down before it is made; None for a subscription that is off."""
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    by_hand = delivery.resending is not None
    if subscription is None or not (subscription.enabled or by_hand):
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
        return None
    channel = context.channels.get(delivery.channel)
    if channel is not None and channel.min_interval:
        endpoint_health.pause(tx, subscription.id, channel.min_interval, now)
    number, scheduled_attempts = delivery.attempts + 1, delivery.scheduled_attempts + (not by_hand)
    store.deliveries.update_claimed(
        tx, delivery, attempts=number, scheduled_attempts=scheduled_attempts
    )
    attempt = Attempt(delivery.id, number, None, INTERRUPTED, "", 0, now, manual=by_hand)
    store.deliveries.add_attempt(tx, attempt)
    return replace(delivery, attempts=number, scheduled_attempts=scheduled_attempts)


def _attempt(
    db: Database, context: NotificationContext, delivery: Delivery, now: datetime
) -> Result:
    """Whatever goes wrong is this attempt's failure: no row may stop those behind it."""
    try:
        request = _packed(db, context, delivery, now)
        return context.channels[delivery.channel].send(request)
    except DeliveryError as error:
        return error
    except KeyError:
        return DeliveryError(f"the channel {delivery.channel} is not set up on this server")
    except (ClipbellError, OSError) as error:
        return DeliveryError(f"the message could not be made: {error}")
    except Exception as error:
        log.exception("delivery %s cannot be made", delivery.id)
        return DeliveryError(f"the message could not be made: {type(error).__name__}")


def _packed(
    db: Database, context: NotificationContext, delivery: Delivery, now: datetime
) -> DeliveryRequest:
    """The request of this attempt; its body is frozen before it is first sent."""
    with db.write() as tx:
        subscription = store.subscriptions.find(tx, delivery.subscription_id)
        if subscription is None:
            raise NotFound("its subscription is gone")
        body = delivery.body
        if body is None:
            body = _rendered(tx, context, delivery, subscription, now)
            store.deliveries.update_claimed(tx, delivery, body=body)
        reference = _reference(tx, delivery)
    return DeliveryRequest(
        delivery_id=delivery.id,
        event_id=delivery.event_id,
        target=context.encryptor.decrypt(subscription.target),
        secrets=secrets_of(context.encryptor, subscription, now),
        body=body,
        now=now,
        reference=reference,
    )


def _reference(tx: Connection, delivery: Delivery) -> str | None:
    """What the channel has posted about this job before."""
    if delivery.job_id is None:
        return None
    return store.thread_references.get(tx, delivery.subscription_id, delivery.job_id)


def _rendered(
    tx: Connection,
    context: NotificationContext,
    delivery: Delivery,
    subscription: Subscription,
    now: datetime,
) -> bytes:
    event = store.events.find(tx, delivery.event_id)
    if event is None:
        raise NotFound(f"delivery {delivery.id} has lost its event")
    channel = context.channels[delivery.channel]
    notification = build_notification(
        tx,
        context,
        event,
        now,
        subscription_id=subscription.id,
        poster=channel.carries_poster,
    )
    return channel.render(notification, subscription.format)


def _settle(
    tx: Connection,
    context: NotificationContext,
    delivery: Delivery,
    result: Result,
    began: datetime,
    now: datetime,
) -> None:
    seconds = (now - began).total_seconds()
    store.deliveries.end_attempt(
        tx,
        delivery.id,
        delivery.attempts,
        status=result.status,
        error=result.message if isinstance(result, DeliveryError) else None,
        response=result.response,
        milliseconds=int(seconds * 1000),
    )
    # Locked, so that what two settlements count of one subscription adds up.
    subscription = store.subscriptions.lock(tx, delivery.subscription_id)
    if subscription is None:
        return
    if isinstance(result, DeliveryResult):
        _keep_reference(tx, delivery, result.reference, now)
    if delivery.resending is not None:
        _settle_by_hand(tx, context, delivery, delivery.resending, result, now)
    elif isinstance(result, DeliveryError):
        _settle_failure(tx, context, delivery, subscription, result, seconds, now)
    else:
        _end(tx, delivery, DeliveryState.DELIVERED, now)
        endpoint_health.succeeded(tx, context, subscription, seconds, now)
    if result.disable:
        _end_subscription(tx, context, subscription.id, result, now)


def _keep_reference(
    tx: Connection, delivery: Delivery, reference: str | None, now: datetime
) -> None:
    if reference is not None and delivery.job_id is not None:
        subscription_id, job_id = delivery.subscription_id, delivery.job_id
        store.thread_references.save(tx, subscription_id, job_id, reference, now)


def _settle_failure(
    tx: Connection,
    context: NotificationContext,
    delivery: Delivery,
    subscription: Subscription,
    error: DeliveryError,
    seconds: float,
    now: datetime,
) -> None:
    if error.pause_channel is not None:
        _pause(tx, delivery, error, error.pause_channel, now)
        return
    if error.retry_after:
        endpoint_health.pause(tx, subscription.id, error.retry_after, now)
    schedule = context.settings.retry_schedule
    due_at = next_attempt_at(schedule, delivery.scheduled_attempts, now, error.retry_after)
    over = error.permanent or due_at is None
    if over:
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
    else:
        store.deliveries.settle_claimed(tx, delivery, due_at=due_at)
    endpoint_health.failed(tx, context, subscription, error, now, seconds=seconds, exhausted=over)


def _pause(
    tx: Connection, delivery: Delivery, error: DeliveryError, seconds: float, now: datetime
) -> None:
    """The fault is ours: the whole channel waits, and this delivery has lost nothing."""
    until = now + timedelta(seconds=seconds)
    store.channels.pause(tx, delivery.channel, until, error.message)
    store.deliveries.settle_claimed(
        tx, delivery, due_at=until, scheduled_attempts=delivery.scheduled_attempts - 1
    )
    log.error("channel %s paused: %s", delivery.channel, error.message)


def _settle_by_hand(
    tx: Connection,
    context: NotificationContext,
    delivery: Delivery,
    before: DeliveryState,
    result: Result,
    now: datetime,
) -> None:
    """One attempt that counts for nothing: a failure leaves everything as it was."""
    if isinstance(result, DeliveryResult):
        _end(tx, delivery, DeliveryState.DELIVERED, now, resending=None)
    elif before is DeliveryState.PENDING:
        due_at = next_attempt_at(context.settings.retry_schedule, delivery.scheduled_attempts, now)
        store.deliveries.settle_claimed(tx, delivery, due_at=due_at, resending=None)
    else:
        _end(tx, delivery, before, now, resending=None)


def _end(
    tx: Connection, delivery: Delivery, state: DeliveryState, now: datetime, **more: object
) -> None:
    ended = {"state": state, "due_at": None, "finished_at": now}
    store.deliveries.settle_claimed(tx, delivery, **ended, **more)


def _end_subscription(
    tx: Connection,
    context: NotificationContext,
    subscription_id: str,
    result: Result,
    now: datetime,
) -> None:
    """The endpoint wants no more: a hook is gone with its 410, anything else is off."""
    # Read again: it may have been switched off by this very settlement.
    subscription = store.subscriptions.find(tx, subscription_id)
    if subscription is None or not subscription.enabled:
        return
    if subscription.hook and result.status == 410:
        endpoint_health.remove(tx, subscription.id, now)
    else:
        endpoint_health.disable(tx, context, subscription, result.disable or "", now)
