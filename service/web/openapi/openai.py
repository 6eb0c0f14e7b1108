"""The operations of OpenAI's API in ``/openapi.json``: videos and webhook endpoints."""

from __future__ import annotations

from typing import Any, Literal

from service.web.compat.openai import OpenAiErrorJson
from service.web.compat.openai_endpoint import (
    DeletedEndpointJson,
    EndpointChangeJson,
    EndpointJson,
    EndpointRotationJson,
    EndpointsJson,
    EndpointTestJson,
    EndpointWithSecretJson,
    EventTypesJson,
    NewEndpointJson,
    TestedEndpointJson,
)
from service.web.compat.openai_video import OpenAiDeletedJson, OpenAiVideoJson, OpenAiVideosJson
from service.web.compat.videos import VARIANTS
from service.web.openapi.builders import Operation, Response, Shape, in_path, in_query, ref
from service.web.openapi.compat import BINARY, REPLAY, RUNNING, SAMPLE_JOB, TOO_LARGE
from service.web.openapi.jobs import KEY, LIMIT

TAG = "OpenAI-compatible API"
_VIDEO_ID = in_path("video_id", str, "The video's id, which is a job's.")
_NO_VIDEO = {404: "There is no such video."}
_ENDPOINT_ID = in_path("endpoint_id", str, "The endpoint's id, which is a subscription's.")
_NO_ENDPOINT = {404: "There is no such endpoint."}
_WRONG = {400: "A field is wrong."}
_AFTER = in_query("after", str, "The `last_id` of the previous page.")
_PACE = ("x-request-id", "openai-poll-after-ms?")
_CONTENTS = {"video/*": BINARY, "image/jpeg": BINARY}
_NEW_VIDEO = {"model": "kling-2", "prompt": "A fox in the snow", "seconds": "5"}
_NEW = {"status": "queued", "progress": 0, "completed_at": None}
_ENDPOINT = {
    "event_types": ["video.completed", "video.failed"],
    "name": "Orders",
    "url": "https://example.com/videos",
}


def _endpoint(
    answer: Shape,
    words: str,
    scope: str,
    refuses: dict[int, str] | None = None,
    **more: Any,
) -> Operation:
    """An operation on webhook endpoints; `more` as `Operation` has it."""
    answers = {200: Response(words, answer)}
    return Operation(TAG, answers, refuses or {}, scope=scope, errors=OpenAiErrorJson, **more)


OPERATIONS: dict[str, Operation] = {
    "openai_videos.create_video": Operation(
        TAG,
        {
            200: Response(
                "The job is stored and will be sent.",
                OpenAiVideoJson,
                (*_PACE, *REPLAY),
                lambda video: video | _NEW,
            )
        },
        {
            400: "A field is wrong.",
            409: RUNNING,
            413: TOO_LARGE,
            429: "No budget or no credits.",
        },
        (KEY,),
        ref("NewVideo"),
        example=_NEW_VIDEO,
        scope="submit",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.remix_video": Operation(
        TAG,
        {
            200: Response(
                "The job is stored and will be sent.",
                OpenAiVideoJson,
                (*_PACE, *REPLAY),
                lambda video: video | _NEW | {"remixed_from_video_id": SAMPLE_JOB, "model": "own"},
            )
        },
        {
            400: "The model accepts no video, the video is not completed, or a field is wrong.",
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
        TAG,
        {200: Response("A page of videos.", OpenAiVideosJson)},
        {400: "A parameter is wrong."},
        (
            _AFTER,
            LIMIT,
            in_query("order", Literal["asc", "desc"], "By time. Default: desc."),
        ),
        scope="read",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.retrieve_video": Operation(
        TAG,
        {200: Response("The video.", OpenAiVideoJson, _PACE)},
        _NO_VIDEO,
        (_VIDEO_ID,),
        scope="read",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.download_content": Operation(
        TAG,
        {
            200: Response("The bytes of the file.", BINARY, content="video/mp4", others=_CONTENTS),
            206: Response("The bytes of `Range`.", BINARY, content="video/mp4", others=_CONTENTS),
            302: Response(
                "A redirect to the vendor's link until the copy is stored.", headers=("Location",)
            ),
        },
        {
            400: "A parameter is wrong.",
            404: "The file is not ready yet.",
            410: "The file is deleted.",
        },
        (_VIDEO_ID, in_query("variant", Literal[VARIANTS], "The file. Default: video.")),
        scope="read",
        errors=OpenAiErrorJson,
    ),
    "openai_videos.delete_video": Operation(
        TAG,
        {
            200: Response(
                "The video is deleted. Its id, state, times and cost stay.", OpenAiDeletedJson
            )
        },
        _NO_VIDEO | {409: "The job is not finished."},
        (_VIDEO_ID,),
        scope="admin",
        errors=OpenAiErrorJson,
    ),
    "webhook_endpoints.list_event_types": _endpoint(EventTypesJson, "The types.", "read"),
    "webhook_endpoints.create_endpoint": _endpoint(
        EndpointWithSecretJson,
        "The endpoint, with its secret.",
        "admin",
        _WRONG,
        body=NewEndpointJson,
        example=_ENDPOINT,
    ),
    "webhook_endpoints.list_endpoints": _endpoint(
        EndpointsJson, "A page of endpoints.", "read", _WRONG, parameters=(_AFTER, LIMIT)
    ),
    "webhook_endpoints.retrieve_endpoint": _endpoint(
        EndpointJson, "The endpoint.", "read", _NO_ENDPOINT, parameters=(_ENDPOINT_ID,)
    ),
    "webhook_endpoints.update_endpoint": _endpoint(
        EndpointJson,
        "The changed endpoint.",
        "admin",
        _WRONG | _NO_ENDPOINT,
        parameters=(_ENDPOINT_ID,),
        body=EndpointChangeJson,
        example={"event_types": ["video.completed"]},
    ),
    "webhook_endpoints.delete_endpoint": _endpoint(
        DeletedEndpointJson,
        "The endpoint is deleted.",
        "admin",
        _NO_ENDPOINT,
        parameters=(_ENDPOINT_ID,),
    ),
    "webhook_endpoints.rotate_endpoint_secret": _endpoint(
        EndpointWithSecretJson,
        "The endpoint, with its new secret.",
        "admin",
        _WRONG | _NO_ENDPOINT,
        parameters=(_ENDPOINT_ID,),
        body=EndpointRotationJson,
        optional=True,
        example={"keep_old_secret_active_for_24_hours": True},
    ),
    "webhook_endpoints.test_endpoint": _endpoint(
        TestedEndpointJson,
        "The endpoint's answer.",
        "submit",
        {
            400: "The endpoint did not answer, or there is no such event.",
            503: "Too many tests are in progress.",
        }
        | _NO_ENDPOINT,
        parameters=(_ENDPOINT_ID,),
        body=EndpointTestJson,
        example={"event_type": "video.completed"},
    ),
}
