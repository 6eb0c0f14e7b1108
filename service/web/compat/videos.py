"""
OpenAI's videos API, served by us: ``/v1/videos``.

OpenAI has ended its own server; the `openai` libraries, LiteLLM and many
gateways still use the API. A video of this API is a job of ours with the same id.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.errors import Conflict, NotFound
from service.jobs.requests import JobRequest
from service.model import VideoState
from service.videos.archive import file_name
from service.videos.retention import erase_job
from service.web import idempotency
from service.web.compat.base import CompatError, Found, create, find
from service.web.compat.form_body import read_fields
from service.web.compat.openai import FINAL, NO_MONEY, after_arg, in_openai_words
from service.web.compat.openai_video import (
    OpenAiDeletedJson,
    OpenAiVideosJson,
    expected_seconds,
    status_of,
    video_json,
)
from service.web.compat.videos_request import check_fields, check_remix
from service.web.context import authenticate, caller, json_response, wiring
from service.web.files import redirected, stored_file
from service.web.pagination import page_rows
from service.web.query import choice, read_argument

blueprint = Blueprint("openai_videos", __name__, url_prefix="/v1/videos")

VARIANTS = ("video", "thumbnail", "spritesheet")
#: The number of polls of a client within the expected time of its video.
QUESTIONS = 30
SOONEST_MS, LATEST_MS = 1000, 10_000

blueprint.register_error_handler(Exception, in_openai_words)


@blueprint.post("")
def create_video() -> Response:
    """Create a video. Poll for its result, or get it by a webhook."""
    authenticate("submit")
    fields = read_fields()
    return _created(check_fields(fields), fields)


@blueprint.post("/<video_id>/remix")
def remix_video(video_id: str) -> Response:
    """Make a new video from a completed one, with another prompt, if its model can."""
    authenticate("submit")
    fields, source = read_fields(), _video(video_id)
    status = status_of(source.job, source.video)
    asked = check_remix(source.job, fields)
    if status != "completed":
        message = f"Video '{source.job.id}' cannot be remixed yet: its status is {status}"
        raise CompatError(400, message, code="video_not_completed")
    return _created(asked, fields)


def _created(asked: JobRequest, fields: dict[str, Any]) -> Response:
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
    """A video. Until it is done, a header says when to poll again, in milliseconds."""
    authenticate("read")
    return _answer(_video(video_id))


@blueprint.get("")
def list_videos() -> Response:
    """An account's videos, newest first; `order=asc`: oldest first."""
    authenticate("read")
    ascending = read_argument("order", choice(("asc", "desc"))) == "asc"
    after, limit = after_arg("job"), read_argument("limit", page_rows())
    with wiring().db.read() as tx:
        account_id = caller().account_id
        jobs = store.job_lists.page_not_erased(tx, account_id, limit, after, ascending=ascending)
        videos = store.videos.of_jobs(tx, [job.id for job in jobs])
    data = [video_json(job, videos.get(job.id)) for job in jobs]
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
    """The bytes of a video or its thumbnail. Until the copy is stored: a redirect."""
    authenticate("read")
    variant = read_argument("variant", choice(VARIANTS)) or "video"
    found = _video(video_id)
    job, video = found.job, found.video
    status = status_of(job, video)
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
    if not video.provider_url and video.state is VideoState.LOST:
        raise CompatError(410, f"Video '{job.id}' could not be copied: {video.note}")
    if not video.provider_url:
        raise CompatError(404, f"Video '{job.id}' is not ready yet", {"Retry-After": "5"})
    return redirect(video.provider_url, 302)


@blueprint.delete("/<video_id>")
def delete_video(video_id: str) -> Response:
    """Delete a finished video and its content for good. Before its end: 409."""
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
    # An erased job has no prompt any more.
    if found is None or not found.job.input:
        raise CompatError(404, f"Video with id '{video_id[:80]}' not found.")
    return found


def _answer(found: Found) -> Response:
    body = video_json(found.job, found.video)
    headers = {"x-request-id": body["id"]}
    if body["status"] in ("queued", "in_progress"):
        wait = int(1000 * expected_seconds(found.job) / QUESTIONS)
        headers["openai-poll-after-ms"] = str(min(max(wait, SOONEST_MS), LATEST_MS))
    return json_response(body, 200, headers)
