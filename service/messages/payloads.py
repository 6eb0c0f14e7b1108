"""
The bodies of webhooks, made from an event and its job.

Pure functions of values; a body is stored in its delivery's row and never changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from service.formatting import iso
from service.model import (
    SUBSCRIPTION_EVENTS,
    TERMINAL_EVENTS,
    Event,
    EventType,
    Job,
    JobState,
    Video,
)
from service.model.job_json import JobJson, job_json
from service.model.json_types import ChannelName, JobId, Moment, SubscriptionId, about

API_VERSION = "v1"


@dataclass(frozen=True)
class Notification:
    """
    An event with everything that a message about it needs.

    `job` is None if the event's own `about` has the content; `link`
    is the video's stable URL, `poster` the bytes of a JPEG for channels that send it
    along, `unsubscribe_url` accepts a POST (RFC 8058), `near` are the networks (CIDRs)
    besides the public internet from which a receiver can fetch a picture.
    """

    event: Event
    job: Job | None
    video: Video | None
    link: str | None
    public_url: str
    unsubscribe_url: str
    poster: bytes | None = None
    near: tuple[str, ...] = ()


class SubscriptionNewsJson(TypedDict):
    """The subscription that an event is about; never its target, which may be a secret."""

    subscription_id: Annotated[SubscriptionId, about("Its id.")]
    channel: Annotated[ChannelName, about("Its channel.")]
    reason: Annotated[str | None, about("The reason.", "the endpoint answered 500")]


class _EnvelopeJson(TypedDict):
    timestamp: Annotated[Moment, about("The time of the event.")]
    api_version: Annotated[Literal["v1"], about("The version of the body.")]
    sequence: Annotated[int, about("1, 2, 3 … within its job.", 3)]
    sample: NotRequired[Annotated[Literal[True], about("Only in samples: true.")]]


class JobMessageJson(_EnvelopeJson):
    """The body of a push about a job, in the format `standard`."""

    type: Annotated[
        Literal[
            EventType.JOB_SUCCEEDED,
            EventType.JOB_FAILED,
            EventType.JOB_SUBMITTED,
            EventType.JOB_HELD,
            EventType.JOB_UNKNOWN,
            EventType.JOB_CANCELED,
            EventType.JOB_OVERDUE,
            EventType.VIDEO_EXPIRING,
        ],
        about("The type of the event."),
    ]
    data: JobJson


class SubscriptionMessageJson(_EnvelopeJson):
    """The body of a push about a subscription, in the format `standard`."""

    type: Annotated[
        Literal[EventType.SUBSCRIPTION_DISABLED, EventType.SUBSCRIPTION_RECOVERED],
        about("The type of the event."),
    ]
    data: SubscriptionNewsJson


def standard(notification: Notification) -> dict[str, Any]:
    """The Standard Webhooks envelope around a job, or around an event of a subscription."""
    data: Mapping[str, Any] = notification.event.about or {}
    if notification.job is not None:
        data = job_json(notification.job, notification.video, notification.link)
    return {
        "type": notification.event.type.value,
        "timestamp": iso(notification.event.created_at),
        "api_version": API_VERSION,
        "sequence": notification.event.sequence,
        **_label(notification.event),
        "data": data,
    }


def _label(event: Event) -> dict[str, Any]:
    """The label of a sample, which must not look like a real event."""
    return {"sample": True} if event.sample else {}


def flat(notification: Notification) -> dict[str, Any]:
    """A flat object, for Zapier and similar tools; `id` is the event's."""
    head = {
        "id": notification.event.id,
        "type": notification.event.type.value,
        "timestamp": iso(notification.event.created_at),
        "sequence": notification.event.sequence,
        **_label(notification.event),
    }
    job, video, link = notification.job, notification.video, notification.link
    if job is None:
        return head | (notification.event.about or {})
    error = job.error or {}
    return head | {
        "job_id": job.id,
        "state": job.state.value,
        "model": job.model,
        "prompt": job.input.get("prompt"),
        "video_url": link,
        "download_url": f"{link}?download=1" if link else None,
        "poster_url": f"{link}/poster.jpg" if video and video.poster_file else None,
        "video_seconds": video.seconds if video else None,
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "created_at": iso(job.created_at),
        "finished_at": iso(job.finished_at),
    }


