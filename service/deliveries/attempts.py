"""
Deliveries: claim one, make one attempt, settle by the schedule.

At least once: the attempt's row is written before the send, so a crash leaves
evidence and the lease makes the delivery due again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from service import store
from service.channels.base import SEND_SECONDS, DeliveryRequest, DeliveryResult
from service.deliveries import endpoint_health
from service.deliveries.custom_headers import decrypt_headers
from service.deliveries.notification import NotificationContext, build_notification
from service.deliveries.secrets import secrets_of
from service.errors import (
    ClipbellError,
    DatabaseUnavailable,
    DeliveryError,
    NextStep,
    NotFound,
)
from service.model import Attempt, Clock, Delivery, DeliveryState, Exchange, Subscription
from service.retry import next_attempt_at
from service.slots import ANYWHERE, Slot
from service.store.database import Database
from service.store.quarantine import quarantine_on_error

log = logging.getLogger(__name__)

LEASE_SECONDS = SEND_SECONDS + 15.0
#: What an attempt says until its result is written, and for good where that never happens.
NO_RESULT = "no result yet: the attempt is in progress, or its worker stopped during it"


@dataclass(frozen=True)
class Attempted:
    """
    An attempt that was made: of what, how it went, and from when to when.

    `exchange` is what was sent; None where nothing was.
    """

    delivery: Delivery
    result: DeliveryResult | DeliveryError
    began: datetime
    ended: datetime
    exchange: Exchange | None = None

    @property
    def seconds(self) -> float:
        """Its duration, in milliseconds."""
        return (self.ended - self.began).total_seconds()

    @property
    def disable_reason(self) -> str | None:
        """Why the receiver wants no more at all; None when it may get more."""
        if isinstance(self.result, DeliveryResult):
            return self.result.disable
        return self.result.message if self.result.next_step is NextStep.DISABLE else None


def attempt_delivery(
    db: Database,
    context: NotificationContext,
    clock: Clock,
    slot: Slot = ANYWHERE,
    *,
    slow: bool = False,
) -> bool:
    """Make the next attempt that is due in this lane; False when there was none."""
    began = clock()
    with quarantine_on_error(db, "deliveries", clock) as claimed:
        with db.write() as tx:
            row = store.claims.claim_pending(tx, began, LEASE_SECONDS, slow=slow, slot=slot)
            claimed.row = row
            begun = _begin(tx, context, row, began) if row else None
            request = None
            if begun is not None and not _carries_poster(context, begun[0]):
                request = _prepare(tx, context, *begun, began)
        if begun is None:
            return row is not None
        delivery, _ = begun
        if request is None:
            # Its poster may come from far: nobody waits for that but this delivery.
            with db.write() as tx:
                request = _prepare(tx, context, *begun, began)
        result, exchange = _send(context, delivery, request)
        with db.write() as tx:
            settle_attempt(tx, context, Attempted(delivery, result, began, clock(), exchange))
    return True


def _begin(
    tx: Connection, context: NotificationContext, delivery: Delivery, now: datetime
) -> tuple[Delivery, Subscription] | None:
    """Write the attempt down before it is made; None for a subscription that is off."""
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    by_hand = delivery.resending is not None
    if subscription is None or not (subscription.enabled or by_hand):
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
        return None
    channel = context.channels.get(delivery.channel)
    if channel is not None and channel.min_interval:
        endpoint_health.pause(tx, subscription.id, channel.min_interval, now)
    number, scheduled = delivery.attempts + 1, delivery.scheduled_attempts + (not by_hand)
    store.deliveries.update_claimed(tx, delivery, attempts=number, scheduled_attempts=scheduled)
    attempt = Attempt(delivery.id, number, None, NO_RESULT, "", 0, now, manual=by_hand)
    store.deliveries.add_attempt(tx, attempt)
    return replace(delivery, attempts=number, scheduled_attempts=scheduled), subscription


def _carries_poster(context: NotificationContext, delivery: Delivery) -> bool:
    channel = context.channels.get(delivery.channel)
    return delivery.body is None and channel is not None and channel.carries_poster


def _prepare(
    tx: Connection,
    context: NotificationContext,
    delivery: Delivery,
    subscription: Subscription,
    now: datetime,
) -> DeliveryRequest | DeliveryError:
    """The request, or why there is none; only the database's own errors are raised."""
    try:
        return _request_for(tx, context, delivery, subscription, now)
    except (DatabaseUnavailable, SQLAlchemyError):
        raise
    except Exception as error:
        return _failure(delivery, error)


def _send(
    context: NotificationContext, delivery: Delivery, request: DeliveryRequest | DeliveryError
) -> tuple[DeliveryResult | DeliveryError, Exchange | None]:
    if isinstance(request, DeliveryError):
        return request, None
    result: DeliveryResult | DeliveryError
    try:
        result = context.channels[delivery.channel].send(request)
    except Exception as error:
        result = _failure(delivery, error)
    return result, request.exchanges[-1] if request.exchanges else None


def _failure(delivery: Delivery, error: Exception) -> DeliveryError:
    """Whatever goes wrong is this attempt's failure: no row may stop those behind it."""
    match error:
        case DeliveryError():
            return error
        case KeyError():
            return DeliveryError(f"the channel {delivery.channel} is not set up on this server")
        case ClipbellError() | OSError():
            return DeliveryError(f"the message could not be made: {error}")
    log.error("delivery %s cannot be made", delivery.id, exc_info=error)
    return DeliveryError(f"the message could not be made: {type(error).__name__}")


