"""
OpenAI's videos API, served by us: ``/v1/videos``.

Its vendor's own server has ended; the `openai` libraries, LiteLLM and many
gateways speak it on. A video of this API is a job of ours under the same id.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Literal

from flask import Blueprint, Response, redirect, request
from typing_extensions import TypedDict
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.catalogue.models import find_offer
from service.errors import Conflict, NotFound
from service.model import Job, JobState, Video, VideoState
from service.model.json_types import JobId, ModelName, about
from service.videos.archive import file_name
from service.videos.retention import erase_job
from service.web import idempotency
from service.web.compat.base import CompatError, Found, create, find
from service.web.compat.videos_request import check_fields, read_fields
from service.web.context import authenticate, caller, choice_arg, json_response, wiring
from service.web.errors import Problem, as_problem
from service.web.files import redirected, stored_file
from service.web.pagination import page_size

blueprint = Blueprint("openai_videos", __name__, url_prefix="/v1/videos")

NO_MONEY = 429
#: Not again: a second try of the same request ends as this one.
FINAL = {"x-should-retry": "false"}
VARIANTS = ("video", "thumbnail", "spritesheet")
#: Questions that a client asks in the time that its video is expected to take.
QUESTIONS = 30
SOONEST_MS, LATEST_MS = 1000, 10_000
#: The shape of a video whose caller named no size and whose copy is not here yet.
_SIZES = {"16:9": "1280x720", "9:16": "720x1280", "1:1": "1024x1024"}
#: What OpenAI's API makes of a video, and no model here can.
_FROM_A_VIDEO = ("/remix", "/edits", "/extensions", "/characters")

OpenAiVideoStatus = Literal["queued", "in_progress", "completed", "failed"]
_STATUSES: dict[JobState, OpenAiVideoStatus] = {
    JobState.QUEUED: "queued",
    JobState.HELD: "queued",
    JobState.SUCCEEDED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELED: "failed",
}
_CODES = {
    401: "invalid_api_key",
    403: "insufficient_permissions",
    404: "not_found",
    429: "rate_limit_exceeded",
}


class OpenAiErrorTextJson(TypedDict):
    """What is wrong with a request to OpenAI's API."""

    message: Annotated[str, about("What is wrong.", "seconds: must be one of 5, 10")]
    type: Annotated[str, about("Its kind.", "invalid_request_error")]
    param: Annotated[str | None, about("The field that is wrong.", "seconds")]
    code: Annotated[str | None, about("A stable word for programs.", "not_allowed")]


class OpenAiErrorJson(TypedDict):
    """OpenAI's error."""

    error: OpenAiErrorTextJson


class OpenAiFailureJson(TypedDict):
    """Why a video could not be made."""

    code: Annotated[str, about("A stable word for programs.", "CONTENT_VIOLATION")]
    message: Annotated[str, about("The sentence for people.")]


class OpenAiVideoJson(TypedDict):
    """A video of OpenAI's API: our job."""

    id: Annotated[JobId, about("Its id: our job's.")]
    object: Annotated[Literal["video"], about("Always `video`.")]
    model: ModelName
    status: Annotated[OpenAiVideoStatus, about("Its state.", "completed")]
    progress: Annotated[int, about("Per cent, by the time that it is expected to take.", 100)]
    created_at: Annotated[int, about("In seconds since 1970.", 1767268800)]
    completed_at: Annotated[int | None, about("In seconds since 1970.", 1767268874)]
    expires_at: Annotated[int | None, about("When its content ends; null: never.", None)]
    prompt: Annotated[str | None, about("What it was asked to show.", "A fox in the snow")]
    seconds: Annotated[str, about("Its length.", "5")]
    size: Annotated[str, about("Its frame: as asked, and as it is once we have it.", "1280x720")]
    remixed_from_video_id: Annotated[None, about("Always null: no model here takes a video.")]
    error: Annotated[OpenAiFailureJson | None, about("Why there is none.", None)]


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


