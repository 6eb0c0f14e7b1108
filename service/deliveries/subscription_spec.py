"""The checked request for a subscription, field by field."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.catalogue.models import MODELS
from service.channels.base import Channel
from service.deliveries.custom_headers import check_headers
from service.deliveries.secrets import check_secret
from service.deliveries.subscription_fields import FIELDS, METADATA_PAIRS, NAME_LENGTH
from service.errors import FieldErrors, InvalidInput, did_you_mean, got, json_pointer
from service.messages.payloads import FORMAT_EVENTS
from service.model import EventType, Subscription
from service.model.json_text import read_json

#: The requirement of a channel that is not available on this server or to this caller.
NEEDS = {
    "email": "email needs the setting CLIPBELL_SMTP_URL on this server",
    "slack_bot": "slack_bot needs the setting CLIPBELL_SLACK_BOT_TOKEN on this server",
    "apprise": "apprise needs a key with the scope operator",
}
#: Values that count as missing.
BLANK = (None, "")
NO_TARGET = "say where to send: an address or URL"


@dataclass(frozen=True)
class SubscriptionSpec:
    """
    A checked destination of messages: channel, target, events and format.

    `models` and `metadata` limit it to jobs of these models, with exactly these pairs.
    `headers` are not encrypted; `secret` is the caller's own, None to generate one.
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
    """The channels that a key with these scopes may use, by name."""
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
    Parse ``"channel:target"``, or an object with the fields of `SubscriptionSpec`.

    Args:
        known_headers: the stored headers, by name; a value of `***` keeps one.
        events: the events for a request that names none; empty: the default events.

    Raises:
        InvalidInput: all faults, with pointers below `at`.
    """
    parts, errors = _parts(given, at), FieldErrors(at)
    _check_fields(parts, errors)
    headers = check_headers(parts.get("headers"), errors, known_headers or {})
    secret = check_secret(parts.get("secret"), errors)
    channel = _channel(channels, parts, errors)
    for field_, value in (("headers", headers), ("secret", secret)):
        if value and parts["channel"] != "webhook":
            errors.add(f"/{field_}", "not_allowed", "is for the channel webhook only")
    format_, chosen = _format_and_events(channel, parts, events, errors)
    target = _target(channel, parts.get("target"), errors)
    errors.raise_any()
    return SubscriptionSpec(
        parts["channel"],
        target,
        tuple(dict.fromkeys(chosen)),
        format_,
        models=tuple(dict.fromkeys(parts.get("models") or ())),
        metadata=parts.get("metadata") or {},
        name=" ".join(str(parts.get("name") or "").split()),
        headers=headers,
        secret=secret,
    )


def _channel(
    channels: Mapping[str, Channel], parts: Mapping[str, Any], errors: FieldErrors
) -> Channel:
    """The named channel. Raises InvalidInput at once: nothing else can be checked without it."""
    name = parts.get("channel")
    if isinstance(name, str) and name in channels:
        return channels[name]
    message, needed = f"must be one of {', '.join(channels)}", NEEDS.get(str(name))
    message = f"{needed}; otherwise it {message}" if needed else message + got(name)
    errors.add("/channel", "not_allowed", message)
    if not isinstance(parts.get("target"), str):
        errors.add("/target", "required", NO_TARGET)
    raise InvalidInput(errors.found)


def _format_and_events(
    channel: Channel, parts: Mapping[str, Any], usual: Sequence[str], errors: FieldErrors
) -> tuple[str, Sequence[str]]:
    format_ = channel.formats[0] if parts.get("format") in BLANK else parts["format"]
    if format_ not in channel.formats:
        message = f"must be one of {', '.join(channel.formats)}{got(format_)}"
        errors.add("/format", "not_allowed", message)
    named = parts.get("events") or list(usual) or None
    fitting = [e for e in EventType if e in FORMAT_EVENTS.get(str(format_), EventType)]
    if isinstance(named, list) and any(e in named for e in EventType if e not in fitting):
        message = f"{format_} has only the events {', '.join(fitting)}; take standard or flat"
        errors.add("/format", "not_allowed", message)
    return format_, named or (fitting if format_ == "openai" else channel.default_events)


def parse_key_value(text: str) -> tuple[str, Any]:
    """Parse ``key=value`` of metadata; a JSON value is decoded. Raises InvalidInput."""
    name, equals, value = text.partition("=")
    if not equals:
        message = f"{text[:80]!r} is not key=value"
        raise InvalidInput.at("/metadata", "wrong_type", message)
    try:
        return name.strip(), read_json(value)
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


def _target(channel: Channel, given: Any, errors: FieldErrors) -> str:
    """The target in the channel's own form; blank if it is not valid."""
    with errors.collect():
        if not isinstance(given, str) or not given.strip():
            raise InvalidInput.at("/target", "required", NO_TARGET)
        return channel.check_target(given.strip())
    return ""


def _check_fields(parts: Mapping[str, Any], errors: FieldErrors) -> None:
    """Check the names of all fields, and the fields that are the same for every channel."""
    for name in parts:
        if name not in FIELDS:
            message = f"takes {', '.join(FIELDS)}{did_you_mean(name, FIELDS)}"
            errors.add(json_pointer(name), "unknown_field", message)
    _check_words("events", parts.get("events"), list(EventType), errors)
    _check_words("models", parts.get("models"), list(MODELS), errors)
    metadata = {} if parts.get("metadata") is None else parts["metadata"]
    if not isinstance(metadata, dict) or len(metadata) > METADATA_PAIRS:
        message = f"must be an object of at most {METADATA_PAIRS} pairs"
        errors.add("/metadata", "wrong_type", message)
        metadata = {}
    for key, value in metadata.items():
        if not isinstance(value, str | int | float):
            message = "must be text, a number or a boolean" + got(value)
            errors.add(f"/metadata{json_pointer(key)}", "wrong_type", message)
    title = "" if parts.get("name") is None else parts["name"]
    if not isinstance(title, str) or len(title) > NAME_LENGTH or not title.isprintable():
        message = f"must be at most {NAME_LENGTH} characters on one line"
        errors.add("/name", "not_allowed", message)


def _check_words(name: str, given: Any, known: list[str], errors: FieldErrors) -> None:
    if given is not None and not isinstance(given, list):
        errors.add(f"/{name}", "wrong_type", f"must be a list of {name}{got(given)}")
        return
    for place, word in enumerate(given or []):
        if word not in known:
            message = f"must be one of {', '.join(known)}{got(word)}"
            errors.add(f"/{name}/{place}", "not_allowed", message)
