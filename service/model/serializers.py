"""
How each of our things looks as JSON: one shape each, for API, command line and messages.

Pure functions of values.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from service.catalogue.models import MODELS
from service.codings import content_of
from service.model import (
    CALLBACK_BYTES,
    DEFAULT_EVENTS,
    Account,
    ApiKey,
    Attempt,
    Callback,
    Delivery,
    Job,
    Rejection,
    Subscription,
    Video,
    VideoState,
)


def iso(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole seconds unless there are fractions; None stays None."""
    if moment is None:
        return None
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def job_json(job: Job, video: Video | None, link: str | None) -> dict[str, Any]:
    """The job as the API shows it."""
    return {
        "id": job.id,
        "model": job.model,
        "provider": job.provider,
        "task_id": job.task_id,
        "state": job.state.value,
        "input": job.input,
        "metadata": job.metadata,
        "video": video_json(video, link) if video and link else None,
        "error": job.error,
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


def dry_run_json(job: Job, wire: dict[str, Any], callback_url: str) -> dict[str, Any]:
    """What would be sent, with its price and time; the callback's token is a secret too."""
    hidden = callback_url.rpartition("/")[0] + "/***"
    text = json.dumps(wire).replace(json.dumps(callback_url), json.dumps(hidden))
    return {
        "dry_run": True,
        "request": json.loads(text),
        "cost": job_json(job, None, None)["cost"],
        "expected_seconds": MODELS[job.model].expected(job.input),
    }


def video_json(video: Video, link: str) -> dict[str, Any]:
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


def callback_json(callback: Callback) -> dict[str, Any]:
    """A stored callback, without what it said; see `callback_content`."""
    return {
        "id": callback.id,
        "job_id": callback.job_id,
        "provider": callback.provider,
        "state": callback.state.value,
        "note": callback.note,
        "repeats": callback.repeats,
        "bytes": len(callback.body),
        "sha256": callback.digest,
        "received_at": iso(callback.received_at),
    }


def callback_content(callback: Callback) -> dict[str, Any]:
    """
    What a callback said: its headers, and its body as it came.

    The body is text, or base64 where it is none; `decoded` is the text of one that came
    in a content coding such as gzip, else None.
    """
    try:
        said = {"encoding": "utf-8", "body": callback.body.decode()}
    except UnicodeDecodeError:
        said = {"encoding": "base64", "body": base64.b64encode(callback.body).decode()}
    content = content_of(callback.headers, callback.body, CALLBACK_BYTES)
    decoded = None if content == callback.body else content.decode("utf-8", "replace")
    return {"headers": callback.headers, **said, "decoded": decoded}


def rejection_json(rejection: Rejection) -> dict[str, Any]:
    """A callback that was refused."""
    return {**vars(rejection), "received_at": iso(rejection.received_at)}


def subscription_json(subscription: Subscription, target: str) -> dict[str, Any]:
    """A subscription with its opened target, without its secrets."""
    return {
        "id": subscription.id,
        "channel": subscription.channel,
        "target": target,
        "events": subscription.events or [event.value for event in DEFAULT_EVENTS],
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


def delivery_json(delivery: Delivery, attempts: Iterable[Attempt]) -> dict[str, Any]:
    """A delivery with those of the `attempts` that are its own."""
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "job_id": delivery.job_id,
        "subscription_id": delivery.subscription_id,
        "channel": delivery.channel,
        "state": delivery.state.value,
        "next_attempt_at": iso(delivery.due_at),
        "attempts": [attempt_json(a) for a in attempts if a.delivery_id == delivery.id],
        "created_at": iso(delivery.created_at),
        "finished_at": iso(delivery.finished_at),
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


def attempt_json(attempt: Attempt) -> dict[str, Any]:
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
