"""kie.ai's wire: HTTP 200 for everything, `code` for the answer, ids and times signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from flask import Blueprint, Response, jsonify, request

from service.sandbox.vendors.desk import Desk, Refusal, image, one_of, only, share, text
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

STATES = {PENDING: "waiting", PROCESSING: "generating", SUCCESS: "success", FAILED: "fail"}
MODELS = {
    "kling/v2-5-turbo-text-to-video-pro": ("aspect_ratio",),
    "kling/v2-5-turbo-image-to-video-pro": ("image_url", "tail_image_url"),
}
CREDITS = 8.4  # a second; the sandbox's own figure
DOLLARS = 0.005
NAMES = ("prompt", "duration", "negative_prompt", "cfg_scale")


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The market's two routes."""
    blueprint = Blueprint("kie", __name__, url_prefix="/api/v1/jobs")
    desk = Desk(renderer, "kie")

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        response = jsonify(code=refusal.status, msg=refusal.message, data=None)
        # A gateway's own errors are not wrapped.
        response.status_code = refusal.status if refusal.made else 200
        return response

    @blueprint.post("/createTask")
    def create() -> Response:
        key, body = desk.key(), desk.body(("model", "callBackUrl", "input"))
        if body.get("model") not in MODELS:
            raise Refusal(422, "model is not supported")
        values = _input(body.get("input"), MODELS[body["model"]])
        cost = CREDITS * DOLLARS * values["duration"]
        secret = renderer.options.webhook_secret
        sign = (lambda body: _signature(secret, body)) if secret else None
        url = body.get("callBackUrl")
        task = desk.create("kling-2.5-turbo", key, values, cost, url, _bodies, sign)
        return jsonify(code=200, msg="success", data={"taskId": task.id})

    @blueprint.get("/recordInfo")
    def record() -> Response:
        task = desk.find(request.args.get("taskId", ""), desk.key())
        if task is None:
            raise Refusal(404, "task not found")
        return jsonify(_record(task))

    return blueprint


def _input(given: Any, more: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Refusal(422, "input is required")
    only(given, (*NAMES, *more))
    share(given, "cfg_scale")
    values = {
        "prompt": text(given, "prompt", needed=True),
        "negative_prompt": text(given, "negative_prompt"),
        "duration": int(one_of(given, "duration", ("5", "10"), "5")),
        "aspect_ratio": one_of(given, "aspect_ratio", ("16:9", "9:16", "1:1"), "16:9"),
    }
    frames = {name: image(given, name) for name in ("image_url", "tail_image_url")}
    return values | {name: url for name, url in frames.items() if url}


def _record(task: Task) -> dict[str, Any]:
    word = task.fault_orders.argument("unknown-state") if not task.over else ""
    data: dict[str, Any] = {
        "taskId": task.id,
        "model": "kling/v2-5-turbo",
        "state": word or STATES[task.state],
        "param": json.dumps({"input": {"prompt": task.values["prompt"]}}),
        "createTime": round(task.created * 1000),
    }
    if task.state == SUCCESS:
        urls = [] if task.fault_orders.has("empty") else [task.result_url]
        data["resultJson"] = json.dumps({"resultUrls": urls})
        data["creditsConsumed"] = round(task.cost / DOLLARS, 2)
    if task.state == FAILED:
        data |= {"failCode": task.fail_code, "failMsg": task.fail_message}
    return {"code": 200, "msg": "success", "data": data}


def _bodies(task: Task) -> tuple[bytes, ...]:
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    return (json.dumps(_record(task)).encode(),) * times


def _signature(secret: str, body: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    signed = f"{json.loads(body)['data']['taskId']}.{now}".encode()
    mac = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    return {"X-Webhook-Timestamp": now, "X-Webhook-Signature": mac}
