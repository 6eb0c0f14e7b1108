"""A job of ours as a video of OpenAI's API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from typing_extensions import TypedDict

from service.catalogue.models import find_offer
from service.model import Job, JobState, Video, VideoState
from service.model.json_types import JobId, about
from service.web.context import wiring

#: The size of a video without a requested size, until its copy is stored.
_SIZES = {"16:9": "1280x720", "9:16": "720x1280", "1:1": "1024x1024"}

OpenAiVideoStatus = Literal["queued", "in_progress", "completed", "failed"]
_STATUSES: dict[JobState, OpenAiVideoStatus] = {
    JobState.QUEUED: "queued",
    JobState.HELD: "queued",
    JobState.SUCCEEDED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELED: "failed",
}


class OpenAiFailureJson(TypedDict):
    """The reason why a video could not be made."""

    code: Annotated[str, about("A stable code for programs.", "CONTENT_VIOLATION")]
    message: Annotated[str, about("A sentence for people.")]


class OpenAiVideoJson(TypedDict):
    """A video of OpenAI's API: our job."""

    id: Annotated[JobId, about("Its id: our job's.")]
    object: Annotated[Literal["video"], about("Always `video`.")]
    model: Annotated[str, about("Its model, as given in the request.", "kling-2")]
    status: Annotated[OpenAiVideoStatus, about("Its state.", "completed")]
    progress: Annotated[int, about("Per cent, estimated from the expected time.", 100)]
    created_at: Annotated[int, about("In seconds since 1970.", 1767268800)]
    completed_at: Annotated[int | None, about("In seconds since 1970.", 1767268874)]
    expires_at: Annotated[
        int | None, about("The time at which its content is deleted; null: never.", None)
    ]
    prompt: Annotated[str | None, about("Its prompt.", "A fox in the snow")]
    seconds: Annotated[str, about("Its length.", "5")]
    size: Annotated[
        str, about("Width and height: as requested, then of the stored video.", "1280x720")
    ]
    remixed_from_video_id: Annotated[
        str | None, about("The original video, if this is a remix.", None)
    ]
    error: Annotated[OpenAiFailureJson | None, about("The reason why there is no video.", None)]


class OpenAiVideosJson(TypedDict):
    """A page of videos."""

    object: Annotated[Literal["list"], about("Always `list`.")]
    data: list[OpenAiVideoJson]
    has_more: Annotated[bool, about("Whether there are more after `last_id`.", False)]
    first_id: Annotated[str | None, about("The first video's id.", None)]
    last_id: Annotated[str | None, about("The last video's id: `after` of the next page.", None)]


class OpenAiDeletedJson(TypedDict):
    """A video that was deleted."""

    id: Annotated[JobId, about("Its id.")]
    object: Annotated[Literal["video.deleted"], about("Always `video.deleted`.")]
    deleted: Annotated[Literal[True], about("Always true.")]


def video_json(job: Job, video: Video | None) -> OpenAiVideoJson:
    """A job and its copy (None before there is one) as OpenAI's object."""
    status = status_of(job, video)
    error: OpenAiFailureJson | None = None
    if job.state is JobState.CANCELED:
        error = {"code": "cancelled", "message": "the job was canceled"}
    elif status == "failed":
        failure = job.error or {"code": "PROVIDER_ERROR", "message": "it failed"}
        error = {"code": failure["code"], "message": failure["message"]}
    size = job.input.get("size") or (job.source_fields or {}).get("size")
    size = size or _SIZES.get(job.input.get("aspect_ratio", ""), _SIZES["16:9"])
    if video and video.width and video.height:
        size = f"{video.width}x{video.height}"
    return {
        "id": job.id,
        "object": "video",
        "model": job.input.get("model") or job.model,
        "status": status,
        "progress": _progress(job, status),
        "created_at": int(job.created_at.timestamp()),
        "completed_at": _unix(job.finished_at) if status == "completed" else None,
        "expires_at": _unix(_expiry(video)),
        "prompt": job.input.get("prompt"),
        "seconds": str(job.input.get("duration", "")),
        "size": str(size),
        "remixed_from_video_id": (job.source_fields or {}).get("remixed_from_video_id"),
        "error": error,
    }


def status_of(job: Job, video: Video | None) -> OpenAiVideoStatus:
    """The status: completed once the copy, or later the provider's link, can be downloaded."""
    status = _STATUSES.get(job.state, "in_progress")
    if status != "completed" or video is None or video.state is not VideoState.PENDING:
        return status
    w = wiring()
    waited = w.clock() - (job.finished_at or w.clock())
    late = waited >= timedelta(seconds=w.settings.archive_wait)
    return "completed" if late and video.provider_url else "in_progress"


def expected_seconds(job: Job) -> float:
    """The expected seconds until it is done; 0 if unknown."""
    offer = find_offer(job.model, job.provider)
    return offer.expected(job.input) if offer else 0.0


def _progress(job: Job, status: OpenAiVideoStatus) -> int:
    if status == "completed":
        return 100
    expected = expected_seconds(job)
    if job.sent_at is None or not expected:
        return 0
    spent = (job.finished_at or wiring().clock()) - job.sent_at
    return max(0, min(99, int(100 * spent.total_seconds() / expected)))


def _expiry(video: Video | None) -> datetime | None:
    """The time until which the content is stored; None if unknown."""
    days = wiring().settings.retention_days
    if video is None or video.state is VideoState.DELETED:
        return video.deleted_at if video else None
    if video.state is not VideoState.STORED:
        return video.provider_expires_at
    return video.stored_at + timedelta(days=days) if days and video.stored_at else None


def _unix(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None
