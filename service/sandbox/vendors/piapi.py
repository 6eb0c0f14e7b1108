"""PiAPI's wire: one task route; the secret of a create comes back in a header."""

from __future__ import annotations

import json
import time
from typing import Any

from flask import Blueprint, Response, jsonify

from service.sandbox.vendors.desk import Desk, Refusal, image, one_of, only, share, text
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

STATES = {PENDING: "Pending", PROCESSING: "Processing", SUCCESS: "Completed", FAILED: "Failed"}
VERSIONS = {"2.5-turbo": "kling-2.5-turbo", "2.6": "kling-2.6", "3.0": "kling-3.0"}
POINTS = 10_000_000  # for a dollar; the sandbox's own figure
NAMES = ("prompt", "negative_prompt", "cfg_scale", "duration", "aspect_ratio", "mode", "version")
MORE = ("image_url", "image_tail_url", "enable_audio")


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The task route."""
    blueprint = Blueprint("piapi", __name__, url_prefix="/api/v1/task")
    desk = Desk(renderer, "piapi")

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        response = jsonify(code=refusal.status, message=refusal.message, data=None)
        response.status_code = refusal.status
        return response

    @blueprint.post("")
    def create() -> Response:
        key = desk.key("x-api-key", "")
        body = desk.body(("model", "task_type", "input", "config"))
        if body.get("model") != "kling" or body.get("task_type") != "video_generation":
            raise Refusal(400, "model or task_type is not known")
        values, slug = _input(body.get("input"))
        webhook = body.get("config", {}).get("webhook_config", {})
        only(webhook, ("endpoint", "secret"))
        secret = webhook.get("secret", "")
        sign = (lambda _: {"x-webhook-secret": secret}) if secret else None
        cost = 0.1 * values["duration"]
        task = desk.create(slug, key, values, cost, webhook.get("endpoint"), _bodies, sign)
        return jsonify(_task(task))

    @blueprint.get("/<task_id>")
    def show(task_id: str) -> Response:
        task = desk.find(task_id, desk.key("x-api-key", ""))
        if task is None:
            raise Refusal(404, "task not found")
        return jsonify(_task(task))

    return blueprint


def _input(given: Any) -> tuple[dict[str, Any], str]:
    if not isinstance(given, dict):
        raise Refusal(400, "input is required")
    only(given, (*NAMES, *MORE))
    share(given, "cfg_scale")
    one_of(given, "mode", ("std", "pro"), "std")
    one_of(given, "enable_audio", (False, True), False)
    slug = VERSIONS[one_of(given, "version", tuple(VERSIONS), "2.6")]
    values = {
        "prompt": text(given, "prompt", needed=True),
        "negative_prompt": text(given, "negative_prompt"),
        "duration": one_of(given, "duration", (5, 10), 5),
        "aspect_ratio": one_of(given, "aspect_ratio", ("16:9", "9:16", "1:1"), "16:9"),
    }
    frames = {
        "image_url": image(given, "image_url"),
        "tail_image_url": image(given, "image_tail_url"),
    }
    return values | {name: url for name, url in frames.items() if url}, slug


def _task(task: Task) -> dict[str, Any]:
    word = task.fault_orders.argument("unknown-state") if not task.over else ""
    data: dict[str, Any] = {
        "task_id": task.id,
        "model": "kling",
        "status": word or STATES[task.state],
        "output": {},
        "error": {"code": 0, "raw_message": "", "message": ""},
        "meta": {"usage": {"type": "point", "frozen": 0, "consume": 0}},
    }
    if task.state == SUCCESS:
        data["output"] = {} if task.fault_orders.has("empty") else {"video_url": task.result_url}
        data["meta"]["usage"]["consume"] = round(task.cost * POINTS)
    if task.state == FAILED:
        data["error"] = {"code": 10000, "raw_message": task.fail_code, "message": task.fail_message}
    return {"code": 200, "message": "success", "data": data}


def _bodies(task: Task) -> tuple[bytes, ...]:
    body = {"timestamp": int(time.time()), "data": _task(task)["data"]}
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    return (json.dumps(body).encode(),) * times
