"""
APIXO's API, served by us: ``generateTask`` and ``statusTask``.

Every answer is an APIXO envelope, with the HTTP status equal to its code. In
callback mode the caller's URL gets the status envelope, with our signature.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from flask import Blueprint, Response, request
from pydantic import with_config
from typing_extensions import TypedDict

from service.messages.payloads import apixo_status
from service.model import ACCOUNTS_OWN, TERMINAL_EVENTS, JobState, VideoState
from service.model.json_types import HookUrl, JobId, about
from service.web.compat.base import CompatError, checked, create, find, known_model
from service.web.context import JOB_BYTES, authenticate, decoded_body, json_body, json_response
from service.web.errors import Problem, as_problem

blueprint = Blueprint("apixo", __name__, url_prefix="/api/v1")

NO_MONEY = 402


@blueprint.errorhandler(Exception)
def _in_apixo_words(error: Exception) -> Response:
    """Any error in the shape of APIXO's API."""
    if isinstance(error, CompatError):
        return _refusal(error.status, error.message, error.headers)
    problem = as_problem(error)
    # APIXO's table has neither 415 nor 422: it uses 400 for both.
    status = 400 if problem.status in (413, 415, 422) else problem.status
    detail = problem.detail
    if problem.errors:
        detail = "; ".join(f"{f.pointer.strip('/?#')}: {f.message}" for f in problem.errors)
    return _refusal(status, detail, problem.headers)


def in_its_place(problem: Problem) -> Response | None:
    """The app's own 404 or 405 below this API's path in APIXO's shape; None for other paths."""
    return _in_apixo_words(problem) if request.path.startswith("/api/v1/") else None


class ApixoErrorTextJson(TypedDict):
    """The text of an error."""

    error: Annotated[str, about("The error.", "no API key was sent")]


class ApixoErrorJson(TypedDict):
    """APIXO's error."""

    code: Annotated[int, about("The HTTP status.", 401)]
    message: Annotated[str, about("The status in words.", "Unauthorized")]
    data: ApixoErrorTextJson


def _refusal(status: int, detail: str, headers: dict[str, str]) -> Response:
    title = _TITLES.get(status, "Error")
    body: ApixoErrorJson = {"code": status, "message": title, "data": {"error": detail}}
    return json_response(body, status, headers)


_TITLES = {
    400: "Invalid request",
    401: "Unauthorized",
    402: "Insufficient credits",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    429: "Rate limit exceeded",
    500: "Internal server error",
    503: "Service unavailable",
}


@with_config(
    extra="forbid",
    json_schema_extra={
        "if": {
            "properties": {"request_type": {"const": "callback"}},
            "required": ["request_type"],
        },
        "then": {"properties": {"callback_url": {}}, "required": ["callback_url"]},
    },
)
class NewTask(TypedDict):
    """A request for a task of APIXO."""

    request_type: NotRequired[
        Annotated[Literal["async", "callback"], about("`callback` needs `callback_url`.")]
    ]
    callback_url: NotRequired[
        Annotated[HookUrl, about("The URL that gets the final state of the task.")]
    ]
    provider: NotRequired[Annotated[str, about("The vendor's own route.", "auto")]]
    input: Annotated[dict[str, Any], about("The model's input.")]


class ApixoTaskIdJson(TypedDict):
    """The id of a task."""

    taskId: Annotated[JobId, about("Its id: our job's.")]


class ApixoCreatedJson(TypedDict):
    """A new task of APIXO: our job."""

    code: Annotated[Literal[200], about("The HTTP status.")]
    message: Annotated[Literal["success"], about("Always `success`.")]
    data: ApixoTaskIdJson


FIELDS = tuple(NewTask.__annotations__)


@blueprint.post("/generateTask/<slug>")
def generate_task(slug: str) -> Response:
    """Create a task. Poll for its result, or get it at `callback_url`."""
    authenticate("submit")
    if not known_model(slug, "apixo"):
        raise CompatError(404, f"Model not found: {slug[:80]}")
    raw, body = decoded_body(JOB_BYTES), json_body(JOB_BYTES)
    if not isinstance(body, dict):
        raise CompatError(400, "the body must be a JSON object")
    unknown = [name for name in body if name not in FIELDS]
    if unknown:
        raise CompatError(400, f"{unknown[0][:80]}: takes only {', '.join(FIELDS)}")
    mode, target = body.get("request_type", "async"), body.get("callback_url")
    if mode not in ("async", "callback"):
        raise CompatError(400, "request_type: must be async or callback")
    more: dict[str, Any] = {"provider": body.get("provider"), "notify": None}
    if mode == "callback":
        if not isinstance(target, str) or not target:
            raise CompatError(400, "callback_url: required when request_type is callback")
        events = sorted(TERMINAL_EVENTS)
        spec = {"channel": "webhook", "target": target, "format": "apixo", "events": events}
        more["notify"] = [spec, ACCOUNTS_OWN]
    asked = checked(slug, body.get("input"), "apixo", **more)
    job, replayed = create(asked, raw, NO_MONEY)
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    created: ApixoCreatedJson = {"code": 200, "message": "success", "data": {"taskId": job.id}}
    return json_response(created, 200, headers)


@blueprint.get("/statusTask/<slug>")
def status_task(slug: str) -> Response:
    """The state of a task. It is `success` only once Clipbell has a link that plays."""
    authenticate("read")
    if not known_model(slug, "apixo"):
        raise CompatError(404, f"Model not found: {slug[:80]}")
    task_id = request.args.get("taskId", "")
    if not task_id:
        raise CompatError(400, "taskId: required")
    found = find(task_id, slug)
    envelope = apixo_status(found.job, found.link)
    waiting = found.video is not None and found.video.state is VideoState.PENDING
    if found.job.state is JobState.SUCCEEDED and waiting:
        envelope["data"]["state"] = "processing"
        envelope["data"].pop("resultJson")
    return json_response(envelope)