#: APIXO's state for each of ours.
ApixoState = Literal["pending", "processing", "success", "failed"]
_APIXO_STATES: dict[JobState, ApixoState] = {
    JobState.QUEUED: "pending",
    JobState.HELD: "pending",
    JobState.SUCCEEDED: "success",
    JobState.FAILED: "failed",
    JobState.CANCELED: "failed",
}


class ApixoTaskStateJson(TypedDict):
    """The state of a task of APIXO: our job."""

    taskId: Annotated[JobId, about("Its id: our job's.")]
    state: Annotated[ApixoState, about("Its state.")]
    createTime: Annotated[int, about("In milliseconds since 1970.", 1767268800000)]
    resultJson: NotRequired[Annotated[str, about("JSON with `resultUrls`, after a success.")]]
    failCode: NotRequired[Annotated[str, about("The reason of a failure, as a code.")]]
    failMsg: NotRequired[Annotated[str, about("The reason of a failure, for people.")]]
    completeTime: NotRequired[Annotated[int, about("In milliseconds since 1970.")]]
    costTime: NotRequired[Annotated[int, about("In milliseconds.")]]


class ApixoTaskJson(TypedDict):
    """APIXO's envelope around the state of a task."""

    code: Annotated[Literal[200], about("The HTTP status.")]
    message: Annotated[Literal["success"], about("Always `success`.")]
    data: ApixoTaskStateJson


def apixo_status(job: Job, link: str | None) -> ApixoTaskJson:
    """APIXO's status envelope of a job of ours."""
    state = _APIXO_STATES.get(job.state, "processing")
    data: ApixoTaskStateJson = {
        "taskId": job.id,
        "state": state,
        "createTime": _millis(job.created_at),
    }
    if state == "success":
        data["resultJson"] = json.dumps({"resultUrls": [link]})
    if state == "failed":
        error = job.error or {"code": "CANCELED", "message": "the job was canceled"}
        data["failCode"], data["failMsg"] = error["code"], error["message"]
    if job.finished_at:
        data["completeTime"] = _millis(job.finished_at)
        data["costTime"] = data["completeTime"] - data["createTime"]
    return {"code": 200, "message": "success", "data": data}


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def apixo(notification: Notification) -> dict[str, Any]:
    """The body that a client of APIXO's callback mode expects; only for events of jobs."""
    body = dict(apixo_status(notification.job, notification.link)) if notification.job else {}
    return body | _label(notification.event)


#: OpenAI's event types for the final events of a job.
OPENAI_TYPES = {
    EventType.JOB_SUCCEEDED: "video.completed",
    EventType.JOB_FAILED: "video.failed",
    EventType.JOB_CANCELED: "video.failed",
}


def openai(notification: Notification) -> dict[str, Any]:
    """OpenAI's event, which only names the video; other events keep their own type."""
    event = notification.event
    subject = notification.job.id if notification.job else (event.about or {})["subscription_id"]
    return {
        "id": event.id,
        "object": "event",
        "created_at": int(event.created_at.timestamp()),
        "type": OPENAI_TYPES.get(event.type, event.type.value),
        "data": {"id": subject},
        **_label(event),
    }


FORMATS: dict[str, Callable[[Notification], dict[str, Any]]] = {
    "standard": standard,
    "flat": flat,
    "apixo": apixo,
    "openai": openai,
}
#: The events of formats that cannot express all.
FORMAT_EVENTS: dict[str, frozenset[EventType]] = {
    "apixo": frozenset(EventType) - SUBSCRIPTION_EVENTS,
    "openai": TERMINAL_EVENTS,
}
#: The name of a format.
FormatName = Annotated[str, Field(json_schema_extra={"enum": list(FORMATS)})]