def _request_for(
    tx: Connection,
    context: NotificationContext,
    delivery: Delivery,
    subscription: Subscription,
    now: datetime,
) -> DeliveryRequest:
    """The request of this attempt; its body is frozen before it is first sent."""
    body = delivery.body
    if body is None:
        body = _render(tx, context, delivery, subscription, now)
        store.deliveries.update_claimed(tx, delivery, body=body)
    reference = None
    if delivery.job_id is not None and context.channels[delivery.channel].has_threads:
        reference = store.thread_references.get(tx, subscription.id, delivery.job_id)
    return DeliveryRequest(
        delivery_id=delivery.id,
        event_id=delivery.event_id,
        target=context.encryptor.decrypt(subscription.target),
        secrets=secrets_of(context.encryptor, subscription, now),
        body=body,
        now=now,
        reference=reference,
        headers=decrypt_headers(context.encryptor, subscription.headers),
    )


def _render(
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


def settle_attempt(tx: Connection, context: NotificationContext, made: Attempted) -> None:
    """Write how the attempt went, and what follows for its delivery and its subscription."""
    delivery, result = made.delivery, made.result
    store.deliveries.end_attempt(
        tx,
        delivery.id,
        delivery.attempts,
        status=result.status,
        error=result.message if isinstance(result, DeliveryError) else None,
        response=result.response,
        milliseconds=int(made.seconds * 1000),
    )
    if made.exchange is not None:
        store.deliveries.add_exchange(tx, delivery.id, delivery.attempts, made.exchange)
    # Locked, so that what two settlements count of one subscription adds up.
    subscription = store.subscriptions.lock(tx, delivery.subscription_id)
    if subscription is None:
        return
    if delivery.resending is not None:
        _settle_by_hand(tx, context, made, delivery.resending)
    elif isinstance(result, DeliveryError):
        _settle_failure(tx, context, made, result, subscription)
    else:
        _end(tx, delivery, DeliveryState.DELIVERED, made.ended)
        endpoint_health.record_success(tx, context, subscription, made.seconds, made.ended)
    if isinstance(result, DeliveryResult) and result.reference and delivery.job_id:
        ids = (subscription.id, delivery.job_id)
        store.thread_references.save(tx, *ids, result.reference, made.ended)
    if made.disable_reason:
        _end_subscription(tx, context, subscription.id, made, made.disable_reason)


def _settle_failure(
    tx: Connection,
    context: NotificationContext,
    made: Attempted,
    error: DeliveryError,
    subscription: Subscription,
) -> None:
    delivery, now = made.delivery, made.ended
    if error.next_step is NextStep.PAUSE_CHANNEL:
        # The fault is ours: the whole channel waits, and this delivery has lost nothing.
        until = now + timedelta(seconds=error.wait_seconds or 0.0)
        store.channels.pause(tx, delivery.channel, until, error.message)
        counted = delivery.scheduled_attempts - 1
        store.deliveries.postpone(tx, delivery, until, scheduled_attempts=counted)
        log.error("channel %s paused: %s", delivery.channel, error.message)
        return
    if error.wait_seconds:
        endpoint_health.pause(tx, subscription.id, error.wait_seconds, now)
    schedule = context.settings.retry_schedule
    due_at = next_attempt_at(schedule, delivery.scheduled_attempts, now, error.wait_seconds)
    over = error.next_step is not NextStep.RETRY or due_at is None
    if over:
        _end(tx, delivery, DeliveryState.EXHAUSTED, now)
    else:
        store.deliveries.postpone(tx, delivery, due_at)
    failure = endpoint_health.Failure(error, made.seconds, exhausted=over)
    endpoint_health.record_failure(tx, context, subscription, failure, now)


def _settle_by_hand(
    tx: Connection, context: NotificationContext, made: Attempted, before: DeliveryState
) -> None:
    """One attempt that counts for nothing: a failure leaves everything as it was."""
    delivery, now = made.delivery, made.ended
    if isinstance(made.result, DeliveryResult):
        _end(tx, delivery, DeliveryState.DELIVERED, now, resending=None)
    elif before is DeliveryState.PENDING:
        due_at = next_attempt_at(context.settings.retry_schedule, delivery.scheduled_attempts, now)
        store.deliveries.postpone(tx, delivery, due_at, resending=None)
    else:
        _end(tx, delivery, before, now, resending=None)


def _end(
    tx: Connection, delivery: Delivery, state: DeliveryState, now: datetime, **more: object
) -> None:
    ended = {"state": state, "due_at": None, "finished_at": now}
    store.deliveries.settle_claimed(tx, delivery, **ended, **more)


def _end_subscription(
    tx: Connection, context: NotificationContext, subscription_id: str, made: Attempted, reason: str
) -> None:
    """The endpoint wants no more: a hook is gone with its 410, anything else is off."""
    # Read again: it may have been disabled by this very settlement.
    subscription = store.subscriptions.find(tx, subscription_id)
    if subscription is None or not subscription.enabled:
        return
    if subscription.hook and made.result.status == 410:
        endpoint_health.remove(tx, subscription.id, made.ended)
    else:
        endpoint_health.disable(tx, context, subscription, reason, made.ended)
