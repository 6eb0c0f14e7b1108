"""The JSON of subscriptions, deliveries and their attempts; see `job_json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, cast

from typing_extensions import TypedDict

from service.formatting import iso
from service.model import (
    DEFAULT_EVENTS,
    Attempt,
    Delivery,
    DeliveryState,
    EventType,
    Exchange,
    Subscription,
)
from service.model.json_types import (
    ChannelName,
    DeliveryId,
    Encoding,
    EventId,
    JobId,
    Moment,
    Secret,
    SubscriptionId,
    about,
    text_or_base64,
)

#: So much of a body that was sent is shown.
SHOWN_BYTES = 64 * 1024


class SubscriptionJson(TypedDict):
    """A subscription sends chosen events by one channel to one target."""

    id: Annotated[SubscriptionId, about("The subscription's id.")]
    channel: Annotated[ChannelName, about("The channel.")]
    name: Annotated[str, about("Its name for people; may be blank.", "Orders")]
    target: Annotated[str, about("Where events are sent.", "https://example.com/clips")]
    headers: Annotated[
        dict[str, str], about("Headers for the endpoint, their values hidden.", {"X-Key": "***"})
    ]
    events: Annotated[list[EventType], about("Its events.", ["job.succeeded", "job.failed"])]
    format: Annotated[str, about("The format of the body.", "standard")]
    models: Annotated[list[str], about("Only jobs of these models; empty: all jobs.", [])]
    metadata: Annotated[dict[str, Any], about("Only jobs with these pairs.", {})]
    enabled: Annotated[bool, about("Whether it is enabled.", True)]
    disabled_reason: Annotated[str | None, about("The reason why it was disabled.", None)]
    held_until: Annotated[
        Moment | None, about("Nothing is sent before this time, as the endpoint asked.", None)
    ]
    failing_since: Annotated[
        Moment | None, about("The time of the first failure since the last success.", None)
    ]
    old_secret_until: Annotated[
        Moment | None, about("The time until which the previous secret signs too.", None)
    ]
    created_at: Annotated[Moment, about("The time of its creation.")]


class SubscriptionWithSecretJson(SubscriptionJson):
    """A subscription with its secret."""

    secret: Annotated[Secret, about("Verifies our signatures; shown only once.")]


def subscription_json(
    subscription: Subscription, target: str, headers: Iterable[str]
) -> SubscriptionJson:
    """
    A subscription with its decrypted target, without its secrets.

    Args:
        headers: the names of its own headers.
    """
    return {
        "id": subscription.id,
        "channel": subscription.channel,
        "name": subscription.name,
        "target": target,
        "headers": dict.fromkeys(headers, "***"),
        "events": events_of(subscription),
        "format": subscription.format,
        "models": subscription.models,
        "metadata": subscription.metadata,
        "enabled": subscription.enabled,
        "disabled_reason": subscription.disabled_reason,
        "held_until": iso(subscription.held_until),
        "failing_since": iso(subscription.failing_since),
        "old_secret_until": iso(subscription.previous_until),
        "created_at": iso(subscription.created_at),
    }


def events_of(subscription: Subscription) -> list[EventType]:
    """The events that a subscription gets, also where it names none."""
    return cast("list[EventType]", subscription.events) or list(DEFAULT_EVENTS)


class TriggeredJson(TypedDict):
    """A sample event."""

    id: Annotated[EventId, about("The event's id.")]
    type: Annotated[EventType, about("Its type.", "job.succeeded")]
    deliveries: Annotated[list[DeliveryId], about("Its deliveries, one per subscription.")]


class AttemptJson(TypedDict):
    """One try at a delivery."""

    number: Annotated[int, about("1, 2, 3 …", 1)]
    started_at: Annotated[Moment, about("The time of its start.")]
    manual: Annotated[bool, about("Whether a person asked for it.", False)]
    status: Annotated[int | None, about("The HTTP status of the endpoint.", 200)]
    error: Annotated[str | None, about("The reason of the failure; null: none.", None)]
    milliseconds: Annotated[int, about("Its duration, in milliseconds.", 84)]
    response: Annotated[str, about("The first bytes of the answer.", "ok")]


class SentJson(TypedDict):
    """A request as it was sent."""

    method: Annotated[str, about("`POST`; `SMTP` for mail, `APPRISE` for Apprise.", "POST")]
    url: Annotated[
        str,
        about(
            "Its URL; masked if it is secret or has changed since.",
            "https://example.com/clips",
        ),
    ]
    headers: Annotated[
        dict[str, str],
        about("Its headers, secrets masked.", {"Content-Type": "application/json"}),
    ]
    body: Annotated[str, about("The first 64 KiB of its body.", '{"type":"job.succeeded"}')]
    truncated: Annotated[bool, about("Whether the body was longer.", False)]


class AnswerJson(TypedDict):
    """The answer to a request."""

    status: Annotated[int | None, about("Its HTTP or SMTP status.", 200)]
    headers: Annotated[dict[str, str], about("Its headers.", {"Content-Type": "text/plain"})]
    encoding: Annotated[Encoding, about("The encoding of `body`.")]
    body: Annotated[str, about("The first 64 KiB of its body.", "ok")]
    truncated: Annotated[bool, about("Whether the body was longer.", False)]


class AttemptWithContentJson(AttemptJson):
    """One try at a delivery, with its request and answer."""

    request: Annotated[SentJson | None, about("The request; null if nothing was sent.")]
    answer: Annotated[AnswerJson | None, about("The answer; null if there was none.")]


class DeliveryFactsJson(TypedDict):
    """One event for one subscription, without its attempts."""

    id: Annotated[DeliveryId, about("The delivery's id.")]
    event_id: Annotated[EventId, about("The event.")]
    job_id: Annotated[JobId | None, about("The job of the event.")]
    subscription_id: Annotated[SubscriptionId, about("The subscription.")]
    channel: Annotated[ChannelName, about("The channel.")]
    state: Annotated[DeliveryState, about("Its state.", DeliveryState.DELIVERED.value)]
    next_attempt_at: Annotated[Moment | None, about("The time of the next attempt.", None)]
    created_at: Annotated[Moment, about("The time of its creation.")]
    finished_at: Annotated[Moment | None, about("The time at which it was delivered or given up.")]


class DeliveryJson(DeliveryFactsJson):
    """One event for one subscription."""

    attempts: list[AttemptJson]


class ListedDeliveryJson(DeliveryJson):
    """One event for one subscription, with the event's type and the target."""

    type: Annotated[EventType | None, about("The event's type; null if the event was purged.")]
    to: Annotated[
        str, about("The subscription's name, else its channel and masked target.", "Orders")
    ]


