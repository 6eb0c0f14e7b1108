"""Making subscriptions: an account's own, and the hidden ones behind a job's `notify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service import store
from service.channels.base import Channel
from service.errors import Fault, InvalidInput, pointer
from service.model import EventType, Subscription, new_id
from service.signing import Sealer, digest, new_webhook_secret

#: Said by the reader of a mail: no later job may overrule it.
UNSUBSCRIBED = "unsubscribed by mail"
NO_TARGET = "say where to send: an address or URL"


@dataclass(frozen=True)
class Wish:
    """Where news shall go, checked: the channel, its target, which events, in which format."""

    channel: str
    target: str
    events: tuple[str, ...] = ()
    format: str = "standard"


def check_wish(channels: Mapping[str, Channel], given: Any, at: str) -> Wish:
    """
    A wish from ``"channel:target"`` or ``{"channel", "target", "events", "format"}``.

    Raises:
        InvalidInput: all faults, with pointers below `at`.
    """
    parts = _parts(given, at)
    faults = [
        Fault(at + pointer(name), "unknown_field", "takes channel, target, events and format")
        for name in parts
        if name not in ("channel", "target", "events", "format")
    ]
    channel = channels.get(parts["channel"]) if isinstance(parts.get("channel"), str) else None
    faults += _event_faults(parts.get("events"), at)
    if channel is None:
        known = ", ".join(channels)
        faults.append(Fault(f"{at}/channel", "not_allowed", f"must be one of {known}"))
        if not isinstance(parts.get("target"), str):
            faults.append(Fault(f"{at}/target", "required", NO_TARGET))
        raise InvalidInput(faults)
    format_ = parts.get("format") or channel.formats[0]
    if format_ not in channel.formats:
        allowed = ", ".join(channel.formats)
        faults.append(Fault(f"{at}/format", "not_allowed", f"must be one of {allowed}"))
    target, wrong = _target(channel, parts.get("target"), at)
    if faults or wrong:
        raise InvalidInput([*faults, *wrong])
    return Wish(parts["channel"], target, tuple(parts.get("events") or ()), format_)


def _parts(given: Any, at: str) -> dict[str, Any]:
    if isinstance(given, str) and ":" in given:
        channel, _, target = given.partition(":")
        return {"channel": channel, "target": target}
    if isinstance(given, dict):
        return given
    message = 'must be "channel:target" or an object with channel and target'
    raise InvalidInput([Fault(at, "wrong_type", message)])


def _event_faults(events: Any, at: str) -> list[Fault]:
    if events is None:
        return []
    if not isinstance(events, list):
        return [Fault(f"{at}/events", "wrong_type", "must be a list of event names")]
    known = ", ".join(EventType)
    return [
        Fault(f"{at}/events/{place}", "not_allowed", f"must be one of {known}")
        for place, event in enumerate(events)
        if event not in list(EventType)
    ]


def _target(channel: Channel, target: Any, at: str) -> tuple[str, list[Fault]]:
    if not isinstance(target, str) or not target.strip():
        return "", [Fault(f"{at}/target", "required", NO_TARGET)]
    try:
        return channel.check_target(target.strip()), []
    except InvalidInput as error:
        return "", [Fault(at + f.pointer, f.code, f.message) for f in error.faults]


def subscribe(
    tx: Connection, sealer: Sealer, account_id: str, wish: Wish, now: datetime
) -> tuple[Subscription, str]:
    """A new subscription, and its secret for the only time."""
    secret = new_webhook_secret()
    subscription = _made(sealer, account_id, wish, sealer.seal(secret), now, hidden=False)
    store.subscriptions.insert(tx, subscription)
    return subscription, secret


def hidden_subscription(
    tx: Connection, sealer: Sealer, account_id: str, wish: Wish, now: datetime
) -> Subscription:
    """
    The one subscription behind this target, signed with the account's webhook secret.

    One that was switched off is on again, since it has just been asked for; only
    a reader's own unsubscribing stays.
    """
    store.accounts.lock(tx, account_id)
    same = store.subscriptions.same(tx, account_id, wish.channel, digest(wish.target), hidden=True)
    for subscription in same:
        if (subscription.format, subscription.events) == (wish.format, list(wish.events)):
            if not subscription.enabled and subscription.disabled_reason != UNSUBSCRIBED:
                store.subscriptions.enable(tx, subscription.id)
            return subscription
    account = store.accounts.find(tx, account_id)
    secret = account.webhook_secret if account else sealer.seal(new_webhook_secret())
    subscription = _made(sealer, account_id, wish, secret, now, hidden=True)
    store.subscriptions.insert(tx, subscription)
    return subscription


def _made(
    sealer: Sealer, account_id: str, wish: Wish, secret: str, now: datetime, *, hidden: bool
) -> Subscription:
    return Subscription(
        id=new_id("sub", now),
        account_id=account_id,
        channel=wish.channel,
        target=sealer.seal(wish.target),
        target_digest=digest(wish.target),
        events=list(wish.events),
        format=wish.format,
        secret=secret,
        hidden=hidden,
        enabled=True,
        disabled_reason=None,
        held_until=None,
        created_at=now,
    )
