"""
The health of endpoints: held, slow, switched off, and well again.

One that fails for five days with nothing delivered is switched off. Its owner is
told once, and once more when it works again; what a person sends by hand counts
for nothing here.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service import store
from service.deliveries.notification import NotificationContext
from service.deliveries.subscriptions import SubscriptionSpec, get_or_create_internal
from service.errors import DeliveryError
from service.events.record import record_about
from service.events.samples import about_subscription
from service.model import EventType, Subscription
from service.retry import bounded

log = logging.getLogger(__name__)

#: Failing for so long, with so many deliveries given up, ends a subscription.
PATIENCE = timedelta(days=5)
LEAST_EXHAUSTED = 2
#: An attempt that takes longer, or that is never answered, makes its endpoint slow for a while.
SLOW_SECONDS = 5.0
SLOW_FOR = timedelta(hours=1)

OWNERS_EVENTS = (EventType.SUBSCRIPTION_DISABLED, EventType.SUBSCRIPTION_RECOVERED)


def health_of(subscription: Subscription, now: datetime) -> str:
    """How it is, in a word: ``disabled``, ``held``, ``failing``, ``slow`` or ``healthy``."""
    if not subscription.enabled:
        return "disabled"
    if subscription.held_until is not None and subscription.held_until > now:
        return "held"
    if subscription.failing_since is not None:
        return "failing"
    slow = subscription.slow_until is not None and subscription.slow_until > now
    return "slow" if slow else "healthy"


def succeeded(
    tx: Connection,
    context: NotificationContext,
    subscription: Subscription,
    seconds: float,
    now: datetime,
) -> None:
    """It took a delivery: all is forgiven, and its owner told if told of trouble before."""
    slow_until = now + SLOW_FOR if seconds >= SLOW_SECONDS else None
    well: dict[str, Any] = {"failing_since": None, "exhausted": 0, "announced_at": None}
    well["slow_until"] = slow_until
    if any(getattr(subscription, name) != value for name, value in well.items()):
        store.subscriptions.change(tx, subscription.id, **well)
    if subscription.announced_at is not None:
        _tell_owner(tx, context, subscription, EventType.SUBSCRIPTION_RECOVERED, None, now)


def failed(
    tx: Connection,
    context: NotificationContext,
    subscription: Subscription,
    error: DeliveryError,
    now: datetime,
    *,
    seconds: float,
    exhausted: bool,
) -> None:
    """An attempt failed, and with `exhausted` its delivery was given up."""
    since = subscription.failing_since or now
    given_up = subscription.exhausted + exhausted
    changes: dict[str, Any] = {"failing_since": since, "exhausted": given_up}
    if error.timed_out or seconds >= SLOW_SECONDS:
        changes["slow_until"] = now + SLOW_FOR
    store.subscriptions.change(tx, subscription.id, **changes)
    if now - since >= PATIENCE and given_up >= LEAST_EXHAUSTED:
        reason = f"nothing was delivered since {since:%Y-%m-%d %H:%M} UTC; last: {error.message}"
        disable(tx, context, subscription, reason, now)


def pause(tx: Connection, subscription_id: str, seconds: float, now: datetime) -> None:
    """Send it nothing for so many seconds; a longer hold stays."""
    store.subscriptions.hold(tx, subscription_id, now + timedelta(seconds=bounded(seconds)))


def disable(
    tx: Connection,
    context: NotificationContext,
    subscription: Subscription,
    reason: str,
    now: datetime,
) -> None:
    """
    No more deliveries, pending ones included; its owner hears of it once.

    Until it works again there is no second notice, however often it is switched
    on and off in between.
    """
    off: dict[str, Any] = {"enabled": False, "disabled_reason": reason}
    store.subscriptions.change(tx, subscription.id, **off, announced_at=now)
    store.deliveries.end_pending(tx, now, subscription_id=subscription.id)
    log.warning(
        "subscription switched off", extra={"subscription_id": subscription.id, "reason": reason}
    )
    if subscription.announced_at is None:
        _tell_owner(tx, context, subscription, EventType.SUBSCRIPTION_DISABLED, reason, now)


def remove(tx: Connection, subscription_id: str, now: datetime) -> None:
    """It is gone for its account; the row stays, for the log of its deliveries."""
    gone = {"enabled": False, "hidden": True, "disabled_reason": "removed", "events": ["removed"]}
    store.subscriptions.change(tx, subscription_id, **gone)
    store.deliveries.end_pending(tx, now, subscription_id=subscription_id)


def _tell_owner(
    tx: Connection,
    context: NotificationContext,
    subscription: Subscription,
    type_: EventType,
    reason: str | None,
    now: datetime,
) -> None:
    about = about_subscription(subscription.id, subscription.channel, reason)
    mail = _owners_mail(tx, context, subscription.account_id, now)
    besides = [mail] if mail and mail.id != subscription.id else []
    record_about(tx, subscription.account_id, type_, about, now, besides)


def _owners_mail(
    tx: Connection, context: NotificationContext, account_id: str, now: datetime
) -> Subscription | None:
    """The hidden subscription of the owner's own address, where mail is set up."""
    account = store.accounts.find(tx, account_id)
    if "email" not in context.channels or account is None or not account.owner_email:
        return None
    spec = SubscriptionSpec(
        "email", account.owner_email, OWNERS_EVENTS, context.channels["email"].formats[0]
    )
    return get_or_create_internal(tx, context.encryptor, account_id, spec, now)
