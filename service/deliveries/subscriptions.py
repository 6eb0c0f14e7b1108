"""The creation of subscriptions: an account's own, and the hidden ones of a job's `notify`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service import store
from service.channels.base import Channel
from service.deliveries.custom_headers import (
    decrypt_headers,
    encrypt_headers,
)
from service.deliveries.subscription_fields import FIELDS
from service.deliveries.subscription_spec import SubscriptionSpec, parse_subscription
from service.errors import BadToken, FieldErrors, InvalidInput, did_you_mean, got, json_pointer
from service.model import Subscription, new_id
from service.model.delivery_json import SubscriptionJson, subscription_json
from service.signing import Encryptor, digest, new_webhook_secret

#: The `disabled_reason` after a reader's unsubscribe: no later job may undo it.
UNSUBSCRIBED = "unsubscribed by mail"
#: The `disabled_reason` after a removal by the account.
REMOVED = "removed"
#: The fields that a change may have.
CHANGEABLE = ("enabled", *(name for name in FIELDS if name not in ("channel", "secret")))


def planned_subscription(
    encryptor: Encryptor, account_id: str, spec: SubscriptionSpec, now: datetime
) -> tuple[Subscription, str]:
    """A subscription to test or save, and its secret (``whsec_…``)."""
    secret = spec.secret or new_webhook_secret()
    sealed = encryptor.encrypt(secret)
    return _made(encryptor, account_id, spec, sealed, now, hidden=False), secret


def subscribe(
    tx: Connection,
    encryptor: Encryptor,
    account_id: str,
    spec: SubscriptionSpec,
    now: datetime,
    *,
    hook: bool = False,
) -> tuple[Subscription, str]:
    """Create a subscription. Returns it with its secret, which is shown only now."""
    made, secret = planned_subscription(encryptor, account_id, spec, now)
    subscription = replace(made, hook=hook)
    store.subscriptions.insert(tx, subscription)
    return subscription, secret


def parse_changes(
    channels: Mapping[str, Channel], encryptor: Encryptor, before: Subscription, given: Any
) -> dict[str, Any]:
    """
    The columns that a change of a subscription writes, by name: only the given fields.

    Args:
        given: fields of `SubscriptionSpec`, checked as for a new one, and ``enabled``.

    Raises:
        InvalidInput: all faults.
    """
    if not isinstance(given, dict):
        raise InvalidInput.at("", "wrong_type", "the body must be a JSON object")
    errors, fields = FieldErrors(), {name: given[name] for name in given if name in CHANGEABLE}
    for name in (one for one in given if one not in CHANGEABLE):
        if name == "secret":
            errors.add("/secret", "not_allowed", "cannot be changed here: use rotate-secret")
        elif name != "channel":
            message = f"takes {', '.join(CHANGEABLE)}{did_you_mean(name, CHANGEABLE)}"
            errors.add(json_pointer(name), "unknown_field", message)
        elif given["channel"] != before.channel:
            errors.add("/channel", "not_allowed", "cannot be changed: make a new subscription")
    enabled = fields.pop("enabled", None)
    if enabled is not None and not isinstance(enabled, bool):
        errors.add("/enabled", "wrong_type", "must be true or false" + got(enabled))
    changes: dict[str, Any] = {}
    with errors.collect():
        changes = _changed_fields(channels, encryptor, before, fields) if fields else {}
    errors.raise_any()
    if enabled is None:
        return changes
    return changes | (store.subscriptions.ENABLED if enabled else {"enabled": False})


def _changed_fields(
    channels: Mapping[str, Channel],
    encryptor: Encryptor,
    before: Subscription,
    fields: dict[str, Any],
) -> dict[str, Any]:
    kept = {"channel": before.channel, "target": encryptor.decrypt(before.target)}
    kept |= {name: getattr(before, name) for name in ("events", "format", "models", "metadata")}
    kept |= {"name": before.name}
    headers = decrypt_headers(encryptor, before.headers)
    spec = parse_subscription(channels, kept | fields, "", headers)
    changes: dict[str, Any] = {"events": list(spec.events), "format": spec.format}
    changes |= {"models": list(spec.models), "metadata": spec.metadata, "name": spec.name}
    # Writes only the given fields: somebody else may change the others at this moment.
    changes = {
        name: value
        for name, value in changes.items()
        if name in fields or value != getattr(before, name)
    }
    if "headers" in fields:
        changes |= {"headers": encrypt_headers(encryptor, spec.headers)}
    if "target" in fields:
        changes |= {"target": encryptor.encrypt(spec.target), "target_digest": digest(spec.target)}
    return changes


def get_or_create_hook(
    tx: Connection, encryptor: Encryptor, account_id: str, spec: SubscriptionSpec, now: datetime
) -> tuple[Subscription, str | None]:
    """
    Get or create the REST hook of a target and events; enable it, with `spec`'s filters.

    Returns:
        The subscription, and its secret if it is new, else None.
    """
    store.accounts.lock(tx, account_id)
    same = store.subscriptions.same(tx, account_id, "webhook", digest(spec.target), hidden=False)
    for before in same:
        if before.hook and set(before.events) == set(spec.events):
            asked = {"models": list(spec.models), "metadata": spec.metadata}
            changes = store.subscriptions.ENABLED | {"format": spec.format} | asked
            store.subscriptions.change(tx, before.id, **changes)
            return replace(before, **changes), None
    return subscribe(tx, encryptor, account_id, spec, now, hook=True)


def unsubscribe(tx: Connection, subscription_id: str, now: datetime) -> None:
    """
    Stop all mail of the account to the reader of a subscription, with pending deliveries.

    The reader cannot know that several subscriptions write to the same address.
    """
    off = {"enabled": False, "disabled_reason": UNSUBSCRIBED}
    for one in _of_reader(tx, subscription_id):
        if (one.enabled or one.hidden) and one.disabled_reason != REMOVED:
            store.subscriptions.change(tx, one.id, **off)
            store.deliveries.end_pending(tx, now, subscription_id=one.id)


def subscribe_again(tx: Connection, subscription_id: str) -> None:
    """Undo the unsubscribe of a reader."""
    for one in _of_reader(tx, subscription_id):
        if one.disabled_reason == UNSUBSCRIBED:
            store.subscriptions.enable(tx, one.id)


def _of_reader(tx: Connection, subscription_id: str) -> list[Subscription]:
    """All subscriptions of the account with this target; no new one is made until the commit."""
    found = store.subscriptions.find(tx, subscription_id)
    if found is None:
        return []
    store.accounts.lock(tx, found.account_id)
    return store.subscriptions.same(tx, found.account_id, found.channel, found.target_digest)


def get_or_create_internal(
    tx: Connection, encryptor: Encryptor, account_id: str, spec: SubscriptionSpec, now: datetime
) -> Subscription:
    """
    Get or create the hidden subscription of a target, with the account's webhook secret.

    A disabled one is enabled again, since a job has just named it; only
    a reader's unsubscribe stays.
    """
    place = (account_id, spec.channel, _identity(spec))
    found = _internal(tx, place, spec)
    if found is None:
        # If two create it at the same time, the second one finds it.
        store.accounts.lock(tx, account_id)
        found = _internal(tx, place, spec)
    if found is not None:
        if not found.enabled:
            store.subscriptions.enable_unless(tx, found.id, UNSUBSCRIBED)
        return found
    account = store.accounts.find(tx, account_id)
    secret = account.webhook_secret if account else encryptor.encrypt(new_webhook_secret())
    if spec.secret is not None:
        secret = encryptor.encrypt(spec.secret)
    subscription = _made(encryptor, account_id, spec, secret, now, hidden=True)
    if any(one.disabled_reason == UNSUBSCRIBED for one in store.subscriptions.same(tx, *place)):
        subscription = replace(subscription, enabled=False, disabled_reason=UNSUBSCRIBED)
    store.subscriptions.insert(tx, subscription)
    return subscription


def _internal(
    tx: Connection, place: tuple[str, str, str], spec: SubscriptionSpec
) -> Subscription | None:
    same = store.subscriptions.same(tx, *place, hidden=True)
    return next((one for one in same if spec.matches(one)), None)


def _identity(spec: SubscriptionSpec) -> str:
    """The identity of a subscription's row: its target, and its own headers and secret."""
    own = json.dumps([spec.headers, spec.secret]) if spec.headers or spec.secret else ""
    return digest(spec.target + own)


