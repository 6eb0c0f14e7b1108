"""Examples of what is answered, by schema; each is valid by its own, which a test holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.events.samples import SAMPLE_JOB, sample_job, sample_video
from service.messages.payloads import Notification, flat
from service.model import Event, EventType
from service.model.serializers import job_json

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WHEN = "2026-01-01T12:00:00Z"
TAIL = "0198f3c2a1b47d6e9f00112233445566"
ACCOUNT, EVENT, SUBSCRIPTION = f"acc_{TAIL}", f"evt_{TAIL}", f"sub_{TAIL}"
DELIVERY, CALLBACK = f"dlv_{TAIL}", f"cbk_{TAIL}"
LINK = "https://clips.example.com/v/eyJ2aWRlbyI6…"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - an example

_EVENT = Event(EVENT, ACCOUNT, SAMPLE_JOB, EventType.JOB_SUCCEEDED, 3, NOON, sample=True)
_JOB = job_json(sample_job(_EVENT), sample_video(_EVENT), LINK)
_NOTICE = Notification(_EVENT, sample_job(_EVENT), sample_video(_EVENT), LINK, "", "")
_QUEUED = _JOB | {
    "state": "queued",
    "video": None,
    "cost": {"currency": "USD", "estimated_min": 0.44, "estimated_max": 0.44, "actual": None},
    "submitted_at": None,
    "finished_at": None,
}
_ATTEMPT = {
    "number": 1,
    "started_at": WHEN,
    "manual": False,
    "status": 200,
    "error": None,
    "milliseconds": 84,
    "response": "ok",
}
_DELIVERY = {
    "id": DELIVERY,
    "event_id": EVENT,
    "job_id": SAMPLE_JOB,
    "subscription_id": SUBSCRIPTION,
    "channel": "webhook",
    "state": "delivered",
    "next_attempt_at": None,
    "attempts": [_ATTEMPT],
    "created_at": WHEN,
    "finished_at": WHEN,
}
_NARROWED = {"models": [], "metadata": {}, "enabled": True, "created_at": WHEN}
_SUBSCRIPTION = {
    "id": SUBSCRIPTION,
    "channel": "webhook",
    "target": "https://example.com/clips",
    "events": ["job.succeeded", "job.failed"],
    "format": "standard",
    "disabled_reason": None,
    "held_until": None,
    "failing_since": None,
    "old_secret_until": None,
    **_NARROWED,
}
_HOOK = {
    "id": SUBSCRIPTION,
    "target_url": "https://hooks.zapier.com/hooks/standard/1/2/",
    "event": "job.succeeded",
    "events": ["job.succeeded"],
    "format": "flat",
    "expiration_date": None,
    **_NARROWED,
}
_CALLBACK = {
    "id": CALLBACK,
    "job_id": SAMPLE_JOB,
    "provider": "apixo",
    "state": "processed",
    "note": "succeeded, confirmed",
    "repeats": 0,
    "bytes": 37,
    "sha256": "9f" * 32,
    "received_at": WHEN,
}
_PROVIDER = {
    "id": "apixo",
    "held": None,
    "paused_seconds": 0.0,
    "open_tasks": 2,
    "task_limit": 1000,
}

EXAMPLES: dict[str, Any] = {
    "Job": _JOB,
    "QueuedJob": _QUEUED,
    "Subscription": _SUBSCRIPTION,
    "SubscriptionWithSecret": _SUBSCRIPTION | {"secret": SECRET},
    "Hook": _HOOK,
    "HookWithSecret": _HOOK | {"secret": SECRET},
    "Delivery": _DELIVERY,
    "Callback": _CALLBACK,
    "CallbackWithContent": _CALLBACK
    | {
        "headers": {"Content-Type": "application/json"},
        "encoding": "utf-8",
        "body": '{"taskId":"t1","state":"success",…}',
        "decoded": None,
    },
    "Provider": _PROVIDER,
    "Timeline": {
        "job_id": SAMPLE_JOB,
        "state": "queued",
        "data": [{"at": WHEN, "kind": "requested", "message": "the job was asked for"}],
    },
    "DryRun": {
        "dry_run": True,
        "request": {
            "method": "POST",
            "url": "https://api.segmind.com/v2/kling-2.5-turbo",
            "headers": {"x-api-key": "***"},
            "body": {"prompt": "A fox in the snow", "duration": 5},
        },
        "cost": _QUEUED["cost"],
        "expected_seconds": 134.32,
    },
    "Trial": {
        "delivered": True,
        "status": 200,
        "error": None,
        "response": "ok",
        "milliseconds": 84,
    },
    "Recovered": {"recovered": 3, "next_cursor": None},
    "Me": {
        "id": ACCOUNT,
        "name": "alice",
        "scopes": ["read", "submit"],
        "spent_today": 1.32,
        "remaining_budget": 8.68,
    },
    "Health": {"status": "ok"},
    "Readiness": {
        "status": "ready",
        "checks": {"database": "ok", "worker": "ok"},
        "polled_share": 0.0,
    },
    "Jobs": {"data": [_JOB], "next_cursor": None},
    "Subscriptions": {"data": [_SUBSCRIPTION], "next_cursor": None},
    "Deliveries": {"data": [_DELIVERY], "next_cursor": None},
    "Callbacks": {"data": [_CALLBACK], "next_cursor": None},
    "Rejections": {
        "data": [{"id": TAIL, "reason": "expired", "remote": "192.0.2.7", "received_at": WHEN}],
        "next_cursor": None,
        "counts": {"expired": 1},
        "url_checks": 0,
    },
    "Providers": {"data": [_PROVIDER], "next_cursor": None},
    "Events": {
        "data": [
            {
                "id": EVENT,
                "seq": 1,
                "type": "job.succeeded",
                "timestamp": WHEN,
                "api_version": "v1",
                "sequence": 3,
                "data": _JOB,
            }
        ],
        "next_cursor": "1",
    },
    "Samples": [flat(_NOTICE)],
}
