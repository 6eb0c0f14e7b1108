"""The operations on jobs, models and the caller's account in ``/openapi.json``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from service.jobs.batches import PlanJson, RowJson
from service.jobs.model_json import ModelJson
from service.jobs.timeline import TimelineJson
from service.model import JobState
from service.model.job_json import DryRunJson, JobJson
from service.model.json_types import JobId, Moment, Page
from service.web.api.jobs import ResolutionRequest
from service.web.api.service_info import IdsJson, IdStart, MeJson
from service.web.idempotency import HEADER, KEY_LENGTH
from service.web.openapi.builders import (
    Operation,
    Response,
    in_header,
    in_path,
    in_query,
    ref,
    search,
)
from service.web.pagination import LONGEST_PAGE, PAGE_ROWS


class BatchJson(TypedDict):
    """The jobs of a batch, in its order."""

    data: list[RowJson]


LIMIT = in_query(
    "limit",
    Annotated[int, Field(ge=1, le=LONGEST_PAGE)],
    f"The number of items. Default: {PAGE_ROWS}.",
)
CURSOR = in_query(
    "cursor",
    Annotated[str, Field(json_schema_extra={"format": "cursor"})],
    "The `next_cursor` of the previous page.",
)
PAGES = (LIMIT, CURSOR)
LINK = ("Link?",)
KEY = in_header(
    HEADER,
    Annotated[
        str,
        Field(min_length=1, max_length=KEY_LENGTH, json_schema_extra={"format": "idempotency-key"}),
    ],
    "The same key with the same body is one job, for 24 hours.",
)

_NO_JOB = {404: "You have no such job."}
_JOB = in_path("job_id", JobId, "The job's id.")
_EXAMPLE = {
    "model": "kling-2",
    "input": {"prompt": "A fox in the snow", "duration": 5},
    "metadata": {"order": 7},
}
_BATCH = {"rows": [{"key": "order-17", "job": _EXAMPLE}]}
_QUEUED = {
    "state": "queued",
    "task_id": None,
    "video": None,
    "submitted_at": None,
    "finished_at": None,
}

OPERATIONS: dict[str, Operation] = {
    "jobs.create_job": Operation(
        "Jobs",
        {
            202: Response(
                "The job is stored and will be sent.",
                JobJson,
                ("Location", "Idempotency-Replayed?"),
                lambda job: job | _QUEUED,
            )
        },
        {409: "The first request with this key is still running."},
        (KEY,),
        ref("NewJob"),
        example=_EXAMPLE,
        unlisted=("dry_run",),
    ),
    "jobs.dry_run": Operation(
        "Jobs",
        {200: Response("The request that would be sent.", DryRunJson)},
        body=ref("NewJob"),
        example=_EXAMPLE,
    ),
    "batches.create": Operation(
        "Jobs",
        {202: Response("The jobs are stored and will be sent.", BatchJson)},
        body=ref("NewBatch"),
        example=_BATCH,
    ),
    "batches.dry_run": Operation(
        "Jobs",
        {200: Response("The jobs that the batch would create.", PlanJson)},
        body=ref("NewBatch"),
        example=_BATCH,
    ),
    "jobs.list_jobs": Operation(
        "Jobs",
        {200: Response("A page of jobs.", Page[JobJson], LINK)},
        parameters=(
            in_query("state", JobState, "Only jobs in this state."),
            search("model", "Only jobs of this model."),
            in_query("since", Moment, "Only jobs created since this time."),
            search("q", "The beginning of a job's or task's id."),
            *PAGES,
        ),
    ),
    "jobs.get_job": Operation("Jobs", {200: Response("The job.", JobJson)}, _NO_JOB, (_JOB,)),
    "jobs.erase": Operation(
        "Jobs",
        {204: Response("The content is deleted. Id, model, state, times and cost stay.")},
        _NO_JOB | {409: "The job is not finished."},
        (_JOB,),
    ),
    "jobs.get_timeline": Operation(
        "Jobs", {200: Response("The timeline.", TimelineJson)}, _NO_JOB, (_JOB,)
    ),
    "jobs.cancel": Operation(
        "Jobs",
        {200: Response("The job is canceled.", JobJson)},
        _NO_JOB | {409: "The job may have been sent already; you can only mute it."},
        (_JOB,),
    ),
    "jobs.resolve": Operation(
        "Jobs",
        {200: Response("The job continues, or has failed.", JobJson)},
        _NO_JOB | {409: "The job is not unknown, or the task belongs to another job."},
        (_JOB,),
        ResolutionRequest,
        example={"task_id": "a1b2c3"},
    ),
    "jobs.mute": Operation("Jobs", {200: Response("The job is muted.", JobJson)}, _NO_JOB, (_JOB,)),
    "jobs.models": Operation("Models", {200: Response("All models.", Page[ModelJson])}),
    "service_info.me": Operation("Account", {200: Response("The account.", MeJson)}),
    "service_info.ids": Operation(
        "Account",
        {200: Response("Up to two matching ids, newest first.", IdsJson)},
        parameters=(in_query("prefix", IdStart, "The beginning of the id.", required=True),),
    ),
}
