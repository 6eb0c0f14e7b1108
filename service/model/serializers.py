"""
The JSON of each entity: one shape each, for the API, the command line and messages.

A shape is a `TypedDict`: mypy compares it with the function that fills it, and pydantic makes
the schema in ``/openapi.json`` from it. It stays a plain dict, so a row of a list costs nothing
more. Pure functions of values.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast, overload

from typing_extensions import TypedDict

from service.codings import content_of
from service.model import (
    CALLBACK_BYTES,
    DEFAULT_EVENTS,
    Account,
    ApiKey,
    Attempt,
    Callback,
    CallbackState,
    Delivery,
    DeliveryState,
    EventType,
    Exchange,
    Job,
    JobState,
    Rejection,
    Subscription,
    Video,
    VideoState,
)
from service.model.json_types import (
    LINK,
    CallbackId,
    ChannelName,
    DeliveryId,
    EventId,
    JobId,
    ModelName,
    Moment,
    ProviderName,
    Secret,
    SubscriptionId,
    Url,
    about,
)

Encoding = Literal["utf-8", "base64"]
#: So much of a body that was sent is shown.
SHOWN_BYTES = 64 * 1024


@overload
def iso(moment: datetime) -> str: ...
@overload
def iso(moment: None) -> None: ...
@overload
def iso(moment: datetime | None) -> str | None: ...
def iso(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole seconds unless there are fractions; None stays None."""
    if moment is None:
        return None
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


class CostJson(TypedDict):
    """What a job costs; null where nobody states it."""

    currency: Annotated[Literal["USD"], about("The currency.")]
    estimated_min: Annotated[float | None, about("The lowest price.", 0.44)]
    estimated_max: Annotated[float | None, about("The highest price.", 0.44)]
    actual: Annotated[float | None, about("The price that the vendor reported.", None)]


class JobErrorJson(TypedDict):
    """Why a job failed or waits."""

    code: Annotated[str, about("A stable word for programs.", "CONTENT_VIOLATION")]
    message: Annotated[str, about("The reason, for people.", "the prompt was refused")]
    retryable: Annotated[bool, about("Whether a new job may succeed.", False)]
    hint: Annotated[str, about("What to do about it.", "Change the prompt.")]
    provider_code: Annotated[str | None, about("The vendor's own word.", "1301")]


class VideoJson(TypedDict):
    """The result. The links are ours and stay the same."""

    url: Annotated[Url | None, about("Plays the video.", LINK)]
    download_url: Annotated[Url | None, about("Saves the video.", f"{LINK}?download=1")]
    poster_url: Annotated[Url | None, about("A frame, as JPEG.", f"{LINK}/poster.jpg")]
    bytes: Annotated[int | None, about("Its size.", 712001)]
    sha256: Annotated[str | None, about("The SHA-256 of its bytes, in hex.", "9f" * 32)]
    seconds: Annotated[float | None, about("Its length.", 5.0)]
    width: Annotated[int | None, about("In pixels.", 1280)]
    height: Annotated[int | None, about("In pixels.", 720)]
    provider_url: Annotated[Url | None, about("The vendor's own link.", None)]
    provider_expires_at: Annotated[Moment | None, about("When that link expires.", None)]
    deleted_at: Annotated[Moment | None, about("When our copy was deleted.", None)]


class JobJson(TypedDict):
    """One video that somebody asked for."""

    id: Annotated[JobId, about("The job's id.")]
    model: Annotated[ModelName, about("The model that makes the video.")]
    provider: Annotated[ProviderName, about("The vendor.")]
    task_id: Annotated[str | None, about("The vendor's id of its task.", "a1b2c3")]
    state: Annotated[JobState, about("Its state.", JobState.SUCCEEDED.value)]
    input: Annotated[
        dict[str, Any],
        about("The input that is sent, with defaults.", {"prompt": "A fox", "duration": 5}),
    ]
    metadata: Annotated[dict[str, Any], about("Yours, as you sent it.", {"order": 7})]
    video: Annotated[VideoJson | None, about("The result; null before there is one.")]
    error: Annotated[JobErrorJson | None, about("Why it failed or waits.", None)]
    cost: CostJson
    created_at: Annotated[Moment, about("When it was created.")]
    submitted_at: Annotated[Moment | None, about("When the vendor accepted it.")]
    finished_at: Annotated[Moment | None, about("When it reached its final state.")]
    deadline_at: Annotated[Moment | None, about("When it counts as overdue.")]


