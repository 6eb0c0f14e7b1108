"""
The health of endpoints: held, slow, disabled, recovered.

An endpoint that fails for five days with nothing delivered is disabled. Its owner is
notified once, and once more when it works again. Messages sent by hand
do not count here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service import store
from service.deliveries.notification import NotificationContext
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import REMOVED, get_or_create_internal
from service.errors import DeliveryError
from service.events.record import record_about
from service.events.samples import about_subscription
from service.model import EventType, Subscription
from service.retry import bounded

log = logging.getLogger(__name__)

#: A subscription is disabled after failing for this long with this many exhausted deliveries.
FAILING_LIMIT = timedelta(days=5)
EXHAUSTED_LIMIT = 2
#: An attempt that takes longer than this, or gets no answer, marks its endpoint slow for a while.
SLOW_SECONDS = 5.0
SLOW_FOR = timedelta(hours=1)

OWNERS_EVENTS = (EventType.SUBSCRIPTION_DISABLED, EventType.SUBSCRIPTION_RECOVERED)


@dataclass(frozen=True)
class Failure:
    """A failed attempt that took `seconds`; `exhausted` when its delivery was given up."""

    error: DeliveryError
    seconds: float
    exhausted: bool


def health_of(subscription: Subscription, now: datetime) -> str:
    """Its health: ``disabled``, ``held``, ``failing``, ``slow`` or ``healthy``."""
    if not subscription.enabled:
        return "disabled"
    if subscription.held_until is not None and subscription.held_until > now:
        return "held"
    if subscription.failing_since is not None:
        return "failing"
    slow = subscription.slow_until is not None and subscription.slow_until > now
    return "slow" if slow else "healthy"


def record_success(
    tx: Connection,
    context: NotificationContext,
    subscription: Subscription,
    seconds: float,
    now: datetime,
) -> None:
    """Record a success; an owner who was notified of the failure is notified of the recovery."""
    well: dict[str, Any] = {"failing_since": None, "exhausted": 0, "announced_at": None}
    well["slow_until"] = now + SLOW_FOR if seconds >= SLOW_SECONDS else None
    if any(getattr(subscription, name) != value for name, value in well.items()):
        store.subscriptions.change(tx, subscription.id, **well)
    if subscription.announced_at is not None:
        _notify_owner(tx, context, subscription, EventType.SUBSCRIPTION_RECOVERED, None, now)


def record_failure(
    tx: Connection,
    context: NotificationContext,
    subscription: Subscription,
    failure: Failure,
    now: datetime,
) -> None:
    """Record a failed attempt; too many of them over five days disable the subscription."""
    since = subscription.failing_since or now
    exhausted = subscription.exhausted + failure.exhausted
    changes: dict[str, Any] = {"failing_since": since, "exhausted": exhausted}
    if failure.error.timed_out or failure.seconds >= SLOW_SECONDS:
        changes["slow_until"] = now + SLOW_FOR
    store.subscriptions.change(tx, subscription.id, **changes)
    if now - since >= FAILING_LIMIT and exhausted >= EXHAUSTED_LIMIT:
        last = failure.error.message
        reason = f"nothing was delivered since {since:%Y-%m-%d %H:%M} UTC; last: {last}"
        disable(tx, context, subscription, reason, now)


def pause(tx: Connection, subscription_id: str, seconds: float, now: datetime) -> None:
    """Send it nothing for this many seconds; a longer pause stays."""
    store.subscriptions.hold(tx, subscription_id, now + timedelta(seconds=bounded(seconds)))


def disable(
    tx: Connection,
    context: NotificationContext,
    subscription: Subscription,
    reason: str,
    now: datetime,
) -> None:
    """
    Disable a subscription and end its pending deliveries; notify its owner once.

    Until it works again there is no second message, however often it is enabled
    and disabled in between.
    """
    off: dict[str, Any] = {"enabled": False, "disabled_reason": reason}
    store.subscriptions.change(tx, subscription.id, **off, announced_at=now)
    store.deliveries.end_pending(tx, now, subscription_id=subscription.id)
    log.warning(
        "subscription switched off", extra={"subscription_id": subscription.id, "reason": reason}
    )
    if subscription.announced_at is None:
        _notify_owner(tx, context, subscription, EventType.SUBSCRIPTION_DISABLED, reason, now)


def remove(tx: Connection, subscription_id: str, now: datetime) -> None:
    """Remove it for its account; the row stays for the log of its deliveries."""
    gone = {"enabled": False, "hidden": True, "disabled_reason": REMOVED, "events": [REMOVED]}
    gone |= {"headers": None}
    store.subscriptions.change(tx, subscription_id, **gone)
    store.deliveries.end_pending(tx, now, subscription_id=subscription_id)


def _notify_owner(
    tx: Connection,
    context: NotificationContext,
    subscription: Subscription,
    type_: EventType,
    reason: str | None,
    now: datetime,
) -> None:
    """Record the event for the account's subscriptions and its owner's mail address."""
    about = about_subscription(subscription.id, subscription.channel, reason)
    account = store.accounts.find(tx, subscription.account_id)
    besides = []
    if "email" in context.channels and account is not None and account.owner_email:
        format_ = context.channels["email"].formats[0]
        spec = SubscriptionSpec("email", account.owner_email, OWNERS_EVENTS, format_)
        mail = get_or_create_internal(tx, context.encryptor, account.id, spec, now)
        besides = [mail] if mail.id != subscription.id else []
    record_about(tx, subscription.account_id, type_, about, now, besides)
