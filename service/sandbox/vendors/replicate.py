"""Replicate's wire: predictions, their list, and callbacks by Standard Webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from service.sandbox.vendors.desk import Desk, Refusal, image, one_of, only, share, text
from service.sandbox.vendors.kling import standard_signature
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

MODEL = "kwaivgi/kling-v2.5-turbo-pro"
STATES = {PENDING: "starting", PROCESSING: "processing", SUCCESS: "succeeded", FAILED: "failed"}
PAGE = 100
DOLLARS = 0.07  # a second; the sandbox's own figure
NAMES = ("prompt", "duration", "aspect_ratio", "guidance_scale", "negative_prompt")
EVENTS = ("start", "output", "logs", "completed")


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The routes of predictions."""
    blueprint = Blueprint("replicate", __name__, url_prefix="/v1")
    desk = Desk(renderer, "replicate")

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        response = jsonify(title="Refused", detail=refusal.message, status=refusal.status)
        response.status_code = refusal.status
        return response

    @blueprint.post("/models/<owner>/<name>/predictions")
    def create(owner: str, name: str) -> Response:
        key, body = desk.key(), desk.body(("input", "webhook", "webhook_events_filter"))
        if f"{owner}/{name}" != MODEL:
            raise Refusal(404, "The requested resource could not be found.")
        only(dict.fromkeys(body.get("webhook_events_filter", ())), EVENTS)
        values, url = _input(body.get("input")), body.get("webhook")
        secret = renderer.options.webhook_secret
        sign = (lambda body: standard_signature(secret, body)) if secret else None
        cost = DOLLARS * values["duration"]
        task = desk.create("kling-2.5-turbo", key, values, cost, url, _bodies, sign)
        response = jsonify(_prediction(task))
        response.status_code = 201
        return response

    @blueprint.get("/predictions/<task_id>")
    def show(task_id: str) -> Response:
        task = desk.find(task_id, desk.key())
        if task is None:
            raise Refusal(404, "The requested resource could not be found.")
        return jsonify(_prediction(task))

    @blueprint.get("/predictions")
    def listed() -> Response:
        tasks = desk.tasks(desk.key())
        start = int(request.args.get("cursor", "0"))
        page = [_prediction(task) for task in tasks[start : start + PAGE]]
        more = f"{request.base_url}?cursor={start + PAGE}" if len(tasks) > start + PAGE else None
        return jsonify(previous=None, next=more, results=page)

    return blueprint


def _input(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Refusal(422, "input is required")
    only(given, (*NAMES, "start_image", "end_image"))
    share(given, "guidance_scale")
    values = {
        "prompt": text(given, "prompt", needed=True),
        "negative_prompt": text(given, "negative_prompt"),
        "duration": one_of(given, "duration", (5, 10), 5),
        "aspect_ratio": one_of(given, "aspect_ratio", ("16:9", "9:16", "1:1"), "16:9"),
    }
    frames = {"image_url": image(given, "start_image"), "tail_image_url": image(given, "end_image")}
    return values | {name: url for name, url in frames.items() if url}


def _prediction(task: Task) -> dict[str, Any]:
    word = task.fault_orders.argument("unknown-state") if not task.over else ""
    where = f"{task.base_url}/v1/predictions/{task.id}"
    shown: dict[str, Any] = {
        "id": task.id,
        "model": MODEL,
        "version": "hidden",
        "status": word or STATES[task.state],
        "input": {"prompt": task.values["prompt"]},
        "output": None,
        "error": task.fail_message or None,
        "logs": "",
        "created_at": _moment(task.created),
        "completed_at": _moment(task.completed) if task.completed else None,
        "urls": {"get": where, "cancel": f"{where}/cancel"},
        "webhook": task.callback_url,
    }
    if task.state == SUCCESS and not task.fault_orders.has("empty"):
        shown["output"] = task.result_url
    return shown


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _bodies(task: Task) -> tuple[bytes, ...]:
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    return (json.dumps(_prediction(task)).encode(),) * times
