"""The operations of the vendor-compatible APIs in ``/openapi.json``, in their vendors' shapes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from service.messages.payloads import ApixoTaskJson
from service.web.compat.apixo import ApixoCreatedJson, ApixoErrorJson
from service.web.compat.openai import OpenAiErrorJson
from service.web.compat.openai_video import OpenAiDeletedJson, OpenAiVideoJson, OpenAiVideosJson
from service.web.compat.segmind import SegmindErrorJson, SegmindRequestJson
from service.web.compat.videos import VARIANTS
from service.web.openapi.builders import (
    Operation,
    Response,
    Schema,
    in_header,
    in_path,
    in_query,
    ref,
)
from service.web.openapi.jobs import KEY, LIMIT

_INPUT: dict[str, Any] = {"prompt": "A fox in the snow", "duration": 5}
_REPLAY = ("Idempotency-Replayed?",)
_FACTS = ("x-request-id", "x-cost?", "x-remaining-credits?", "Vary", *_REPLAY)
_ID = in_path("job_id", str, "The request's id, which is a job's.")
_JOB = "job_0198f3c2a1b47d6e9f00112233445566"
_QUEUED = {
    "request_id": _JOB,
    "status": "QUEUED",
    "poll_url": f"https://clips.example.com/v1/requests/{_JOB}",
    "status_url": f"https://clips.example.com/v2/requests/{_JOB}/status",
    "response_url": f"https://clips.example.com/v2/requests/{_JOB}",
}
_REFUSED = {
    400: "The input is wrong.",
    406: "No budget, no credits, or not JSON.",
    409: "The first request with this key is still running.",
    413: "The body is too large.",
}
_UNKNOWN = {404: "There is no such request."}
_FAILED = {422: Response("It has FAILED.", SegmindRequestJson)}
_BINARY: Schema = {"type": "string", "format": "binary"}
_VIDEO = {"video/mp4": _BINARY, "video/*": _BINARY}
_VIDEO_ID = in_path("video_id", str, "The video's id, which is a job's.")
_NO_VIDEO = {404: "There is no such video."}
_PACE = ("x-request-id", "openai-poll-after-ms?")
_CONTENTS = {"video/*": _BINARY, "image/jpeg": _BINARY}
_NEW_VIDEO = {"model": "kling-2", "prompt": "A fox in the snow", "seconds": "5"}
_NEW = {"status": "queued", "progress": 0, "completed_at": None}

OPERATIONS: dict[str, Operation] = {
    "segmind.run_sync": Operation(
        "Segmind-compatible API",
        {
            200: Response(
                "The video, or where it is: by `Accept`.",
                SegmindRequestJson,
                _FACTS,
                others=_VIDEO,
            ),
            202: Response(
                "With `Prefer: respond-async`: ask at Location.",
                SegmindRequestJson,
                ("Location", "Preference-Applied"),
                _QUEUED,
            ),
        },
        _REFUSED
        | {
            429: "Too many are waiting; no job was created. See Retry-After.",
            500: "The generation failed.",
            502: "The vendor is unreachable or lost the result.",
            504: "Not done in time; the job goes on, see Location.",
        },
        (
            in_header("Prefer", str, "`respond-async`: don't hold the connection."),
            KEY,
        ),
        example=_INPUT,
        scope="submit",
        vendor="segmind",
        errors=SegmindErrorJson,
    ),
    "segmind.submit": Operation(
        "Segmind-compatible API",
        {200: Response("It is stored and will be sent.", SegmindRequestJson, _REPLAY, _QUEUED)},
        _REFUSED,
        (KEY,),
        example=_INPUT,
        scope="submit",
        vendor="segmind",
        errors=SegmindErrorJson,
    ),
    "segmind.status": Operation(
        "Segmind-compatible API",
        {200: Response("Its state.", SegmindRequestJson), **_FAILED},
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
        {200: Response("It is stored and will be sent.", ApixoCreatedJson, _REPLAY)},
        {400: "The body is wrong.", 402: "No budget or no credits.", 409: _REFUSED[409]},
        (KEY,),
        example={"request_type": "async", "input": _INPUT},
        scope="submit",
        vendor="apixo",
        errors=ApixoErrorJson,
    ),
    "apixo.status_task": Operation(
        "APIXO-compatible API",
        {200: Response("Its state.", ApixoTaskJson)},
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
    "openai_videos.create_video": Operation(
        "OpenAI-compatible API",
        {
            200: Response(
                "It is stored and will be sent.",
                OpenAiVideoJson,
                (*_PACE, *_REPLAY),
                lambda video: video | _NEW,
            )
        },
        {
            400: "A field is wrong.",
            409: _REFUSED[409],
            413: _REFUSED[413],
            429: "No budget or no credits.",
        },
        (KEY,),
        ref("NewVideo"),
        example=_NEW_VIDEO,
        scope="submit",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.remix_video": Operation(
        "OpenAI-compatible API",
        {
            200: Response(
                "It is stored and will be sent.",
                OpenAiVideoJson,
                (*_PACE, *_REPLAY),
                lambda video: video | _NEW | {"remixed_from_video_id": _JOB, "model": "own"},
            )
        },
        {
            400: "Its model takes no video, it is not completed, or a field is wrong.",
            429: "No budget or no credits.",
        }
        | _NO_VIDEO,
        (_VIDEO_ID, KEY),
        ref("NewRemix"),
        example={"prompt": "The same fox in the rain"},
        scope="submit",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.list_videos": Operation(
        "OpenAI-compatible API",
        {200: Response("A page of videos.", OpenAiVideosJson)},
        {400: "A parameter is wrong."},
        (
            in_query("after", str, "The `last_id` of the page before."),
            LIMIT,
            in_query("order", Literal["asc", "desc"], "By time. Default: desc."),
        ),
        scope="read",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.retrieve_video": Operation(
        "OpenAI-compatible API",
        {200: Response("The video.", OpenAiVideoJson, _PACE)},
        _NO_VIDEO,
        (_VIDEO_ID,),
        scope="read",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.download_content": Operation(
        "OpenAI-compatible API",
        {
            200: Response("Its bytes.", _BINARY, content="video/mp4", others=_CONTENTS),
            206: Response("A part of them.", _BINARY, content="video/mp4", others=_CONTENTS),
            302: Response("Where it is until the copy is there.", headers=("Location",)),
        },
        {400: "A parameter is wrong.", 404: "Not there yet.", 410: "No longer kept."},
        (_VIDEO_ID, in_query("variant", Literal[VARIANTS], "Which one. Default: video.")),
        scope="read",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.delete_video": Operation(
        "OpenAI-compatible API",
        {200: Response("It is deleted; its id, state, times and cost stay.", OpenAiDeletedJson)},
        _NO_VIDEO | {409: "It has not ended yet."},
        (_VIDEO_ID,),
        scope="admin",
        errors=OpenAiErrorJson,
    ),
}
