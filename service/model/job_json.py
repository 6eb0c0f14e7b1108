"""
The JSON of jobs, videos and dry runs: one shape each, for the API, the command line and messages.

A shape is a `TypedDict`: mypy compares it with the function that fills it, and pydantic makes
the schema in ``/openapi.json`` from it. It stays a plain dict, so a row of a list costs nothing
more. Pure functions of values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote

from typing_extensions import TypedDict

from service.formatting import iso
from service.model import (
    Job,
    JobState,
    Video,
    VideoState,
)
from service.model.json_types import (
    LINK,
    JobId,
    ModelName,
    Moment,
    ProviderName,
    Url,
    about,
)


class CostJson(TypedDict):
    """The cost of a job; null where the vendor states none."""

    currency: Annotated[Literal["USD"], about("The currency.")]
    estimated_min: Annotated[float | None, about("The lowest price.", 0.44)]
    estimated_max: Annotated[float | None, about("The highest price.", 0.44)]
    actual: Annotated[float | None, about("The price that the vendor reported.", None)]


class JobErrorJson(TypedDict):
    """The reason why a job failed or waits."""

    code: Annotated[str, about("A stable code for programs.", "CONTENT_VIOLATION")]
    message: Annotated[str, about("The reason, for people.", "the prompt was refused")]
    retryable: Annotated[bool, about("Whether a new job may succeed.", False)]
    hint: Annotated[str, about("The next step.", "Change the prompt.")]
    provider_code: Annotated[str | None, about("The vendor's own error code.", "1301")]


class VideoJson(TypedDict):
    """The result. The links are ours and stay the same."""

    url: Annotated[Url | None, about("Plays the video.", LINK)]
    download_url: Annotated[Url | None, about("Saves the video.", f"{LINK}?download=1")]
    poster_url: Annotated[Url | None, about("A frame, as JPEG.", f"{LINK}/poster.jpg")]
    bytes: Annotated[int | None, about("Its size in bytes.", 712001)]
    sha256: Annotated[str | None, about("The SHA-256 of its bytes, in hex.", "9f" * 32)]
    seconds: Annotated[float | None, about("Its length.", 5.0)]
    width: Annotated[int | None, about("Pixels.", 1280)]
    height: Annotated[int | None, about("Pixels.", 720)]
    provider_url: Annotated[Url | None, about("The vendor's own link.", None)]
    provider_expires_at: Annotated[
        Moment | None, about("The time at which that link expires.", None)
    ]
    deleted_at: Annotated[Moment | None, about("The time at which our copy was deleted.", None)]


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
    metadata: Annotated[dict[str, Any], about("Your own data, as you sent it.", {"order": 7})]
    video: Annotated[VideoJson | None, about("The result; null before there is one.")]
    error: Annotated[JobErrorJson | None, about("The reason why it failed or waits.", None)]
    cost: CostJson
    created_at: Annotated[Moment, about("The time of its creation.")]
    submitted_at: Annotated[Moment | None, about("The time at which the vendor accepted it.")]
    finished_at: Annotated[Moment | None, about("The time at which it reached its final state.")]
    deadline_at: Annotated[Moment | None, about("The time after which it counts as overdue.")]
    cancel_at: Annotated[
        Moment | None, about("The time at which it is canceled unless it was sent.", None)
    ]
    events: Annotated[list[str] | None, about("Only these events are sent; null: all.", None)]


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
        "cancel_at": iso(job.cancel_at),
        "events": job.events,
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
    provider: Annotated[ProviderName, about("The vendor that would make it.")]
    choice: Annotated[
        str | None,
        about("The reason for that vendor, with all prices; null if there was no choice.", None),
    ]
    warning: Annotated[str | None, about("A warning if the vendor retires the model.", None)]
    objection: Annotated[
        JobErrorJson | None,
        about("The reason why it would be held now; null if it would be sent.", None),
    ]
    cost: CostJson
    expected_seconds: Annotated[float, about("The vendor's own estimate.", 134.32)]


def dry_run_json(
    job: Job,
    wire: dict[str, Any],
    callback_url: str,
    expected_seconds: float,
    notes: Mapping[str, str | None],
    objection: Mapping[str, Any] | None,
) -> DryRunJson:
    """A dry run as JSON: request, price and time; the callback's token is masked too."""
    text = json.dumps(wire)
    if callback_url:
        hidden = callback_url.rpartition("/")[0] + "/***"
        text = text.replace(json.dumps(callback_url), json.dumps(hidden))
        # One vendor takes it in the address.
        text = text.replace(quote(callback_url, safe=""), quote(hidden, safe="/*"))
    return {
        "dry_run": True,
        "request": json.loads(text),
        "provider": job.provider,
        "choice": notes["choice"],
        "warning": notes["warning"],
        "objection": cast("JobErrorJson | None", objection),
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
