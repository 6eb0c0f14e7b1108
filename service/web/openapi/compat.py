"""What `/openapi.json` tells of the front doors, in their vendors' shapes."""

from __future__ import annotations

from typing import Any

from service.events.samples import SAMPLE_JOB
from service.web.openapi.builders import (
    Operation,
    Response,
    Schema,
    fields,
    in_header,
    in_path,
    in_query,
    maybe,
    moment,
    number,
    one_of,
    ref,
    text,
    whole,
)
from service.web.openapi.examples import LINK, WHEN
from service.web.openapi.inputs import TARGETS
from service.web.openapi.jobs import KEY

_INPUT: dict[str, Any] = {"prompt": "A fox in the snow", "duration": 5}
_REPLAY = ("Idempotency-Replayed?",)
_FACTS = ("x-request-id", "x-cost?", "x-remaining-credits?", "Vary", *_REPLAY)
_ID = in_path("job_id", text("A request's id, which is a job's."))
_METRICS = fields("Figures.", cost=maybe(number("US dollars.")), total_time=maybe(number("s.")))
_STATES = ("QUEUED", "PROCESSING", "COMPLETED", "FAILED")

_REQUEST: Schema = {
    "type": "object",
    "description": "A request, as Segmind shows it.",
    "properties": {
        "request_id": text("Its id: our job's."),
        "status": one_of("How far it is.", _STATES),
        "output": text("The link of the video, once it is COMPLETED.", format="uri"),
        "error": text("Why it FAILED."),
        "metrics": _METRICS,
        "created_at": moment("When it was asked for."),
    },
    "required": ["request_id", "status", "metrics", "created_at"],
}
_DONE = {
    "request_id": SAMPLE_JOB,
    "status": "COMPLETED",
    "output": LINK,
    "metrics": {"cost": 0.44, "total_time": 74.0},
    "created_at": WHEN,
}
_QUEUED = {
    "request_id": SAMPLE_JOB,
    "status": "QUEUED",
    "poll_url": f"https://clips.example.com/v1/requests/{SAMPLE_JOB}",
    "status_url": f"https://clips.example.com/v2/requests/{SAMPLE_JOB}/status",
    "response_url": f"https://clips.example.com/v2/requests/{SAMPLE_JOB}",
}
_TASK = fields(
    "A task, as APIXO shows it.",
    code={"const": 200, "type": "integer"},
    message=text("`success`."),
    data={
        "type": "object",
        "properties": {
            "taskId": text("Its id: our job's."),
            "state": one_of("How far it is.", ("pending", "processing", "success", "failed")),
            "resultJson": text("JSON with `resultUrls`, once it is a success."),
            "failCode": text("Why it failed."),
            "failMsg": text("Why it failed, for people."),
            "createTime": whole("In milliseconds."),
            "completeTime": whole("In milliseconds."),
            "costTime": whole("In milliseconds."),
        },
        "required": ["taskId", "state", "createTime"],
    },
)

#: The shapes of the doors' answers.
SCHEMAS: dict[str, Schema] = {
    "SegmindRequest": _REQUEST,
    "SegmindSubmitted": fields(
        "Where to ask.",
        request_id=text("Its id: our job's."),
        status={"const": "QUEUED", "type": "string"},
        poll_url=text("The request.", format="uri"),
        status_url=text("How far it is.", format="uri"),
        response_url=text("The request.", format="uri"),
    ),
    "SegmindError": fields("Segmind's error.", error=text("What is wrong.")),
    "ApixoTask": _TASK,
    "ApixoCreated": fields(
        "A new task.",
        code={"const": 200, "type": "integer"},
        message=text("`success`."),
        data=fields("It.", taskId=text("Its id: our job's.")),
    ),
    "ApixoError": fields(
        "APIXO's error.",
        code=whole("The HTTP status."),
        message=text("The status in words."),
        data=fields("More.", error=text("What is wrong.")),
    ),
}
EXAMPLES: dict[str, Any] = {
    "SegmindRequest": _DONE,
    "SegmindSubmitted": _QUEUED,
    "SegmindError": {"error": "prompt: this field is required"},
    "ApixoCreated": {"code": 200, "message": "success", "data": {"taskId": SAMPLE_JOB}},
    "ApixoTask": {
        "code": 200,
        "message": "success",
        "data": {"taskId": SAMPLE_JOB, "state": "pending", "createTime": 1767268800000},
    },
    "ApixoError": {"code": 401, "message": "Unauthorized", "data": {"error": "no API key"}},
}

