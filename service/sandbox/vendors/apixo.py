"""
APIXO's wire: create a task, ask for its state, be called back.

HTTP status and the envelope's `code` are always the same number.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections import defaultdict, deque
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, jsonify, request

from service.catalogue.models import MODELS, Model
from service.catalogue.validation import check_input
from service.errors import InvalidInput
from service.sandbox.rendering.images import is_url
from service.sandbox.vendors.fault_orders import FIRST_POLLS
from service.sandbox.vendors.fault_responses import early_wait, html_502, spoil_answer
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PROCESSING, SUCCESS, Task

MESSAGES = {
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
ROUTES = ("auto", "value", "official")
MOST_REPEATS = 100
DOLLARS_PER_SECOND = 0.07  # the vendor states no price; the sandbox wants one to count by


class Refusal(Exception):
    """An answer other than 200; `detail` becomes ``data.error``."""

    def __init__(self, code: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.retry_after = code, detail, retry_after


def refusal_response(refusal: Refusal) -> Response:
    """A refusal in the vendor's envelope."""
    message = MESSAGES.get(refusal.code, "Request failed")
    response = jsonify(code=refusal.code, message=message, data={"error": refusal.detail})
    response.status_code = refusal.code
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def envelope(task: Task, state: str | None = None) -> dict[str, Any]:
    """The status answer, which is the callback's body too; `state` overrides the task's."""
    data: dict[str, Any] = {"taskId": task.id, "state": state or task.state}
    data["createTime"] = _milliseconds(task.created)
    if data["state"] == SUCCESS:
        result = {"resultUrls": [] if task.fault_orders.has("empty") else [task.result_url]}
        data["resultJson"] = result if task.fault_orders.has("object") else json.dumps(result)
    if data["state"] == FAILED:
        data |= {"failCode": task.fail_code, "failMsg": task.fail_message}
    if data["state"] in (SUCCESS, FAILED):
        ended = task.completed or time.time()
        data["completeTime"] = _milliseconds(ended)
        data["costTime"] = _milliseconds(ended - task.created)
    return {"code": 200, "message": "success", "data": data}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def callback_bodies(task: Task) -> tuple[bytes, ...]:
    """The callbacks of a task that is over, in the order they are sent."""
    true = json.dumps(envelope(task)).encode()
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    sent = [true] * max(1, min(MOST_REPEATS, times))
    if task.fault_orders.has("forge"):
        other = replace(task, id=uuid.uuid4().hex, state=SUCCESS, completed=time.time())
        sent.insert(0, json.dumps(envelope(other)).encode())
    if task.fault_orders.has("reorder"):
        sent.append(json.dumps(envelope(task, PROCESSING)).encode())
    return tuple(sent)


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The vendor's two routes."""
    blueprint = Blueprint("apixo", __name__, url_prefix="/api/v1")
    gate = Gate(renderer)

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return refusal_response(refusal)

    @blueprint.post("/generateTask/<slug>")
    def create(slug: str) -> Response:
        return _create(renderer, gate.key(), _model(slug))

    @blueprint.get("/statusTask/<slug>")
    def status(slug: str) -> Response:
        key, model = gate.key(), _model(slug)
        task_id = request.args.get("taskId", "")
        if not task_id:
            raise Refusal(400, "Missing required parameter: taskId")
        task = renderer.book.find(task_id, "apixo", key)
        if task is None or task.model is not model:
            raise Refusal(404, f"Task not found: {task_id}")
        spoiled = renderer.book.count(task.id, "polls") <= FIRST_POLLS
        if spoiled and task.fault_orders.has("html"):
            return html_502()
        stand_in = task.fault_orders.argument("unknown-state") if spoiled else ""
        return jsonify(envelope(task, stand_in or None))

    return blueprint


class Gate:
    """Keys and the vendor's limit of requests a minute, counted by key."""

    def __init__(self, renderer: Renderer) -> None:
        self._options = renderer.options
        self._seen: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def key(self) -> str:
        """
        The key of the request at hand.

        Raises:
            Refusal: 401 without a good key, 429 beyond the limit.
        """
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        key = key.strip()
        known = not self._options.api_keys or key in self._options.api_keys
        if scheme.lower() != "bearer" or not key or not known:
            raise Refusal(401, "Invalid or missing API key")
        with self._lock:
            self._count(self._seen[key], time.monotonic())
        return key

    def _count(self, seen: deque[float], now: float) -> None:
        while seen and seen[0] <= now - 60:
            seen.popleft()
        if len(seen) >= self._options.requests_per_minute:
            raise Refusal(429, "Too many requests", retry_after=int(seen[0] + 60 - now) + 1)
        seen.append(now)


def _model(slug: str) -> Model:
    model = MODELS.get(slug)
    if model is None or model.provider != "apixo":
        raise Refusal(404, f"Model not found: {slug}")
    return model


def _create(renderer: Renderer, key: str, model: Model) -> Response:
    if not request.is_json:
        raise Refusal(400, "Content-Type must be application/json")
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refusal(400, "Request body is not a JSON object")
    values, callback_url = _input(model, body), _callback_url(body)
    task = renderer.open_task(
        model,
        key,
        values,
        request.host_url,
        cost=DOLLARS_PER_SECOND * values["duration"],
        callback_url=callback_url,
        orders=renderer.book.take_order(),
    )
    if ordered := task.fault_orders.refusal():
        code, detail = ordered
        retry_after = 1 if code == 429 else None
        raise Refusal(code, detail or MESSAGES.get(code, "Refused"), retry_after)
    if renderer.book.running(key) >= renderer.options.concurrent_tasks:
        raise Refusal(429, "Too many concurrent tasks", retry_after=5)
    if not renderer.accept(task, callback_bodies):
        raise Refusal(402, "Insufficient credits")
    early_wait(renderer.book, task)
    if status := spoil_answer(renderer, task):
        raise Refusal(status, "it broke after the task was made")
    return jsonify(code=200, message="success", data={"taskId": task.id})


def _callback_url(body: dict[str, Any]) -> str | None:
    """
    Where to call back, or None; checks the rest of the envelope on the way.

    Raises:
        Refusal: 400 for a request_type, provider or callback_url that is not allowed.
    """
    kind = body.get("request_type", "async")
    if kind not in ("async", "callback"):
        raise Refusal(400, "request_type must be async or callback")
    if body.get("provider", "auto") not in ROUTES:
        raise Refusal(400, "provider must be one of auto, value, official")
    if kind == "async":
        return None
    url = body.get("callback_url")
    if not isinstance(url, str) or not is_url(url):
        raise Refusal(400, "callback_url is required when request_type is callback")
    return url


def _input(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("input")
    if not isinstance(given, dict):
        raise Refusal(400, "Missing required field: input")
    missing = [name for name in ("prompt", "mode", "duration") if given.get(name) in (None, "")]
    if missing:
        raise Refusal(400, f"Missing required field: input.{missing[0]}")
    try:
        values = check_input(model, given)
    except InvalidInput as invalid:
        found = []
        for fault in invalid.faults:
            name = re.sub(r"/(\d+)", r"[\1]", fault.pointer.lstrip("/")).replace("/", ".")
            found.append(f"{name}: {fault.message}")
        raise Refusal(400, "; ".join(found)) from invalid
    for place, image in enumerate(values.get("image_urls", [])):
        if not is_url(image):
            raise Refusal(400, f"input.image_urls[{place}] must be an http(s) URL")
    return values
