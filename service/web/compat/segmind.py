"""
Segmind's two APIs, served by us.

v1 answers once the copy is stored; v2 is submit and poll. Errors
are ``{"error": "…"}`` with the statuses of the vendor's documentation.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from flask import Blueprint, Response, current_app, request
from typing_extensions import TypedDict

from service.catalogue.models import VENDORS, find_offer
from service.formatting import iso
from service.model import JobState, VideoState
from service.model.json_types import LINK, JobId, Moment, Url, about
from service.storage import media_type_of
from service.web.compat.base import (
    CompatError,
    Found,
    asks_for,
    checked,
    create,
    credits_left,
    find,
    known_model,
)
from service.web.compat.waiters import Waiters
from service.web.context import (
    JOB_BYTES,
    authenticate,
    decoded_body,
    json_body,
    json_response,
    wiring,
)
from service.web.errors import Problem, as_problem
from service.web.files import stored_file

blueprint = Blueprint("segmind", __name__)

NO_MONEY = 406
RETRY_SECONDS = "5"
_SLUGS = ",".join(f'"{model.slug}"' for model in VENDORS["segmind"].models)

#: The HTTP status of the synchronous API for a failed job's code; 500 for others.
_STATUS = {
    "BAD_REQUEST": 400,
    "PROMPT_TOO_LONG": 400,
    "CONTENT_VIOLATION": 400,
    "INVALID_IMAGE_URL": 400,
    "IMAGE_DOWNLOAD_FAILED": 400,
    "IMAGE_TOO_LARGE": 400,
    "UNSUPPORTED_FORMAT": 400,
    "FORBIDDEN": 403,
    "NOT_FOUND_MODEL": 404,
    "INSUFFICIENT_CREDITS": 406,
    "SPEND_LIMIT": 406,
    "BUDGET": 406,
    "JOB_BUDGET": 406,
    "PRICE_UNKNOWN": 406,
    "RATE_LIMITED": 429,
    "CONCURRENCY_LIMIT": 429,
    "PROVIDER_UNAVAILABLE": 502,
    "AUTH_INVALID": 502,
    "RESULT_LOST": 502,
    "PROCESSING_TIMEOUT": 504,
}
SegmindStatus = Literal["QUEUED", "PROCESSING", "COMPLETED", "FAILED"]
_V2_STATES: dict[JobState, SegmindStatus] = {
    JobState.QUEUED: "QUEUED",
    JobState.HELD: "QUEUED",
    JobState.SUCCEEDED: "COMPLETED",
    JobState.FAILED: "FAILED",
    JobState.CANCELED: "FAILED",
}


class SegmindErrorJson(TypedDict):
    """Segmind's error."""

    error: Annotated[str, about("The error.", "prompt: this field is required")]


@blueprint.errorhandler(Exception)
def _in_segmind_words(error: Exception) -> Response:
    if isinstance(error, CompatError):
        return json_response({"error": error.message}, error.status, error.headers)
    problem = as_problem(error)
    # Segmind has no 415: it uses 406 for a wrong content type.
    status = {415: 406, 422: 400}.get(problem.status, problem.status)
    message = "; ".join(f"{f.pointer.strip('/?#')}: {f.message}" for f in problem.errors or ())
    if problem.status == 415:
        message = "Invalid content type"
    return json_response({"error": message or problem.detail}, status, problem.headers)


@blueprint.post(f"/v1/<any({_SLUGS}):slug>")
def run_sync(slug: str) -> Response:
    """Make a video. The request waits until it is done."""
    authenticate("submit")
    with _waiters().slot() as has_slot:
        if not has_slot and not asks_for("Prefer", "respond-async"):
            message = "Too many requests are waiting; try again, or use v2"
            raise CompatError(429, message, {"Retry-After": RETRY_SECONDS})
        raw = decoded_body(JOB_BYTES)
        asked = checked(slug, json_body(JOB_BYTES), "segmind_v1", provider="segmind")
        job, replayed = create(asked, raw, NO_MONEY)
        if asks_for("Prefer", "respond-async"):
            location = _url(f"v2/requests/{job.id}")
            headers = {"Preference-Applied": "respond-async", "Location": location}
            return json_response(_submitted(job.id), 202, headers | _replay_header(replayed))
        if not replayed:
            seconds = wiring().settings.sync_timeout or 3 * asked.model.expected(asked.input)
            _waiters().wait(job.id, seconds)
        response = _result(find(job.id), replayed=replayed)
        response.headers.update(_replay_header(replayed))
        return response


def _replay_header(replayed: bool) -> dict[str, str]:
    return {"Idempotency-Replayed": "true"} if replayed else {}


def in_its_place(problem: Problem) -> Response | None:
    """The app's own 404 or 405 in Segmind's shape, at the path of a model or a possible one."""
    if request.path.startswith(("/v2/", "/v1/requests/")):
        return _in_segmind_words(problem)
    slug = request.path.removeprefix("/v1/")
    if not request.path.startswith("/v1/") or "/" in slug:
        return None
    if problem.status == 404 and request.method == "POST":
        return json_response({"error": f"Model not found: {slug[:80]}"}, 404)
    if problem.status == 405 and known_model(slug, "segmind"):
        return json_response({"error": "Method not allowed"}, 405, problem.headers)
    return None


def _waiters() -> Waiters:
    waiters: Waiters = current_app.extensions["waiters"]
    return waiters