class DeliveryWithContentJson(DeliveryFactsJson):
    """A delivery with the request and the answer of each attempt."""

    attempts: list[AttemptWithContentJson]


def delivery_json(delivery: Delivery, attempts: Iterable[Attempt]) -> DeliveryJson:
    """A delivery with those of the `attempts` that are its own."""
    own = [attempt_json(a) for a in attempts if a.delivery_id == delivery.id]
    return {**_delivery_facts(delivery), "attempts": own}


def full_delivery_json(
    delivery: Delivery, attempts: Iterable[Attempt], exchanges: Mapping[tuple[str, int], Exchange]
) -> DeliveryWithContentJson:
    """
    A delivery with the request and the answer of each attempt.

    Args:
        exchanges: the exchanges, by delivery id and number of the attempt.
    """
    own: list[AttemptWithContentJson] = []
    for attempt in [one for one in attempts if one.delivery_id == delivery.id]:
        exchange = exchanges.get((delivery.id, attempt.number))
        sent: SentJson | None = None
        answer: AnswerJson | None = None
        if exchange is not None:
            body = exchange.body if exchange.body is not None else delivery.body or b""
            sent = {
                "method": exchange.method,
                "url": exchange.url,
                "headers": exchange.headers,
                "body": body[:SHOWN_BYTES].decode("utf-8", "replace"),
                "truncated": len(body) > SHOWN_BYTES,
            }
        if exchange is not None and exchange.answer is not None:
            encoding, text = text_or_base64(exchange.answer)
            answer = {
                "status": exchange.status,
                "headers": exchange.answer_headers or {},
                "encoding": encoding,
                "body": text,
                "truncated": exchange.truncated,
            }
        own.append({**attempt_json(attempt), "request": sent, "answer": answer})
    return {**_delivery_facts(delivery), "attempts": own}


def _delivery_facts(delivery: Delivery) -> DeliveryFactsJson:
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "job_id": delivery.job_id,
        "subscription_id": delivery.subscription_id,
        "channel": delivery.channel,
        "state": delivery.state,
        "next_attempt_at": iso(delivery.due_at),
        "created_at": iso(delivery.created_at),
        "finished_at": iso(delivery.finished_at),
    }


def attempt_json(attempt: Attempt) -> AttemptJson:
    """One try at a delivery."""
    return {
        "number": attempt.number,
        "started_at": iso(attempt.created_at),
        "manual": attempt.manual,
        "status": attempt.status,
        "error": attempt.error,
        "milliseconds": attempt.milliseconds,
        "response": attempt.response,
    }
