"""
The entities of Clipbell as frozen values, and their shapes as JSON.

Enters: rows and fields. Leaves: `Job`, `Event`, `Delivery` and the like, which all
rooms share. May import: errors.
"""

from __future__ import annotations

from service.model.entities import (
    CALLBACK_BYTES,
    URL_CHECK,
    Account,
    ApiKey,
    Attempt,
    Callback,
    ChannelPause,
    Charge,
    Delivery,
    Event,
    Exchange,
    Job,
    JobError,
    Outcome,
    Rejection,
    Step,
    Submission,
    Subscription,
    Video,
)
from service.model.enums import (
    ACCOUNTS_OWN,
    CONCLUDED,
    DEFAULT_EVENTS,
    OPEN,
    SUBSCRIPTION_EVENTS,
    TERMINAL,
    TERMINAL_EVENTS,
    CallbackState,
    DeliveryState,
    EventType,
    JobState,
    TaskState,
    VideoState,
)
from service.model.ids import Clock, first_id, is_id, new_id, utc_now

__all__ = [
    "ACCOUNTS_OWN",
    "CALLBACK_BYTES",
    "CONCLUDED",
    "DEFAULT_EVENTS",
    "OPEN",
    "SUBSCRIPTION_EVENTS",
    "TERMINAL",
    "TERMINAL_EVENTS",
    "URL_CHECK",
    "Account",
    "ApiKey",
    "Attempt",
    "Callback",
    "CallbackState",
    "ChannelPause",
    "Charge",
    "Clock",
    "Delivery",
    "DeliveryState",
    "Event",
    "EventType",
    "Exchange",
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
    "is_id",
    "new_id",
    "utc_now",
]
