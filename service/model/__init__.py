"""
The words of Clipbell as frozen values, and their shapes as JSON.

Enters: rows and fields. Leaves: `Job`, `Event`, `Delivery` and the like, which all
rooms share. May import: errors.
"""

from __future__ import annotations

from service.model.entities import (
    ACCOUNTS_OWN,
    DEFAULT_EVENTS,
    OPEN,
    TERMINAL,
    TERMINAL_EVENTS,
    Account,
    ApiKey,
    Attempt,
    Callback,
    CallbackState,
    ChannelPause,
    Clock,
    Delivery,
    DeliveryState,
    Event,
    EventType,
    Job,
    JobError,
    JobState,
    Outcome,
    Rejection,
    Step,
    Submission,
    Subscription,
    TaskState,
    Video,
    VideoState,
    first_id,
    new_id,
    utc_now,
)

__all__ = [
    "ACCOUNTS_OWN",
    "DEFAULT_EVENTS",
    "OPEN",
    "TERMINAL",
    "TERMINAL_EVENTS",
    "Account",
    "ApiKey",
    "Attempt",
    "Callback",
    "CallbackState",
    "ChannelPause",
    "Clock",
    "Delivery",
    "DeliveryState",
    "Event",
    "EventType",
    "Job",
    "JobError",
    "JobState",
    "Outcome",
    "Rejection",
    "Step",
    "Submission",
    "Subscription",
    "TaskState",
    "Video",
    "VideoState",
    "first_id",
    "new_id",
    "utc_now",
]