@blueprint.errorhandler(Exception)
def in_openai_words(error: Exception) -> Response:
    """Any error as OpenAI's API tells it."""
    if isinstance(error, CompatError):
        code = "insufficient_quota" if error.status == NO_MONEY else None
        return _refusal(error.status, error.message, error.headers, code=code)
    problem = as_problem(error)
    # OpenAI's table has neither 415 nor 422: both are its 400.
    status = 400 if problem.status in (415, 422) else problem.status
    if not problem.errors:
        return _refusal(status, problem.detail, problem.headers)
    first = problem.errors[0]
    said = "; ".join(f"{_name(f.pointer)}: {f.message}" for f in problem.errors)
    return _refusal(status, said, problem.headers, _name(first.pointer), first.code)


def _name(pointer: str) -> str:
    return pointer.strip("/?#").partition("/")[0] or "body"


def _refusal(
    status: int,
    message: str,
    headers: dict[str, str],
    param: str | None = None,
    code: str | None = None,
) -> Response:
    code = code or _CODES.get(status)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body: OpenAiErrorJson = {
        "error": {
            "message": message,
            "type": str(code) if status == 429 else kind,
            "param": param,
            "code": code,
        }
    }
    return json_response(body, status, headers)


def in_its_place(problem: Problem) -> Response | None:
    """For the app's own 404 and 405 below our addresses: in OpenAI's words."""
    if request.path != "/v1/videos" and not request.path.startswith("/v1/videos/"):
        return None
    if request.method == "POST" and request.path.endswith(_FROM_A_VIDEO):
        message = "no model of this server takes a video to start from: create a new one instead"
        return _refusal(400, message, {}, code="unsupported")
    return in_openai_words(problem)


@blueprint.post("")
def create_video() -> Response:
    """A video; its result is polled for, or sent to subscribers."""
    authenticate("submit")
    fields = read_fields()
    asked = check_fields(fields)
    said = json.dumps(fields, sort_keys=True).encode()
    try:
        job, replayed = create(asked, said, NO_MONEY)
    except CompatError as error:
        raise CompatError(error.status, error.message, FINAL) from error
    response = _answer(find(job.id) if replayed else Found(job, None, None))
    if replayed:
        response.headers[idempotency.REPLAYED] = "true"
    return response


@blueprint.get("/<video_id>")
def retrieve_video(video_id: str) -> Response:
    """A video, and after how many milliseconds to ask again while it is being made."""
    authenticate("read")
    return _answer(_video(video_id))


