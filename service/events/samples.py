"""
Samples: labelled, invented events, for tests and for connecting programs.

Pure functions of the event; nothing here is a real job.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from service.model import Event, EventType, Job, JobState, Video, VideoState, new_id
from service.model.error_codes import job_error

SAMPLE_JOB = "job_" + "0" * 32
SAMPLE_SUBSCRIPTION = "sub_" + "0" * 32
#: The path of the sample's video, below PUBLIC_URL.
SAMPLE_PATH = "/static/sample.mp4"
SAMPLE_BYTES = 99_767
SAMPLE_SHA256 = "c6fb75266db0a1db6c2fd7f4ad6e5d24d99a95d476d372ee4c76f8d523e586ea"

_SUBSCRIPTION_EVENTS = {
    EventType.SUBSCRIPTION_DISABLED: "the endpoint answered 500",
    EventType.SUBSCRIPTION_RECOVERED: None,
}
_STATES = {
    EventType.JOB_SUBMITTED: JobState.SUBMITTED,
    EventType.JOB_FAILED: JobState.FAILED,
    EventType.JOB_HELD: JobState.HELD,
    EventType.JOB_UNKNOWN: JobState.UNKNOWN,
    EventType.JOB_CANCELED: JobState.CANCELED,
    EventType.JOB_OVERDUE: JobState.SUBMITTED,
}
_ERRORS = {
    EventType.JOB_FAILED: job_error("PROVIDER_ERROR", "a sample of a failure"),
    EventType.JOB_HELD: job_error("INSUFFICIENT_CREDITS", "a sample of a hold"),
    EventType.JOB_UNKNOWN: job_error(
        "SUBMIT_TIMEOUT_UNKNOWN", "a sample of a call without an answer"
    ),
}


def sample_event(account_id: str, type_: EventType, now: datetime) -> Event:
    """An event of that type, labelled as a sample."""
    about = None
    if type_ in _SUBSCRIPTION_EVENTS:
        about = about_subscription(SAMPLE_SUBSCRIPTION, "webhook", _SUBSCRIPTION_EVENTS[type_])
    return Event(new_id("evt", now), account_id, None, type_, 1, now, about=about, sample=True)


def about_subscription(subscription_id: str, channel: str, reason: str | None) -> dict[str, Any]:
    """The content of an event about a subscription, without its target, which may be secret."""
    return {"subscription_id": subscription_id, "channel": channel, "reason": reason}


def sample_job(event: Event) -> Job:
    """The job of a sample; its id is all zeros and in no table."""
    state = _STATES.get(event.type, JobState.SUCCEEDED)
    error = _ERRORS.get(event.type)
    ended = state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)
    asked = event.created_at - timedelta(seconds=74)
    return Job(
        id=SAMPLE_JOB,
        account_id=event.account_id,
        model="kling-2.5-turbo",
        provider="segmind",
        route="auto",
        source="clipbell",
        input={"prompt": "A sample: a red fox runs through fresh snow", "duration": 5},
        metadata={},
        notify=None,
        state=state,
        task_id=None,
        error=vars(error) if error else None,
        resolved_by=None,
        muted=False,
        estimated_min=None,
        estimated_max=None,
        actual_cost=None,
        claims=0,
        polls=0,
        failed_polls=0,
        due_at=None,
        created_at=asked,
        sent_at=asked,
        submitted_at=asked,
        finished_at=event.created_at if ended else None,
        deadline_at=None,
        overdue=event.type is EventType.JOB_OVERDUE,
    )


def sample_video(event: Event) -> Video | None:
    """The video of a sample, if its event has one."""
    if event.type not in (EventType.JOB_SUCCEEDED, EventType.VIDEO_EXPIRING):
        return None
    return Video(
        id="vid_" + "0" * 32,
        account_id=event.account_id,
        job_id=SAMPLE_JOB,
        state=VideoState.STORED,
        provider_url=None,
        provider_expires_at=None,
        file=None,
        poster_file=None,
        bytes=SAMPLE_BYTES,
        sha256=SAMPLE_SHA256,
        seconds=5.0,
        width=320,
        height=180,
        attempts=1,
        note="",
        claims=0,
        due_at=None,
        link_expires_at=event.created_at + timedelta(days=90),
        created_at=event.created_at,
        stored_at=event.created_at,
    )
