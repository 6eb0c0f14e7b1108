"""The errors of OpenAI's API, for all parts of it that are served here."""

from __future__ import annotations

from typing import Annotated

from flask import Response, request
from typing_extensions import TypedDict

from service.errors import InvalidInput
from service.model import is_id
from service.model.json_types import about
from service.web.compat.base import CompatError
from service.web.context import json_response
from service.web.errors import Problem, as_problem

NO_MONEY = 429
#: The header against repetitions: a second attempt would fail in the same way.
FINAL = {"x-should-retry": "false"}
#: The paths of this API.
PREFIXES = ("/v1/videos", "/v1/webhook_endpoints", "/v1/webhook_event_types")
#: Operations of OpenAI's API that need an uploaded video.
_FROM_A_FILE = ("/v1/videos/edits", "/v1/videos/extensions", "/v1/videos/characters")
_NO_FILES = (
    "no model of this server takes a video as a file: remix a video that your own server made"
    " (POST /v1/videos/ID/remix), or create one with an image as input_reference"
)
_CODES = {
    401: "invalid_api_key",
    403: "insufficient_permissions",
    404: "not_found",
    429: "rate_limit_exceeded",
}


class OpenAiErrorTextJson(TypedDict):
    """An error of OpenAI's API."""

    message: Annotated[str, about("The error.", "seconds: must be one of 5, 10; got 7")]
    type: Annotated[str, about("The kind of error.", "invalid_request_error")]
    param: Annotated[str | None, about("The field that is wrong.", "seconds")]
    code: Annotated[str | None, about("A stable code for programs.", "not_allowed")]


class OpenAiErrorJson(TypedDict):
    """OpenAI's error."""

    error: OpenAiErrorTextJson


def in_openai_words(error: Exception) -> Response:
    """Any error in the shape of OpenAI's API."""
    if isinstance(error, CompatError):
        code = "insufficient_quota" if error.status == NO_MONEY else error.code
        return _refusal(error.status, error.message, error.headers, code=code)
    problem = as_problem(error)
    # OpenAI's table has neither 415 nor 422: it uses 400 for both.
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
    """The app's own 404 or 405 below this API's paths in OpenAI's shape; None for other paths."""
    if not any(f"{request.path}/".startswith(f"{prefix}/") for prefix in PREFIXES):
        return None
    if request.method == "POST" and request.path in _FROM_A_FILE:
        return _refusal(400, _NO_FILES, {}, code="unsupported")
    return in_openai_words(problem)


def after_arg(prefix: str) -> str | None:
    """The last id of the previous page, or None. Raises InvalidInput for an impossible id."""
    after = request.args.get("after")
    if after and not is_id(prefix, after):
        raise InvalidInput.at("?after", "not_allowed", "must be the last_id of an earlier page")
    return after or None
