"""``/v1/jobs`` and ``/v1/models``."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, NotRequired

from flask import Blueprint, Response, url_for
from pydantic import Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from service import store
from service.errors import FieldError, InvalidInput
from service.jobs import budget
from service.jobs.model_json import models_json
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.requests import (
    JobRequest,
    cancel_job,
    check_request,
    mute_job,
    planned_job,
    request_job,
    with_saved_images,
)
from service.jobs.submission import preview
from service.jobs.timeline import timeline
from service.model import Job, JobState, Video
from service.model.job_json import JobJson, job_json
from service.model.json_types import Text, about
from service.videos.links import link_of
from service.videos.retention import erase_job
from service.web import idempotency, repeats
from service.web.context import (
    JOB_BYTES,
    caller,
    channels,
    get_or_404,
    json_body,
    json_response,
    needs,
    wiring,
)
from service.web.pagination import cursor_of, page_response, page_rows
from service.web.query import choice, moment, switch, text

blueprint = Blueprint("jobs", __name__, url_prefix="/v1")


def shown(job: Job, video: Video | None) -> JobJson:
    """The job as JSON, with its link if there is a video."""
    w = wiring()
    return job_json(job, video, link_of(w.db, w.links, w.settings, video, w.clock()))


@blueprint.post("/jobs")
@needs("submit", dry_run=switch)
def create_job(dry_run: bool) -> Response:
    """
    Create a job, which makes one video.

    The job is checked and stored before the answer. `?dry_run=true` answers as
    `POST /v1/dry-runs` does.
    """
    key = idempotency.given_key()
    body = json_body(JOB_BYTES)
    w = wiring()
    asked = check_request(body, channels(), w.market())
    if dry_run:
        return _preview(asked)
    said = json.dumps(body, sort_keys=True).encode()
    counted = repeats.counted_create(said)
    with w.db.write() as tx:
        kept = idempotency.replay(tx, key, said)
        if kept is not None:
            return kept
        earlier = repeats.earlier_try(tx, counted)
        if earlier is None:
            asked = with_saved_images(w.uploads, asked, w.clock())
            job = request_job(tx, w.encryptor, w.settings, caller().account_id, asked, w.clock())
            response = _created(shown(job, None))
            idempotency.save(tx, key, response)
            repeats.remember_create(tx, counted, job.id)
            return response
    return _created(current_job(earlier), {idempotency.REPLAYED: "true"})


def _created(job: JobJson, headers: dict[str, str] | None = None) -> Response:
    place = {"Location": url_for(".get_job", job_id=job["id"])}
    return json_response(job, 202, place | (headers or {}))


def current_job(job_id: str) -> JobJson:
    """The caller's job as JSON. Raises NotFound."""
    with wiring().db.read() as tx:
        job = get_or_404(tx, Job, job_id)
        video = store.videos.of_job(tx, job.id)
    return shown(job, video)


@blueprint.post("/dry-runs")
@needs("submit")
def dry_run() -> Response:
    """Check a job and show the request to the vendor; nothing is sent."""
    return _preview(check_request(json_body(JOB_BYTES), channels(), wiring().market()))


def _preview(asked: JobRequest) -> Response:
    w = wiring()
    job = planned_job(w.settings, caller().account_id, asked, w.clock())
    with w.db.read() as tx:
        objection = budget.objection(tx, w.settings, job, w.clock())
    shown = preview(w.providers, w.settings, w.signer, job, asked.choice, objection)
    return json_response(shown)


@blueprint.get("/jobs")
@needs(
    "read",
    state=choice(JobState),
    model=text,
    since=moment,
    q=text,
    limit=page_rows(),
    cursor=cursor_of("job"),
)
def list_jobs(limit: int, cursor: str | None, q: str | None, **which: Any) -> Response:
    """An account's jobs, newest first."""
    with wiring().db.read() as tx:
        account = caller().account_id
        jobs = store.job_lists.page(tx, account, limit, before=cursor, prefix=q, **which)
        videos = store.videos.of_jobs(tx, [job.id for job in jobs])
    return page_response([shown(job, videos.get(job.id)) for job in jobs], jobs.older)


