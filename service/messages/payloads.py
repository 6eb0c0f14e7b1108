"""
What subscribers read: the bodies made of an event and its job.

Pure functions of values; a body made here is frozen in its delivery's row.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.model import Event, Job, JobState, Video
from service.model.serializers import iso, job_json

API_VERSION = "v1"


@dataclass(frozen=True)
class Notification:
    """
    An event with all that a message about it needs.

    `job` is None where the event's own `about` holds what there is to tell; `link`
    is the video's stable URL, `poster` the JPEG's bytes for channels that carry it
    along, `unsubscribe_url` takes a POST (RFC 8058).
    """

    event: Event
    job: Job | None
    video: Video | None
    link: str | None
    public_url: str
    unsubscribe_url: str
    poster: bytes | None = None


def standard(notification: Notification) -> dict[str, Any]:
    """The Standard Webhooks envelope around the job."""
    return {
        "type": notification.event.type.value,
        "timestamp": iso(notification.event.created_at),
        "api_version": API_VERSION,
        "sequence": notification.event.sequence,
        **_label(notification.event),
        "data": _data(notification),
    }


def _data(notification: Notification) -> dict[str, Any]:
    if notification.job is None:
        return notification.event.about or {}
    return job_json(notification.job, notification.video, notification.link)


def _label(event: Event) -> dict[str, Any]:
    """Nobody shall take a sample for news."""
    return {"sample": True} if event.sample else {}


def flat(notification: Notification) -> dict[str, Any]:
    """One level, for Zapier and its like; `id` is the event's."""
    head = {
        "id": notification.event.id,
        "type": notification.event.type.value,
        "timestamp": iso(notification.event.created_at),
        "sequence": notification.event.sequence,
        **_label(notification.event),
    }
    return head | (
        _flat_job(notification, notification.job)
        if notification.job
        else notification.event.about or {}
    )


def _flat_job(notification: Notification, job: Job) -> dict[str, Any]:
    video, error = notification.video, job.error or {}
    return {
        "job_id": job.id,
        "state": job.state.value,
        "model": job.model,
        "prompt": job.input.get("prompt"),
        "video_url": notification.link,
        "download_url": f"{notification.link}?download=1" if notification.link else None,
        "poster_url": f"{notification.link}/poster.jpg" if video and video.poster_file else None,
        "video_seconds": video.seconds if video else None,
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "created_at": iso(job.created_at),
        "finished_at": iso(job.finished_at),
    }


#: What APIXO's states are called for each of ours.
_APIXO_STATES = {
    JobState.QUEUED: "pending",
    JobState.HELD: "pending",
    JobState.SUCCEEDED: "success",
    JobState.FAILED: "failed",
    JobState.CANCELED: "failed",
}


def apixo_status(job: Job, link: str | None) -> dict[str, Any]:
    """APIXO's status envelope of a job of ours."""
    state = _APIXO_STATES.get(job.state, "processing")
    data: dict[str, Any] = {"taskId": job.id, "state": state}
    data["createTime"] = _millis(job.created_at)
    if state == "success":
        data["resultJson"] = json.dumps({"resultUrls": [link]})
    if state == "failed":
        error = job.error or {"code": "CANCELED", "message": "the job was canceled"}
        data |= {"failCode": error["code"], "failMsg": error["message"]}
    if job.finished_at:
        data["completeTime"] = _millis(job.finished_at)
        data["costTime"] = data["completeTime"] - data["createTime"]
    return {"code": 200, "message": "success", "data": data}


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def apixo(notification: Notification) -> dict[str, Any]:
    """The body that a client of APIXO's callback mode expects; it knows jobs only."""
    body = apixo_status(notification.job, notification.link) if notification.job else {}
    return body | _label(notification.event)


FORMATS: dict[str, Callable[[Notification], dict[str, Any]]] = {
    "standard": standard,
    "flat": flat,
    "apixo": apixo,
}
