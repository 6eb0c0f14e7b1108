"""Making subscriptions: an account's own, and the hidden ones behind a job's `notify`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service import store
from service.catalogue.models import MODELS
from service.channels.base import Channel
from service.deliveries.custom_headers import (
    check_headers,
    decrypt_headers,
    encrypt_headers,
)
from service.deliveries.secrets import check_secret
from service.deliveries.subscription_fields import FIELDS, METADATA_PAIRS, NAME_LENGTH
from service.errors import BadToken, FieldErrors, InvalidInput, json_pointer
from service.messages.payloads import FORMAT_EVENTS
from service.model import EventType, Subscription, new_id
from service.model.delivery_json import SubscriptionJson, subscription_json
from service.signing import Encryptor, digest, new_webhook_secret

#: Said by the reader of a mail: no later job may overrule it.
UNSUBSCRIBED = "unsubscribed by mail"
#: What a channel needs that is known, but not to be had here or by this caller.
NEEDS = {
    "email": "email needs the setting CLIPBELL_SMTP_URL on this server",
    "slack_bot": "slack_bot needs the setting CLIPBELL_SLACK_BOT_TOKEN on this server",
    "apprise": "apprise needs a key with the scope operator",
}
#: What counts as not given.
BLANK = (None, "")
NO_TARGET = "say where to send: an address or URL"


@dataclass(frozen=True)
class SubscriptionSpec:
    """
    A checked destination of messages: the channel, its target, which events, in which format.

    `models` and `metadata` narrow it to jobs of these models, with these very pairs.
    `headers` are in the clear; `secret` is the caller's own, None for one of ours.
    """

    channel: str
    target: str
    events: tuple[str, ...] = ()
    format: str = "standard"
    models: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    secret: str | None = None

    def matches(self, subscription: Subscription) -> bool:
        """Whether a subscription with this target wants the same."""
        return (
            subscription.format == self.format
            and subscription.events == list(self.events)
            and subscription.models == list(self.models)
            and subscription.metadata == self.metadata
        )


def open_to(channels: Mapping[str, Channel], scopes: Collection[str]) -> dict[str, Channel]:
    """The channels that a key with these scopes may name."""
    return {
        name: channel
        for name, channel in channels.items()
        if "operator" in scopes or not channel.operator_only
    }


def parse_subscription(
    channels: Mapping[str, Channel],
    given: Any,
    at: str,
    known_headers: Mapping[str, str] | None = None,
    events: Sequence[str] = (),
) -> SubscriptionSpec:
    """
    A request from ``"channel:target"`` or an object with the fields of `SubscriptionSpec`.

    Args:
        known_headers: those that are stored now, which `***` keeps.
        events: those that it gets if it names none itself; none: the usual ones.

    Raises:
        InvalidInput: all faults, with pointers below `at`.
    """
    parts, errors = _parts(given, at), FieldErrors(at)
    for name in parts:
        if name not in FIELDS:
            errors.add(json_pointer(name), "unknown_field", f"takes {', '.join(FIELDS)}")
    _check_words("events", parts.get("events"), list(EventType), errors)
    _check_words("models", parts.get("models"), list(MODELS), errors)
    _check_metadata(parts.get("metadata"), errors)
    _check_name(parts.get("name"), errors)
    headers = check_headers(parts.get("headers"), errors, known_headers or {})
    secret = check_secret(parts.get("secret"), errors)
    channel = channels.get(parts["channel"]) if isinstance(parts.get("channel"), str) else None
    if channel is None:
        needed = NEEDS.get(str(parts.get("channel")))
        message = f"must be one of {', '.join(channels)}"
        errors.add("/channel", "not_allowed", f"{needed}; else it {message}" if needed else message)
        if not isinstance(parts.get("target"), str):
            errors.add("/target", "required", NO_TARGET)
        raise InvalidInput(errors.found)
    for field_, value in (("headers", headers), ("secret", secret)):
        if value and parts["channel"] != "webhook":
            errors.add(f"/{field_}", "not_allowed", "is for the channel webhook only")
    format_ = channel.formats[0] if parts.get("format") in BLANK else parts["format"]
    if format_ not in channel.formats:
        errors.add("/format", "not_allowed", f"must be one of {', '.join(channel.formats)}")
    named = parts.get("events") or list(events) or None
    fitting = [e for e in EventType if e in FORMAT_EVENTS.get(str(format_), EventType)]
    if isinstance(named, list) and any(e in named for e in EventType if e not in fitting):
        message = f"{format_} has no other events than {', '.join(fitting)}; take standard or flat"
        errors.add("/format", "not_allowed", message)
    target = ""
    with errors.collect():
        target = _target(channel, parts.get("target"))
    errors.raise_any()
    events = tuple(named or (fitting if format_ == "openai" else channel.default_events))
    narrowed = (tuple(parts.get("models") or ()), parts.get("metadata") or {})
    name = " ".join(str(parts.get("name") or "").split())
    place = (parts["channel"], target, events, format_)
    return SubscriptionSpec(*place, *narrowed, name, headers, secret)


def parse_key_value(text: str) -> tuple[str, Any]:
    """``key=value`` of metadata; a value that is JSON counts as such. Raises InvalidInput."""
    name, equals, value = text.partition("=")
    if not equals:
        message = f"{text[:80]!r} is not key=value"
        raise InvalidInput.at("/metadata", "wrong_type", message)
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value.strip()


def _parts(given: Any, at: str) -> dict[str, Any]:
    if isinstance(given, str) and ":" in given:
        channel, _, target = given.partition(":")
        return {"channel": channel, "target": target}
    if isinstance(given, dict):
        return given
    message = 'must be "channel:target" or an object with channel and target'
    raise InvalidInput.at(at, "wrong_type", message)


def _check_words(name: str, given: Any, known: list[str], errors: FieldErrors) -> None:
    if given is not None and not isinstance(given, list):
        errors.add(f"/{name}", "wrong_type", f"must be a list of {name}")
        return
    for place, word in enumerate(given or []):
        if word not in known:
            errors.add(f"/{name}/{place}", "not_allowed", f"must be one of {', '.join(known)}")


def _check_metadata(given: Any, errors: FieldErrors) -> None:
    if given is None:
        return
    if not isinstance(given, dict) or len(given) > METADATA_PAIRS:
        message = f"must be an object of at most {METADATA_PAIRS} pairs"
        errors.add("/metadata", "wrong_type", message)
        return
    for name, value in given.items():
        if not isinstance(value, str | int | float):
            message = "must be text, a number or a boolean"
            errors.add(f"/metadata{json_pointer(name)}", "wrong_type", message)


def _check_name(given: Any, errors: FieldErrors) -> None:
    name = given or ""
    if not isinstance(name, str) or len(name) > NAME_LENGTH or not name.isprintable():
        message = f"must be at most {NAME_LENGTH} characters on one line"
        errors.add("/name", "not_allowed", message)


def _target(channel: Channel, given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise InvalidInput.at("/target", "required", NO_TARGET)
    return channel.check_target(given.strip())


def subscribe(
    tx: Connection,
    encryptor: Encryptor,
    account_id: str,
    spec: SubscriptionSpec,
    now: datetime,
    *,
    hook: bool = False,
    secret: str | None = None,
) -> tuple[Subscription, str]:
    """
    A new subscription, and its secret for the only time.

    Args:
        secret: one that was made before, for a test; else the spec's own, or a new one.
    """
    secret = secret or spec.secret or new_webhook_secret()
    made = _made(encryptor, account_id, spec, encryptor.encrypt(secret), now, hidden=False)
    subscription = replace(made, hook=hook)
    store.subscriptions.insert(tx, subscription)
    return subscription, secret


def parse_changes(
    channels: Mapping[str, Channel], encryptor: Encryptor, before: Subscription, given: Any
) -> dict[str, Any]:
    """
    The columns that a change of a subscription writes: only what is given.

    Args:
        given: fields of `SubscriptionSpec`, checked as for a new one, and ``enabled``.

    Raises:
        InvalidInput: all faults.
    """
    if not isinstance(given, dict):
        raise InvalidInput.at("", "wrong_type", "the body must be a JSON object")
    fields = dict(given)
    enabled = fields.pop("enabled", None)
    if enabled is not None and not isinstance(enabled, bool):
        raise InvalidInput.at("/enabled", "wrong_type", "must be true or false")
    if fields.pop("channel", before.channel) != before.channel:
        message = "cannot be changed: make a new subscription"
        raise InvalidInput.at("/channel", "not_allowed", message)
    if "secret" in fields:
        message = "cannot be changed here: use rotate-secret"
        raise InvalidInput.at("/secret", "not_allowed", message)
    changes = _changed_fields(channels, encryptor, before, fields) if fields else {}
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
    if "headers" in fields:
        changes |= {"headers": encrypt_headers(encryptor, spec.headers)}
    if "target" in fields:
        changes |= {"target": encryptor.encrypt(spec.target), "target_digest": digest(spec.target)}
    return changes


def get_or_create_hook(
    tx: Connection, encryptor: Encryptor, account_id: str, spec: SubscriptionSpec, now: datetime
) -> tuple[Subscription, str | None]:
    """
    The one REST hook of this target and these events, enabled, with `spec`'s format.

    Returns:
        The subscription; its secret, where it is new.
    """
    store.accounts.lock(tx, account_id)
    same = store.subscriptions.same(tx, account_id, "webhook", digest(spec.target), hidden=False)
    for before in same:
        if tuple(before.events) == spec.events:
            changes = store.subscriptions.ENABLED | {"format": spec.format}
            store.subscriptions.change(tx, before.id, **changes)
            return replace(before, **changes), None
    return subscribe(tx, encryptor, account_id, spec, now, hook=True)


def unsubscribe(tx: Connection, subscription_id: str, now: datetime) -> None:
    """Its reader wants no more of it; what is pending for it ends, too."""
    store.subscriptions.change(tx, subscription_id, enabled=False, disabled_reason=UNSUBSCRIBED)
    store.deliveries.end_pending(tx, now, subscription_id=subscription_id)


def get_or_create_internal(
    tx: Connection, encryptor: Encryptor, account_id: str, spec: SubscriptionSpec, now: datetime
) -> Subscription:
    """
    The one subscription behind this target, signed with the account's webhook secret.

    One that was switched off is on again, since it has just been asked for; only
    a reader's own unsubscribing stays.
    """
    store.accounts.lock(tx, account_id)
    same = store.subscriptions.same(tx, account_id, spec.channel, _identity(spec), hidden=True)
    for subscription in same:
        if spec.matches(subscription):
            if not subscription.enabled and subscription.disabled_reason != UNSUBSCRIBED:
                store.subscriptions.enable(tx, subscription.id)
            return subscription
    account = store.accounts.find(tx, account_id)
    secret = account.webhook_secret if account else encryptor.encrypt(new_webhook_secret())
    if spec.secret is not None:
        secret = encryptor.encrypt(spec.secret)
    subscription = _made(encryptor, account_id, spec, secret, now, hidden=True)
    store.subscriptions.insert(tx, subscription)
    return subscription


def _identity(spec: SubscriptionSpec) -> str:
    """What the rows of one target share, each with its own headers and secret apart."""
    own = json.dumps([spec.headers, spec.secret]) if spec.headers or spec.secret else ""
    return digest(spec.target + own)


def target_of(encryptor: Encryptor, subscription: Subscription) -> str:
    """Where it sends; blank where none of our keys opens that, so that it still can be ended."""
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