def job_json(job: Job, video: Video | None, link: str | None) -> JobJson:
    """The job as the API shows it."""
    return {
        "id": job.id,
        "model": job.model,
        "provider": job.provider,
        "task_id": job.task_id,
        "state": job.state,
        "input": job.input,
        "metadata": job.metadata,
        "video": video_json(video, link) if video and link else None,
        "error": cast("JobErrorJson | None", job.error),
        "cost": {
            "currency": "USD",
            "estimated_min": job.estimated_min,
            "estimated_max": job.estimated_max,
            "actual": job.actual_cost,
        },
        "created_at": iso(job.created_at),
        "submitted_at": iso(job.submitted_at),
        "finished_at": iso(job.finished_at),
        "deadline_at": iso(job.deadline_at),
    }


class DryRunJson(TypedDict):
    """The request that a job would send; nothing was sent."""

    dry_run: Annotated[Literal[True], about("Always true.")]
    request: Annotated[
        dict[str, Any],
        about(
            "The exact request to the vendor, secrets masked.",
            {
                "method": "POST",
                "url": "https://api.segmind.com/v2/kling-2.5-turbo",
                "headers": {"x-api-key": "***"},
                "body": {"prompt": "A fox in the snow", "duration": 5},
            },
        ),
    ]
    cost: CostJson
    expected_seconds: Annotated[float, about("The vendor's own estimate.", 134.32)]


def dry_run_json(
    job: Job, wire: dict[str, Any], callback_url: str, expected_seconds: float
) -> DryRunJson:
    """The request that would be sent, its price and time; the callback's token is a secret too."""
    hidden = callback_url.rpartition("/")[0] + "/***"
    text = json.dumps(wire).replace(json.dumps(callback_url), json.dumps(hidden))
    return {
        "dry_run": True,
        "request": json.loads(text),
        "cost": job_json(job, None, None)["cost"],
        "expected_seconds": expected_seconds,
    }


def video_json(video: Video, link: str) -> VideoJson:
    """The video within a job: our links until we delete it, figures once the copy is there."""
    kept = video.state is not VideoState.DELETED
    return {
        "url": link if kept else None,
        "download_url": f"{link}?download=1" if kept else None,
        "poster_url": f"{link}/poster.jpg" if video.poster_file else None,
        "bytes": video.bytes,
        "sha256": video.sha256,
        "seconds": video.seconds,
        "width": video.width,
        "height": video.height,
        "provider_url": video.provider_url,
        "provider_expires_at": iso(video.provider_expires_at),
        "deleted_at": iso(video.deleted_at),
    }


class CallbackJson(TypedDict):
    """One POST of a vendor to a signed URL of ours."""

    id: Annotated[CallbackId, about("The callback's id.")]
    job_id: Annotated[JobId, about("The job that the URL names.")]
    provider: Annotated[ProviderName, about("The vendor.")]
    state: Annotated[CallbackState, about("Its state.", CallbackState.PROCESSED.value)]
    note: Annotated[str, about("The result of processing it.", "succeeded, confirmed")]
    repeats: Annotated[int, about("How often the same bytes arrived again.", 0)]
    bytes: Annotated[int, about("The size of its body.", 37)]
    sha256: Annotated[str, about("The SHA-256 of its body, in hex.", "9f" * 32)]
    received_at: Annotated[Moment, about("When it arrived.")]


def callback_json(callback: Callback) -> CallbackJson:
    """A stored callback, without its headers and body."""
    return {
        "id": callback.id,
        "job_id": callback.job_id,
        "provider": callback.provider,
        "state": callback.state,
        "note": callback.note,
        "repeats": callback.repeats,
        "bytes": len(callback.body),
        "sha256": callback.digest,
        "received_at": iso(callback.received_at),
    }


