"""The operations of the vendor-compatible APIs in ``/openapi.json``, in their vendors' shapes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from service.messages.payloads import ApixoTaskJson
from service.web.compat.apixo import ApixoCreatedJson, ApixoErrorJson
from service.web.compat.segmind import SegmindErrorJson, SegmindRequestJson
from service.web.openapi.builders import (
    Operation,
    Response,
    Schema,
    in_header,
    in_path,
    in_query,
)
from service.web.openapi.jobs import KEY

_INPUT: dict[str, Any] = {"prompt": "A fox in the snow", "duration": 5}
REPLAY = ("Idempotency-Replayed?",)
_FACTS = ("x-request-id", "x-cost?", "x-remaining-credits?", "Vary", *REPLAY)
_ID = in_path("job_id", str, "The request's id, which is a job's.")
SAMPLE_JOB = "job_0198f3c2a1b47d6e9f00112233445566"
_QUEUED = {
    "request_id": SAMPLE_JOB,
    "status": "QUEUED",
    "poll_url": f"https://clips.example.com/v1/requests/{SAMPLE_JOB}",
    "status_url": f"https://clips.example.com/v2/requests/{SAMPLE_JOB}/status",
    "response_url": f"https://clips.example.com/v2/requests/{SAMPLE_JOB}",
}
RUNNING = "The first request with this key is still running."
TOO_LARGE = "The body is too large."
_REFUSED = {
    400: "The input is wrong.",
    406: "No budget, no credits, or not JSON.",
    409: RUNNING,
    413: TOO_LARGE,
}
_UNKNOWN = {404: "There is no such request."}
_FAILED = {422: Response("The request has failed.", SegmindRequestJson)}
BINARY: Schema = {"type": "string", "format": "binary"}
_VIDEO = {"video/mp4": BINARY, "video/*": BINARY}
OPERATIONS: dict[str, Operation] = {
    "segmind.run_sync": Operation(
        "Segmind-compatible API",
        {
            200: Response(
                "The video or its URL, depending on `Accept`.",
                SegmindRequestJson,
                _FACTS,
                others=_VIDEO,
            ),
            202: Response(
                "With `Prefer: respond-async`: poll the URL in Location.",
                SegmindRequestJson,
                ("Location", "Preference-Applied"),
                _QUEUED,
            ),
        },
        _REFUSED
        | {
            429: "Too many requests wait already; no job was created. See Retry-After.",
            500: "The generation failed.",
            502: "The vendor is unreachable or lost the result.",
            504: "The video was not done in time. The job continues; see Location.",
        },
        (
            in_header("Prefer", str, "`respond-async`: answer at once."),
            KEY,
        ),
        example=_INPUT,
        scope="submit",
        vendor="segmind",
        errors=SegmindErrorJson,
    ),
    "segmind.submit": Operation(
        "Segmind-compatible API",
        {200: Response("The job is stored and will be sent.", SegmindRequestJson, REPLAY, _QUEUED)},
        _REFUSED,
        (KEY,),
        example=_INPUT,
        scope="submit",
        vendor="segmind",
        errors=SegmindErrorJson,
    ),
    "segmind.status": Operation(
        "Segmind-compatible API",
        {200: Response("The state of the task.", SegmindRequestJson), **_FAILED},
        _UNKNOWN,
        (_ID,),
        scope="read",
        errors=SegmindErrorJson,
    ),
    "segmind.result": Operation(
        "Segmind-compatible API",
        {200: Response("The request with its output.", SegmindRequestJson), **_FAILED},
        _UNKNOWN,
        (_ID,),
        scope="read",
        errors=SegmindErrorJson,
    ),
    "apixo.generate_task": Operation(
        "APIXO-compatible API",
        {200: Response("The job is stored and will be sent.", ApixoCreatedJson, REPLAY)},
        {400: "The body is wrong.", 402: "No budget or no credits.", 409: RUNNING},
        (KEY,),
        example={"request_type": "async", "input": _INPUT},
        scope="submit",
        vendor="apixo",
        errors=ApixoErrorJson,
    ),
    "apixo.status_task": Operation(
        "APIXO-compatible API",
        {200: Response("The state of the task.", ApixoTaskJson)},
        {400: "taskId is missing.", 404: "There is no such task."},
        (
            in_query(
                "taskId",
                Annotated[str, Field(min_length=1)],
                "The task's id, which is a job's.",
                required=True,
            ),
        ),
        scope="read",
        vendor="apixo",
        errors=ApixoErrorJson,
    ),
}
