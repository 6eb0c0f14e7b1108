"""OpenRouter's wire: videos with their price in dollars, callbacks signed over time and body."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from flask import Blueprint, Response, jsonify

from service.sandbox.vendors.desk import Desk, Refusal, image, one_of, text
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

STATES = {PENDING: "pending", PROCESSING: "in_progress", SUCCESS: "completed", FAILED: "failed"}
PRICES = {"kwaivgi/kling-v3.0-std": 0.126, "kwaivgi/kling-v3.0-pro": 0.168}
NAMES = ("model", "prompt", "duration", "aspect_ratio", "generate_audio", "frame_images")


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The routes of videos."""
    blueprint = Blueprint("openrouter", __name__, url_prefix="/api/v1/videos")
    desk = Desk(renderer, "openrouter")

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        response = jsonify(error={"code": refusal.status, "message": refusal.message})
        response.status_code = refusal.status
        return response

    @blueprint.post("")
    def create() -> Response:
        key, body = desk.key(), desk.body((*NAMES, "callback_url"))
        if body.get("model") not in PRICES:
            raise Refusal(404, "no such model")
        values = _input(body)
        cost = PRICES[body["model"]] * values["duration"]
        secret = renderer.options.webhook_secret
        sign = (lambda body: _signature(secret, body)) if secret else None
        url = body.get("callback_url")
        task = desk.create("kling-3.0", key, values, cost, url, _bodies, sign)
        made = {"id": task.id, "status": "pending", "generation_id": task.id}
        made["polling_url"] = f"{task.base_url}/api/v1/videos/{task.id}"
        response = jsonify(made)
        response.status_code = 202
        return response

    @blueprint.get("/<task_id>")
    def show(task_id: str) -> Response:
        task = desk.find(task_id, desk.key())
        if task is None:
            raise Refusal(404, "no such video")
        return jsonify(_video(task))

    return blueprint


def _input(body: dict[str, Any]) -> dict[str, Any]:
    one_of(body, "generate_audio", (False, True), False)
    values = {
        "prompt": text(body, "prompt", needed=True),
        "duration": one_of(body, "duration", tuple(range(3, 16)), 5),
        "aspect_ratio": one_of(body, "aspect_ratio", ("16:9", "9:16", "1:1"), "16:9"),
    }
    names = {"first_frame": "image_url", "last_frame": "tail_image_url"}
    for frame in body.get("frame_images", ()):
        if not isinstance(frame, dict) or frame.get("frame_type") not in names:
            raise Refusal(400, "frame_images must be first_frame or last_frame")
        url = image(frame.get("image_url", {}), "url")
        values |= {names[frame["frame_type"]]: url} if url else {}
    return values


def _video(task: Task) -> dict[str, Any]:
    word = task.fault_orders.argument("unknown-state") if not task.over else ""
    shown: dict[str, Any] = {"id": task.id, "status": word or STATES[task.state]}
    if task.state == SUCCESS:
        urls = [] if task.fault_orders.has("empty") else [task.result_url]
        shown |= {"urls": urls, "usage": {"cost": task.cost, "is_byok": False}}
    if task.state == FAILED:
        shown["error"] = f"{task.fail_code}: {task.fail_message}"
    return shown


def _bodies(task: Task) -> tuple[bytes, ...]:
    body = {"type": f"video.generation.{STATES[task.state]}", "data": _video(task)}
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    return (json.dumps(body).encode(),) * times


def _signature(secret: str, body: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    mac = hmac.new(secret.encode(), now.encode() + b"," + body, hashlib.sha256).hexdigest()
    return {"X-OpenRouter-Signature": f"t={now},v1={mac}"}
