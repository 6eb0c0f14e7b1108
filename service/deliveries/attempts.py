"""
Delivery attempts: claim a delivery, make one attempt, settle it by the retry schedule.

Delivery is at least once: the attempt's row is written before the send, so a crash leaves
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
#: The error of an attempt until its result is written; it stays if the worker dies.
NO_RESULT = "no result yet: the attempt is in progress, or its worker stopped during it"


@dataclass(frozen=True)
class Attempted:
    """
    A finished attempt: its delivery, its result, its start and its end.

    `exchange` is the request that was sent; None if nothing was sent.
    """

    delivery: Delivery
    result: DeliveryResult | DeliveryError
    began: datetime
    ended: datetime
    exchange: Exchange | None = None

    @property
    def seconds(self) -> float:
        """Its duration, in seconds."""
        return (self.ended - self.began).total_seconds()

    @property
    def disable_reason(self) -> str | None:
        """The reason why the receiver wants no more messages; None if it may get more."""
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
    """Make the next attempt that is due in this lane; False if there is none."""
    began = clock()
    with quarantine_on_error(db, "deliveries", clock) as claimed:
        with db.write() as tx:
            row = store.claims.claim_pending(tx, began, LEASE_SECONDS, slow=slow, slot=slot)
            claimed.row = row
            begun = _begin(tx, context, row, began) if row else None
            request = None
            if begun is not None and not context.carries_poster(begun[0]):
                request = _prepare(tx, context, *begun, began)
        if begun is None:
            return row is not None
        delivery, _ = begun
        if request is None:
            # Reading the poster may take long: only this delivery waits for it.
            with db.write() as tx:
                request = _prepare(tx, context, *begun, began)
        result, exchange = _send(context, delivery, request)
        with db.write() as tx:
            settle_attempt(tx, context, Attempted(delivery, result, began, clock(), exchange))
    return True


def _begin(
    tx: Connection, context: NotificationContext, delivery: Delivery, now: datetime
) -> tuple[Delivery, Subscription] | None:
    """Store the attempt before it is made; None if the subscription is disabled."""
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


def _prepare(
    tx: Connection,
    context: NotificationContext,
    delivery: Delivery,
    subscription: Subscription,
    now: datetime,
) -> DeliveryRequest | DeliveryError:
    """The request, or the reason why there is none. Only database errors are raised."""
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
    """Any error as a failure of this attempt: no row may block those behind it."""
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
    """The request of this attempt; its body is stored before the first attempt and stays."""
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
    """Store the result of an attempt, and its consequences for delivery and subscription."""
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
    # Locked, so that two settlements of one subscription count correctly.
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
        # The fault is ours: the whole channel waits, and the delivery keeps all its attempts.
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
    """Settle an attempt by hand. It has no effect on the schedule: a failure changes nothing."""
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
    """End a subscription at its endpoint's wish: remove a hook (410), disable any other."""
    # Read again: this settlement may have disabled it.
    subscription = store.subscriptions.find(tx, subscription_id)
    if subscription is None or not subscription.enabled:
        return
    if subscription.hook and made.result.status == 410:
        endpoint_health.remove(tx, subscription.id, made.ended)
    else:
        endpoint_health.disable(tx, context, subscription, reason, made.ended)