def _result(found: Found, *, replayed: bool) -> Response:
    job, video = found.job, found.video
    if job.state in (JobState.FAILED, JobState.CANCELED):
        error = job.error or {"code": "CANCELED", "message": "the job was canceled"}
        headers = {"x-request-id": job.id}
        raise CompatError(_STATUS.get(error["code"], 500), error["message"], headers)
    if job.state is not JobState.SUCCEEDED or video is None or video.state is VideoState.PENDING:
        status = 409 if replayed else 504
        headers = {"x-request-id": job.id, "Location": _url(f"v2/requests/{job.id}")}
        raise CompatError(status, f"Not done yet; {job.id} goes on: see Location", headers)
    stored = video.file if video.state is VideoState.STORED else None
    # As MP4, whatever its type is, or with its own type.
    kinds = ("video/mp4", "video/*", media_type_of(stored)) if stored else ()
    if stored and any(asks_for("Accept", kind) for kind in kinds):
        name = f"{job.id}.{stored.rpartition('.')[2]}"
        response = stored_file(stored, name, whole=True)
    else:
        response = json_response(_body(found))
    response.headers["Vary"] = "Accept"
    response.headers["x-request-id"] = job.id
    cost = job.estimated_max if job.actual_cost is None else job.actual_cost
    if cost is not None:
        response.headers["x-cost"] = f"{cost:g}"
    left = credits_left(job.provider)
    if left is not None:
        response.headers["x-remaining-credits"] = left
    return response


_METRICS = {"cost": 0.44, "total_time": 74.0}


class SegmindMetricsJson(TypedDict):
    """Cost and time of a request."""

    cost: Annotated[float | None, about("US dollars.")]
    total_time: Annotated[float | None, about("Seconds from its creation to its final state.")]


class SegmindRequestJson(TypedDict):
    """A request of Segmind: our job. A new one has URLs to poll; a finished one has metrics."""

    request_id: Annotated[JobId, about("Its id: our job's.")]
    status: Annotated[SegmindStatus, about("Its state.", "COMPLETED")]
    output: NotRequired[Annotated[Url | None, about("The video, once it is COMPLETED.", LINK)]]
    error: NotRequired[Annotated[str, about("The reason of a failure.")]]
    metrics: NotRequired[Annotated[SegmindMetricsJson, about("Its cost and time.", _METRICS)]]
    created_at: NotRequired[Annotated[Moment, about("The time of its creation.")]]
    poll_url: NotRequired[Annotated[Url, about("The URL of the request.")]]
    status_url: NotRequired[Annotated[Url, about("The URL of the request's status.")]]
    response_url: NotRequired[Annotated[Url, about("The URL of the request.")]]


def _body(found: Found) -> SegmindRequestJson:
    """The v2 body of a job, which v1 also uses for JSON answers."""
    job = found.job
    state: SegmindStatus = _V2_STATES.get(job.state, "PROCESSING")
    waiting = found.video is not None and found.video.state is VideoState.PENDING
    if state == "COMPLETED" and waiting:
        state = "PROCESSING"
    body: SegmindRequestJson = {"request_id": job.id, "status": state}
    if state == "COMPLETED":
        body["output"] = found.link
    if state == "FAILED":
        error = job.error or {"message": "the job was canceled"}
        body["error"] = error["message"]
    ended = job.finished_at
    body["metrics"] = {
        "cost": job.actual_cost if job.actual_cost is not None else job.estimated_max,
        "total_time": round((ended - job.created_at).total_seconds(), 2) if ended else None,
    }
    body["created_at"] = iso(job.created_at)
    return body


def _url(path: str) -> str:
    return f"{wiring().settings.public_url}/{path}"


@blueprint.post("/v2/<slug>")
def submit(slug: str) -> Response:
    """Submit a request. Poll for its result."""
    authenticate("submit")
    if not known_model(slug, "segmind"):
        raise CompatError(404, f"Model not found: {slug[:80]}")
    raw = decoded_body(JOB_BYTES)
    asked = checked(slug, json_body(JOB_BYTES), "segmind_v2", provider="segmind")
    job, replayed = create(asked, raw, NO_MONEY)
    return json_response(_submitted(job.id), 200, _replay_header(replayed))


def _submitted(job_id: str) -> SegmindRequestJson:
    return {
        "request_id": job_id,
        "status": "QUEUED",
        "poll_url": _url(f"v1/requests/{job_id}"),
        "status_url": _url(f"v2/requests/{job_id}/status"),
        "response_url": _url(f"v2/requests/{job_id}"),
    }


@blueprint.get("/v2/requests/<job_id>/status")
def status(job_id: str) -> Response:
    """The status of a request. Once it has failed: 422."""
    body = _asked(job_id)
    body.pop("output", None)
    return _as_v2(body)


@blueprint.get("/v2/requests/<job_id>")
@blueprint.get("/v1/requests/<job_id>")
def result(job_id: str) -> Response:
    """A request with its output. Once it has failed: 422."""
    return _as_v2(_asked(job_id))


def _asked(job_id: str) -> SegmindRequestJson:
    authenticate("read")
    found = find(job_id)
    if find_offer(found.job.model, found.job.provider) is None:
        raise Problem(404, "that model is no longer sold here")
    return _body(found)


def _as_v2(body: SegmindRequestJson) -> Response:
    return json_response(body, 422 if body["status"] == "FAILED" else 200)
