"""
Segmind's wire: version 1 holds the connection until the video is there, version 2 is polled.

Errors are ``{"error": text}``, a wrong method is HTML, and a failed request of
version 2 is an HTTP 422.
"""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, jsonify, request

from service.catalogue.models import MODELS, Model
from service.catalogue.validation import check_input
from service.errors import InvalidInput
from service.sandbox.rendering.images import BadImage, decoded, is_url
from service.sandbox.vendors.fault_orders import FIRST_POLLS
from service.sandbox.vendors.fault_responses import cut_short, html_502, spoil_answer
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

MESSAGES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    406: "Insufficient credits",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service temporarily unavailable",
    504: "Timeout",
}
STATES = {PENDING: "QUEUED", PROCESSING: "PROCESSING", SUCCESS: "COMPLETED", FAILED: "FAILED"}
SYNC_SECONDS = 900.0
IMAGES = frozenset({"start_image", "image_url", "tail_image_url"})
# Between the two price ends that the vendor states; these two are the sandbox's own.
MIDDLE_PRICES = {("std", 10): 0.56, ("pro", 5): 0.98}


class Refusal(Exception):
    """An answer of the vendor other than success."""

    def __init__(self, status: int, message: str = "") -> None:
        self.status, self.message = status, message or MESSAGES.get(status, "Error")
        super().__init__(self.message)