class CallbackWithContentJson(CallbackJson):
    """A callback with its headers and body."""

    headers: Annotated[dict[str, str], about("Its headers.", {"Content-Type": "application/json"})]
    encoding: Annotated[Encoding, about("How `body` is written.")]
    body: Annotated[str, about("Its body, as it came.", '{"taskId":"t1","state":"success"}')]
    decoded: Annotated[
        str | None,
        about("Its body as text, where it came in a content coding such as gzip.", None),
    ]


def full_callback_json(callback: Callback) -> CallbackWithContentJson:
    """
    A stored callback with its headers and its body as it came.

    The body is text, or base64 where it is none; `decoded` is the text of one that came
    in a content coding such as gzip, else None.
    """
    encoding, body = _as_text(callback.body)
    content = content_of(callback.headers, callback.body, CALLBACK_BYTES)
    return {
        **callback_json(callback),
        "headers": callback.headers,
        "encoding": encoding,
        "body": body,
        "decoded": None if content == callback.body else content.decode("utf-8", "replace"),
    }


class RejectionJson(TypedDict):
    """A callback that was refused."""

    id: Annotated[str, about("Its id.", "0198f3c2a1b47d6e9f00112233445566")]
    reason: Annotated[str, about("Why it was refused.", "expired")]
    remote: Annotated[str, about("The address that sent it.", "192.0.2.7")]
    received_at: Annotated[Moment, about("When it arrived.")]


def rejection_json(rejection: Rejection) -> RejectionJson:
    """A callback that was refused."""
    return {
        "id": rejection.id,
        "reason": rejection.reason,
        "remote": rejection.remote,
        "received_at": iso(rejection.received_at),
    }


class SubscriptionJson(TypedDict):
    """Who gets which events, by which channel, at which target."""

    id: Annotated[SubscriptionId, about("The subscription's id.")]
    channel: Annotated[ChannelName, about("The kind of transport.")]
    name: Annotated[str, about("What people call it; may be blank.", "Orders")]
    target: Annotated[str, about("Where events are sent.", "https://example.com/clips")]
    headers: Annotated[
        dict[str, str], about("Headers for the endpoint, their values hidden.", {"X-Key": "***"})
    ]
    events: Annotated[list[EventType], about("Its events.", ["job.succeeded", "job.failed"])]
    format: Annotated[str, about("The format of the body.", "standard")]
    models: Annotated[list[str], about("Only jobs of these models; empty: of all.", [])]
    metadata: Annotated[dict[str, Any], about("Only jobs with these pairs.", {})]
    enabled: Annotated[bool, about("Whether it is on.", True)]
    disabled_reason: Annotated[str | None, about("Why it was disabled.", None)]
    held_until: Annotated[
        Moment | None, about("Nothing is sent before, as the endpoint asked.", None)
    ]
    failing_since: Annotated[
        Moment | None, about("The first failure since the last success.", None)
    ]
    old_secret_until: Annotated[
        Moment | None, about("Until when the previous secret signs too.", None)
    ]
    created_at: Annotated[Moment, about("When it was created.")]


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


class AttemptJson(TypedDict):
    """One try at a delivery."""

    number: Annotated[int, about("1, 2, 3 …", 1)]
    started_at: Annotated[Moment, about("When it started.")]
    manual: Annotated[bool, about("Whether a person asked for it.", False)]
    status: Annotated[int | None, about("The HTTP status of the endpoint.", 200)]
    error: Annotated[str | None, about("Why it failed.", None)]
    milliseconds: Annotated[int, about("How long it took.", 84)]
    response: Annotated[str, about("The first bytes of the answer.", "ok")]


class SentJson(TypedDict):
    """A request as it was sent."""

    method: Annotated[str, about("`POST`; `SMTP` for mail, `APPRISE` for Apprise.", "POST")]
    url: Annotated[
        str,
        about(
            "Where it was sent; masked where it is a secret or has been changed since.",
            "https://example.com/clips",
        ),
    ]
    headers: Annotated[
        dict[str, str],
        about("Its headers, secrets masked.", {"Content-Type": "application/json"}),
    ]
    body: Annotated[str, about("Its body, at most 64 KiB of it.", '{"type":"job.succeeded"}')]
    truncated: Annotated[bool, about("Whether the body was longer.", False)]