@blueprint.get("")
def list_videos() -> Response:
    """An account's videos, newest first; `order=asc`: oldest first."""
    authenticate("read")
    ascending = choice_arg("order", ("asc", "desc")) == "asc"
    account_id, after = caller().account_id, request.args.get("after")
    with wiring().db.read() as tx:
        jobs = store.jobs.page_not_erased(tx, account_id, page_size(), after, ascending=ascending)
        videos = store.videos.of_jobs(tx, [job.id for job in jobs])
    data = [_video_json(job, videos.get(job.id)) for job in jobs]
    body: OpenAiVideosJson = {
        "object": "list",
        "data": data,
        "has_more": jobs.older is not None,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
    return json_response(body)


@blueprint.get("/<video_id>/content")
def download_content(video_id: str) -> AnyResponse:
    """The bytes of a video, or of its thumbnail; the provider's link until the copy is there."""
    authenticate("read")
    variant = choice_arg("variant", VARIANTS) or "video"
    found = _video(video_id)
    job, video = found.job, found.video
    status = _status(job, video)
    if status != "completed" or video is None:
        reason = (job.error or {}).get("message", f"its status is {status}")
        raise CompatError(404, f"Video '{job.id}' has no content: {reason}")
    if video.state is VideoState.DELETED:
        raise CompatError(410, f"Video '{job.id}' is no longer kept: {video.note}")
    if variant == "spritesheet":
        raise CompatError(404, "there are no sprite sheets here; take variant=thumbnail")
    if variant == "thumbnail":
        if not video.poster_file:
            raise CompatError(404, f"Video '{job.id}' has no thumbnail", {"Retry-After": "5"})
        return stored_file(video.poster_file, file_name(job, video.poster_file))
    if video.state is VideoState.STORED and video.file:
        name = file_name(job, video.file)
        return redirected(video.file) or stored_file(video.file, name, etag=video.sha256)
    if not video.provider_url:
        raise CompatError(404, f"Video '{job.id}' is not here yet", {"Retry-After": "5"})
    return redirect(video.provider_url, 302)


@blueprint.delete("/<video_id>")
def delete_video(video_id: str) -> Response:
    """Forget what one video was about, and its content, for good; 409 before its end."""
    authenticate("admin")
    w, job = wiring(), _video(video_id).job
    try:
        erase_job(w.db, w.uploads, job, w.clock())
    except Conflict as error:
        raise CompatError(409, str(error), FINAL) from error
    body: OpenAiDeletedJson = {"id": job.id, "object": "video.deleted", "deleted": True}
    return json_response(body)


def _video(video_id: str) -> Found:
    try:
        found = find(video_id)
    except NotFound:
        found = None
    # What was erased has no prompt any more.
    if found is None or not found.job.input:
        raise CompatError(404, f"Video with id '{video_id[:80]}' not found.")
    return found


def _answer(found: Found) -> Response:
    body = _video_json(found.job, found.video)
    headers = {"x-request-id": body["id"]}
    if body["status"] in ("queued", "in_progress"):
        wait = int(1000 * _expected_seconds(found.job) / QUESTIONS)
        headers["openai-poll-after-ms"] = str(min(max(wait, SOONEST_MS), LATEST_MS))
    return json_response(body, 200, headers)


def _video_json(job: Job, video: Video | None) -> OpenAiVideoJson:
    status = _status(job, video)
    error: OpenAiFailureJson | None = None
    if job.state is JobState.CANCELED:
        error = {"code": "cancelled", "message": "the job was canceled"}
    elif status == "failed":
        failure = job.error or {"code": "PROVIDER_ERROR", "message": "it failed"}
        error = {"code": failure["code"], "message": failure["message"]}
    return {
        "id": job.id,
        "object": "video",
        "model": job.model,
        "status": status,
        "progress": _progress(job, status),
        "created_at": int(job.created_at.timestamp()),
        "completed_at": _unix(job.finished_at) if status == "completed" else None,
        "expires_at": _unix(_expiry(video)),
        "prompt": job.input.get("prompt"),
        "seconds": str(job.input.get("duration", "")),
        "size": _size(job, video),
        "remixed_from_video_id": None,
        "error": error,
    }


def _status(job: Job, video: Video | None) -> OpenAiVideoStatus:
    """Completed once there is something to download: the copy, or late the provider's link."""
    status = _STATUSES.get(job.state, "in_progress")
    if status != "completed" or video is None or video.state is not VideoState.PENDING:
        return status
    w = wiring()
    waited = w.clock() - (job.finished_at or w.clock())
    late = waited >= timedelta(seconds=w.settings.archive_wait)
    return "completed" if late and video.provider_url else "in_progress"


def _expected_seconds(job: Job) -> float:
    offer = find_offer(job.model, job.provider)
    return offer.expected(job.input) if offer else 0.0


def _progress(job: Job, status: OpenAiVideoStatus) -> int:
    if status == "completed":
        return 100
    expected = _expected_seconds(job)
    if job.sent_at is None or not expected:
        return 0
    spent = (job.finished_at or wiring().clock()) - job.sent_at
    return max(0, min(99, int(100 * spent.total_seconds() / expected)))


def _size(job: Job, video: Video | None) -> str:
    if video and video.width and video.height:
        return f"{video.width}x{video.height}"
    asked = (job.source_fields or {}).get("size")
    return str(asked or _SIZES.get(job.input.get("aspect_ratio", ""), _SIZES["16:9"]))


def _expiry(video: Video | None) -> datetime | None:
    """Until when the content is kept, as far as that is known."""
    days = wiring().settings.retention_days
    if video is None or video.state is VideoState.DELETED:
        return video.deleted_at if video else None
    if video.state is not VideoState.STORED:
        return video.provider_expires_at
    return video.stored_at + timedelta(days=days) if days and video.stored_at else None


def _unix(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None
