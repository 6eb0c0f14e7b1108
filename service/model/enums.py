"""The states of everything that has one, and the types of events."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"  #: waits for the worker
    SUBMITTING = "submitting"  #: a worker is talking to the provider
    SUBMITTED = "submitted"  #: the provider has it, under `task_id`
    HELD = "held"  #: waits for credits, a budget, a price or an operator
    UNKNOWN = "unknown"  #: sent, no answer; never sent again by itself
    SUCCEEDED = "succeeded"  #: there is a video
    FAILED = "failed"  #: there will be none
    CANCELED = "canceled"  #: taken back before it was sent


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED})
#: Codes of failures that we conclude ourselves: a result that turns up after all still counts.
CONCLUDED = frozenset({"RESULT_LOST", "EMPTY_RESULT"})
#: States in which the provider may be working for us.
OPEN = frozenset({JobState.SUBMITTING, JobState.SUBMITTED, JobState.UNKNOWN})


class EventType(StrEnum):
    """The events that subscriptions can ask for."""

    JOB_SUBMITTED = "job.submitted"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_HELD = "job.held"
    JOB_UNKNOWN = "job.unknown"
    JOB_CANCELED = "job.canceled"
    JOB_OVERDUE = "job.overdue"
    VIDEO_EXPIRING = "video.expiring"
    SUBSCRIPTION_DISABLED = "subscription.disabled"
    SUBSCRIPTION_RECOVERED = "subscription.recovered"


#: What a subscription gets that names no events.
DEFAULT_EVENTS = (
    EventType.JOB_SUCCEEDED,
    EventType.JOB_FAILED,
    EventType.JOB_UNKNOWN,
    EventType.JOB_HELD,
)
TERMINAL_EVENTS = frozenset({EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELED})
#: Those that are about a subscription, and no job.
SUBSCRIPTION_EVENTS = frozenset({EventType.SUBSCRIPTION_DISABLED, EventType.SUBSCRIPTION_RECOVERED})


#: In a job's `notify`: the account's own subscriptions, beside others that are named.
ACCOUNTS_OWN = "*"


class CallbackState(StrEnum):
    """The state of a stored callback."""

    RECEIVED = "received"  #: stored, not processed yet
    PROCESSED = "processed"  #: its outcome is recorded, or it had none
    IGNORED = "ignored"  #: it said nothing that could be used; `note` says why


class DeliveryState(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"  #: due at `due_at`
    DELIVERED = "delivered"  #: the channel took it
    EXHAUSTED = "exhausted"  #: no attempt is left


class VideoState(StrEnum):
    """The state of our copy."""

    PENDING = "pending"  #: to be copied
    STORED = "stored"  #: ours
    LOST = "lost"  #: could not be copied; the provider's link is all there is
    DELETED = "deleted"  #: given up by us; `note` says why, `file` what is still to be removed


class TaskState(StrEnum):
    """The state of a task in an outcome."""

    RUNNING = "running"  #: not at its end, or in a state that we don't know
    SUCCEEDED = "succeeded"
    FAILED = "failed"