class AnswerJson(TypedDict):
    """The answer to a request."""

    status: Annotated[int | None, about("Its HTTP or SMTP status.", 200)]
    headers: Annotated[dict[str, str], about("Its headers.", {"Content-Type": "text/plain"})]
    encoding: Annotated[Encoding, about("How `body` is written.")]
    body: Annotated[str, about("Its body, at most 64 KiB of it.", "ok")]
    truncated: Annotated[bool, about("Whether the body was longer.", False)]


class AttemptWithContentJson(AttemptJson):
    """One try at a delivery, with what was sent and answered."""

    request: Annotated[SentJson | None, about("What was sent; null where nothing was.")]
    answer: Annotated[AnswerJson | None, about("The answer; null where there was none.")]


class DeliveryFactsJson(TypedDict):
    """One event for one subscription, without its attempts."""

    id: Annotated[DeliveryId, about("The delivery's id.")]
    event_id: Annotated[EventId, about("The event.")]
    job_id: Annotated[JobId | None, about("The job of the event.")]
    subscription_id: Annotated[SubscriptionId, about("The subscription.")]
    channel: Annotated[ChannelName, about("The kind of transport.")]
    state: Annotated[DeliveryState, about("Its state.", DeliveryState.DELIVERED.value)]
    next_attempt_at: Annotated[Moment | None, about("When it is tried next.", None)]
    created_at: Annotated[Moment, about("When it was created.")]
    finished_at: Annotated[Moment | None, about("When it was delivered or given up.")]


class DeliveryJson(DeliveryFactsJson):
    """One event for one subscription."""

    attempts: list[AttemptJson]


class DeliveryWithContentJson(DeliveryFactsJson):
    """A delivery with what each attempt sent and was answered."""

    attempts: list[AttemptWithContentJson]


def delivery_json(delivery: Delivery, attempts: Iterable[Attempt]) -> DeliveryJson:
    """A delivery with those of the `attempts` that are its own."""
    own = [attempt_json(a) for a in attempts if a.delivery_id == delivery.id]
    return {**_delivery_facts(delivery), "attempts": own}


def full_delivery_json(
    delivery: Delivery, attempts: Iterable[Attempt], exchanges: Mapping[tuple[str, int], Exchange]
) -> DeliveryWithContentJson:
    """
    A delivery with what each attempt sent and was answered.

    Args:
        exchanges: by delivery and number of the attempt.
    """
    own: list[AttemptWithContentJson] = []
    for attempt in attempts:
        if attempt.delivery_id == delivery.id:
            exchange = exchanges.get((delivery.id, attempt.number))
            sent = _sent_json(exchange, delivery) if exchange else None
            answer = _answer_json(exchange) if exchange and exchange.answer is not None else None
            own.append({**attempt_json(attempt), "request": sent, "answer": answer})
    return {**_delivery_facts(delivery), "attempts": own}


def _sent_json(exchange: Exchange, delivery: Delivery) -> SentJson:
    body = exchange.body if exchange.body is not None else delivery.body or b""
    return {
        "method": exchange.method,
        "url": exchange.url,
        "headers": exchange.headers,
        "body": body[:SHOWN_BYTES].decode("utf-8", "replace"),
        "truncated": len(body) > SHOWN_BYTES,
    }


def _answer_json(exchange: Exchange) -> AnswerJson:
    encoding, body = _as_text(exchange.answer or b"")
    return {
        "status": exchange.status,
        "headers": exchange.answer_headers or {},
        "encoding": encoding,
        "body": body,
        "truncated": exchange.truncated,
    }


def _as_text(body: bytes) -> tuple[Encoding, str]:
    """A body as text, or as base64 where it is none."""
    try:
        return "utf-8", body.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(body).decode()


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


def account_json(account: Account) -> dict[str, Any]:
    """An account, without its secret."""
    return {
        "id": account.id,
        "name": account.name,
        "owner_email": account.owner_email,
        "created_at": iso(account.created_at),
    }


def key_json(key: ApiKey) -> dict[str, Any]:
    """A key as people tell it from others, by its first letters; nobody can show the rest."""
    return {
        "id": key.id,
        "account_id": key.account_id,
        "name": key.name,
        "hint": key.key_prefix,
        "scopes": key.scopes,
        "created_at": iso(key.created_at),
        "revoked_at": iso(key.revoked_at),
    }