def refusal_response(refusal: Refusal) -> Response:
    """The refusal as the vendor writes it."""
    if refusal.status == 405:
        return Response("<!doctype html><h1>Method Not Allowed</h1>", 405, mimetype="text/html")
    body: dict[str, Any] = {"error": refusal.message}
    if refusal.status == 401:
        body |= {"error_description": "Provide a valid x-api-key header", "status_code": 401}
    response = jsonify(body)
    response.status_code = refusal.status
    if refusal.status == 429:
        response.headers["Retry-After"] = "1"
    return response


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The routes of both versions."""
    blueprint = Blueprint("segmind", __name__)

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return refusal_response(refusal)

    @blueprint.post("/v1/<slug>")
    def create_and_wait(slug: str) -> Response:
        return _wait_for_video(renderer, _create(renderer, slug))

    @blueprint.post("/v2/<slug>")
    def create(slug: str) -> Response:
        task = _create(renderer, slug)
        return jsonify(
            request_id=task.id,
            status="QUEUED",
            poll_url=f"{task.base_url}/v1/requests/{task.id}",
            status_url=f"{task.base_url}/v2/requests/{task.id}/status",
            response_url=f"{task.base_url}/v2/requests/{task.id}",
        )

    @blueprint.get("/v2/requests/<request_id>/status")
    def status(request_id: str) -> Response:
        return _report(renderer, request_id, with_output=False)

    @blueprint.get("/v2/requests/<request_id>")
    @blueprint.get("/v1/requests/<request_id>")
    def result(request_id: str) -> Response:
        return _report(renderer, request_id, with_output=True)

    return blueprint


def price(model: Model, values: dict[str, Any]) -> float:
    """Dollars for this input."""
    chosen = (values.get("mode", ""), values["duration"])
    return model.prices.get(chosen) or MIDDLE_PRICES[chosen]


def _key(renderer: Renderer) -> str:
    """
    The request's key; a bearer token is none.

    Raises:
        Refusal: 401.
    """
    key = request.headers.get("x-api-key", "").strip()
    known = renderer.options.api_keys
    if not key or (known and key not in known):
        raise Refusal(401)
    return key


def _create(renderer: Renderer, slug: str) -> Task:
    """
    Accept a task and start it.

    Raises:
        Refusal: 400, 401, 404 or 406 as the vendor would, or the one that is ordered.
    """
    key = _key(renderer)
    model = MODELS.get(slug)
    if model is None or model.provider != "segmind":
        raise Refusal(404, f"Model not found: {slug}")
    values = _input(model)
    task = renderer.open_task(
        model,
        key,
        values,
        request.host_url,
        cost=price(model, values),
        orders=renderer.book.take_order(),
    )
    if ordered := task.fault_orders.refusal():
        raise Refusal(*ordered)
    if not renderer.accept(task):
        raise Refusal(406)
    if status := spoil_answer(renderer, task):
        raise Refusal(status)
    return task


def _input(model: Model) -> dict[str, Any]:
    if not request.is_json:
        raise Refusal(406, "Invalid content type")
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refusal(400, "Request body is not a JSON object")
    try:
        values = check_input(model, body)
    except InvalidInput as invalid:
        text = "; ".join(
            f"{f.pointer.removeprefix('/input/')}: {f.message}" for f in invalid.faults
        )
        raise Refusal(400, text) from invalid
    for name in IMAGES & values.keys():
        try:
            # The image that a URL leads to is fetched and checked later.
            _ = is_url(values[name]) or decoded(values[name])
        except BadImage as bad:
            raise Refusal(400, f"{name}: {bad}") from bad
    return values


def _wait_for_video(renderer: Renderer, task: Task) -> Response:
    """
    Version 1's answer: the video's bytes, or with ``[json]`` its URL.

    Raises:
        Refusal: 504 after `SYNC_SECONDS`, 500 when the task failed.
    """
    if not renderer.book.wait(task.id, lambda now: now.over, SYNC_SECONDS):
        raise Refusal(504)
    task = renderer.book.find(task.id) or task
    if task.state == FAILED:
        raise Refusal(500, f"{task.fail_code}: {task.fail_message}")
    path = renderer.options.folder / task.file_name
    content = b"" if task.fault_orders.has("empty") else path.read_bytes()
    if task.fault_orders.has("json"):
        response = jsonify(_state(renderer, task) | _output(task))
    elif task.fault_orders.has("cut"):
        response = cut_short(content)
    else:
        response = Response(content, mimetype="video/mp4")
    response.headers["x-request-id"] = task.id
    response.headers["x-cost"] = f"{task.cost:.3f}"
    response.headers["x-remaining-credits"] = f"{renderer.book.credits:.3f}"
    response.headers["x-generation-time"] = f"{_metrics(renderer, task)['inference_time']:.3f}"
    return response


def _report(renderer: Renderer, request_id: str, *, with_output: bool) -> Response:
    task = renderer.book.find(request_id, "segmind", _key(renderer))
    # The vendor keeps a request's record for an hour only; its file lives on.
    if task is None or time.time() - task.created >= renderer.options.record_seconds:
        raise Refusal(404, f"Request not found: {request_id}")
    spoiled = renderer.book.count(task.id, "polls") <= FIRST_POLLS
    if spoiled and task.fault_orders.has("html"):
        return html_502()
    if spoiled and task.fault_orders.has("unknown-state"):
        stand_in = task.fault_orders.argument("unknown-state", "UNKNOWN")
        return jsonify(request_id=task.id, status=stand_in)
    body = _state(renderer, task)
    if task.state == SUCCESS and with_output:
        body |= _output(task)
    response = jsonify(body)
    response.status_code = 422 if task.state == FAILED else 200
    return response


def _state(renderer: Renderer, task: Task) -> dict[str, Any]:
    body: dict[str, Any] = {"request_id": task.id, "status": STATES[task.state]}
    if task.state == FAILED:
        body["error"] = f"{task.fail_code}: {task.fail_message}"
    if task.over:
        body["metrics"] = _metrics(renderer, task)
    return body


def _output(task: Task) -> dict[str, Any]:
    return {"output": None if task.fault_orders.has("empty") else task.result_url}


def _metrics(renderer: Renderer, task: Task) -> dict[str, Any]:
    """Costs in dollars, times in seconds."""
    ended = task.completed or task.created
    started = task.started or task.created
    return {
        "cost": task.cost,
        "remaining_credits": renderer.book.credits,
        "inference_time": round(ended - started, 3),
        "queue_time": round(started - task.created, 3),
        "total_time": round(ended - task.created, 3),
        "retry_count": 0,
    }