_REFUSED = {
    400: "The input is wrong.",
    406: "No budget, no credits, or not JSON.",
    409: "The first request with this key is still running.",
    413: "The body is too large.",
}
_UNKNOWN = {404: "There is no such request."}
_FAILED = {422: Response("It has FAILED.", ref("SegmindRequest"))}
_BINARY: Schema = {"type": "string", "format": "binary"}
_VIDEO = {"video/mp4": _BINARY, "video/*": _BINARY}

OPERATIONS: dict[str, Operation] = {
    "segmind_door.run_sync": Operation(
        "Segmind's doors",
        {
            200: Response(
                "The video, or where it is: by `Accept`.",
                ref("SegmindRequest"),
                _FACTS,
                others=_VIDEO,
            ),
            202: Response(
                "With `Prefer: respond-async`: ask at Location.",
                ref("SegmindSubmitted"),
                ("Location", "Preference-Applied"),
            ),
        },
        _REFUSED
        | {
            429: "Too many are waiting; nothing was made. See Retry-After.",
            500: "The generation failed.",
            502: "The vendor is away or lost the result.",
            504: "Not done in time; the job goes on, see Location.",
        },
        (
            in_header("Prefer", text("`respond-async`: don't hold the connection.")),
            KEY,
        ),
        example=_INPUT,
        scope="submit",
        vendor="segmind",
        errors="SegmindError",
    ),
    "segmind_door.submit": Operation(
        "Segmind's doors",
        {200: Response("It is kept and will be sent.", ref("SegmindSubmitted"), _REPLAY)},
        _REFUSED,
        (KEY,),
        example=_INPUT,
        scope="submit",
        vendor="segmind",
        errors="SegmindError",
    ),
    "segmind_door.status": Operation(
        "Segmind's doors",
        {200: Response("How far it is.", ref("SegmindRequest")), **_FAILED},
        _UNKNOWN,
        (_ID,),
        scope="read",
        errors="SegmindError",
    ),
    "segmind_door.result": Operation(
        "Segmind's doors",
        {200: Response("The request with its output.", ref("SegmindRequest")), **_FAILED},
        _UNKNOWN,
        (_ID,),
        scope="read",
        errors="SegmindError",
    ),
    "apixo_door.generate_task": Operation(
        "APIXO's doors",
        {200: Response("It is kept and will be sent.", ref("ApixoCreated"), _REPLAY)},
        {400: "The body is wrong.", 402: "No budget or no credits.", 409: _REFUSED[409]},
        (KEY,),
        example={"request_type": "async", "input": _INPUT},
        scope="submit",
        vendor="apixo",
        errors="ApixoError",
    ),
    "apixo_door.status_task": Operation(
        "APIXO's doors",
        {200: Response("How far it is.", ref("ApixoTask"))},
        {400: "taskId is missing.", 404: "There is no such task."},
        (in_query("taskId", text("A task's id, which is a job's.", minLength=1), required=True),),
        scope="read",
        vendor="apixo",
        errors="ApixoError",
    ),
}


def apixo_request(slug: str, routes: tuple[str, ...]) -> Schema:
    """The body of APIXO's generateTask: asked about later, or with a callback of the caller's."""
    common: dict[str, Schema] = {
        "input": ref(f"Input-{slug}"),
        "provider": {"enum": [*routes, None], "description": "The vendor's own route."},
    }
    shapes = (
        ("Asked about", {"const": "async"}, {"description": "Passed over."}, ()),
        (
            "Calls back",
            {"const": "callback"},
            TARGETS["webhook"],
            ("request_type", "callback_url"),
        ),
    )
    return {
        "anyOf": [
            {
                "type": "object",
                "title": title,
                "properties": {**common, "request_type": mode, "callback_url": target},
                "required": ["input", *needed],
                "additionalProperties": False,
            }
            for title, mode, target, needed in shapes
        ]
    }