@blueprint.get("/jobs/<job_id>")
@needs("read")
def get_job(job_id: str) -> Response:
    """One job. If the link of its video has expired, this renews it."""
    return json_response(current_job(job_id))


@blueprint.delete("/jobs/<job_id>")
@needs("admin")
def erase(job_id: str) -> Response:
    """Delete the content of a finished job for good. Before its end: 409."""
    w = wiring()
    with w.db.read() as tx:
        job = get_or_404(tx, Job, job_id)
    erase_job(w.db, w.uploads, job, w.clock())
    return Response(status=204)


@blueprint.get("/jobs/<job_id>/timeline")
@needs("read")
def get_timeline(job_id: str) -> Response:
    """The history of one job, in order of time."""
    with wiring().db.read() as tx:
        job = get_or_404(tx, Job, job_id)
        entries = timeline(tx, job)
    return json_response({"job_id": job.id, "state": job.state.value, "data": entries})


@blueprint.post("/jobs/<job_id>/cancel")
@needs("submit")
def cancel(job_id: str) -> Response:
    """Cancel a job before it is sent. Afterwards: 409."""
    w = wiring()
    with w.db.write() as tx:
        job = get_or_404(tx, Job, job_id)
        cancel_job(tx, job, w.clock())
        job = get_or_404(tx, Job, job_id)
    return json_response(shown(job, None))


#: Not `Literal[True]`, which also accepts 1.
_Yes = Annotated[bool, Field(json_schema_extra={"const": True})]


@with_config(extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1})
class ResolutionRequest(TypedDict):
    """The decision about an unknown job: exactly one of these."""

    task_id: NotRequired[Annotated[Text, about("The vendor's task for this job.", min_length=1)]]
    resend: NotRequired[Annotated[_Yes, about("Send it again; it may be paid twice.")]]
    fail: NotRequired[Annotated[_Yes, about("Mark it failed.")]]


_RESOLUTION = TypeAdapter(ResolutionRequest)


@blueprint.post("/jobs/<job_id>/resolve")
@needs("submit")
def resolve(job_id: str) -> Response:
    """Resolve an unknown job by hand, with `task_id`, `resend` or `fail`."""
    body = json_body()
    w = wiring()
    with w.db.write() as tx:
        job = get_or_404(tx, Job, job_id)
        resolve_by_hand(tx, job, resolution_of(body), w.clock())
        return json_response(shown(get_or_404(tx, Job, job_id), None))


def resolution_of(body: Any) -> Resolution:
    """The decision about an unknown job in a body. Raises InvalidInput."""
    with suppress(ValidationError):
        match list(_RESOLUTION.validate_python(body, strict=True).items()):
            case [("task_id", str(task_id))]:
                return Resolution(task_id=task_id)
            case [("resend", True)]:
                return Resolution(resend=True)
            case [("fail", True)]:
                return Resolution()
    message = 'must be {"task_id": "…"}, {"resend": true} or {"fail": true}'
    raise InvalidInput([FieldError("", "not_allowed", message)])


@blueprint.post("/jobs/<job_id>/mute")
@needs("submit")
def mute(job_id: str) -> Response:
    """Stop all messages about a job."""
    w = wiring()
    with w.db.write() as tx:
        job = get_or_404(tx, Job, job_id)
        mute_job(tx, job, w.clock())
        video = store.videos.of_job(tx, job.id)
    return json_response(shown(replace(job, muted=True), video))


@blueprint.get("/models")
@needs("read")
def models() -> Response:
    """All models, with their inputs, prices and vendors."""
    return json_response({"data": models_json(wiring().market()), "next_cursor": None})