def target_of(encryptor: Encryptor, subscription: Subscription) -> str:
    """Its target; blank if no key can decrypt it, so that it can still be removed."""
    try:
        return encryptor.decrypt(subscription.target)
    except BadToken:
        return ""


def shown_subscription(encryptor: Encryptor, subscription: Subscription) -> SubscriptionJson:
    """A subscription as JSON, without its secrets."""
    try:
        headers = decrypt_headers(encryptor, subscription.headers)
    except BadToken:
        headers = {}
    return subscription_json(subscription, target_of(encryptor, subscription), headers)


def _made(
    encryptor: Encryptor,
    account_id: str,
    spec: SubscriptionSpec,
    secret: str,
    now: datetime,
    *,
    hidden: bool,
) -> Subscription:
    return Subscription(
        id=new_id("sub", now),
        account_id=account_id,
        channel=spec.channel,
        target=encryptor.encrypt(spec.target),
        target_digest=_identity(spec) if hidden else digest(spec.target),
        events=list(spec.events),
        format=spec.format,
        secret=secret,
        hidden=hidden,
        enabled=True,
        disabled_reason=None,
        held_until=None,
        created_at=now,
        models=list(spec.models),
        metadata=spec.metadata,
        name=spec.name,
        headers=encrypt_headers(encryptor, spec.headers),
    )
