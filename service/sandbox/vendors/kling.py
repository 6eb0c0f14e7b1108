"""
Kling's own wire: the routes of 2026, and the older ones that take more.

A caller's `external_task_id` is unique for each key: a second create with it is refused as
400 with code 1201. Errors are ``{"code", "message", "request_id"}``; a task that is not
there is missing from a list (new routes) or 404 with code 1203 (older ones).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, jsonify, request

from service.sandbox.vendors.desk import Desk, Refusal, image, one_of, only, share, text
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, DuplicateTask, Task

MODELS = ("kling-2.5-turbo", "kling-2.6", "kling-3.0", "kling-3.0-turbo")
OLD_NAMES = {"kling-v2-5-turbo": "kling-2.5-turbo", "kling-v2-6": "kling-2.6"}
RATIOS = ("16:9", "9:16", "1:1")
UNIT = 0.14  # dollars
#: Units a second: without and with sound, by model and size.
UNITS = {
    ("kling-2.5-turbo", "720p"): (0.3, 0.3),
    ("kling-2.5-turbo", "1080p"): (0.5, 0.5),
    ("kling-2.6", "720p"): (0.3, 1.0),
    ("kling-2.6", "1080p"): (0.5, 1.0),
    ("kling-3.0", "720p"): (0.6, 0.9),
    ("kling-3.0", "1080p"): (0.8, 1.2),
    ("kling-3.0", "4k"): (3.0, 3.0),
    ("kling-3.0-turbo", "720p"): (0.8, 0.8),
    ("kling-3.0-turbo", "1080p"): (1.0, 1.0),
}
STATES = {PENDING: "submitted", PROCESSING: "processing", SUCCESS: "succeeded", FAILED: "failed"}
CODES = {400: 1201, 401: 1002, 402: 1102, 403: 1103, 404: 1203, 429: 1302, 500: 5000, 503: 5001}
AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The routes of both generations."""
    blueprint = Blueprint("kling", __name__)
    desk = Desk(renderer, "kling", no_credits=429)

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        code = 1102 if refusal.message.startswith("Insufficient") else CODES.get(refusal.status)
        code = int(refusal.word) if refusal.word.isdecimal() else code or refusal.status
        body = {"code": code, "message": refusal.message, "request_id": uuid.uuid4().hex}
        response = jsonify(body)
        response.status_code = refusal.status
        return response

    @blueprint.post("/text-to-video/<model>")
    def text_to_video(model: str) -> Response:
        body = desk.body(("prompt", "settings", "options"))
        values = {"prompt": text(body, "prompt", 3072, needed=True)}
        return _create(desk, _known(model), values, body, new=True)

    @blueprint.post("/image-to-video/<model>")
    def image_to_video(model: str) -> Response:
        body = desk.body(("contents", "settings", "options"))
        return _create(desk, _known(model), _contents(body), body, new=True)

    @blueprint.get("/tasks")
    def tasks() -> Response:
        key = desk.key()
        found = [desk.find(one, key) for one in _ids("task_ids")]
        found += [renderer.book.named("kling", key, one) for one in _ids("external_task_ids")]
        listed = [_task(task) for task in found if task]
        return jsonify(code=0, message="SUCCEED", request_id=uuid.uuid4().hex, data=listed)

    @blueprint.post("/tasks")
    def history() -> Response:
        key, body = desk.key(), desk.body(("start_time", "end_time", "cursor", "limit", "filters"))
        first, last = body.get("start_time", 0) / 1000, body.get("end_time", 2**53) / 1000
        listed = [_task(task) for task in desk.tasks(key) if first <= task.created <= last]
        start, limit = int(body.get("cursor") or 0), body.get("limit", 500)
        more = str(start + limit) if len(listed) > start + limit else None
        data = {"tasks": listed[start : start + limit], "cursor": more}
        return jsonify(code=0, message="SUCCEED", request_id=uuid.uuid4().hex, data=data)

    @blueprint.post("/v1/videos/<any(text2video, image2video):kind>")
    def create_old(kind: str) -> Response:
        return _create_old(desk, kind)

    @blueprint.get("/v1/videos/<any(text2video, image2video):kind>/<task_id>")
    def old_task(kind: str, task_id: str) -> Response:
        key = desk.key()
        task = desk.find(task_id, key) or renderer.book.named("kling", key, task_id)
        if task is None:
            raise Refusal(404, "task not found", "1203")
        data = _old_task(task)
        return jsonify(code=0, message="SUCCEED", request_id=uuid.uuid4().hex, data=data)

    return blueprint


def _known(model: str) -> str:
    if model not in MODELS:
        raise Refusal(404, f"no such model: {model}", "1202")
    return model


def _ids(name: str) -> list[str]:
    ids = [one for one in request.args.get(name, "").split(",") if one]
    if len(ids) > 20:
        raise Refusal(400, f"{name} takes at most 20")
    return ids


def _contents(body: dict[str, Any]) -> dict[str, Any]:
    """The parts of an image-to-video create. Raises Refusal."""
    contents = body.get("contents")
    if not isinstance(contents, list) or not all(isinstance(one, dict) for one in contents):
        raise Refusal(400, "contents must be a list of objects")
    parts = {one.get("type"): one for one in contents}
    only(parts, ("prompt", "first_frame", "last_frame"))
    if "first_frame" not in parts:
        raise Refusal(400, "contents lack first_frame")
    values = {"prompt": text(parts.get("prompt", {}), "text", 3072)}
    values["image_url"] = image(parts["first_frame"], "url") or ""
    if last := image(parts.get("last_frame", {}), "url"):
        values["tail_image_url"] = last
        if body.get("settings", {}).get("resolution") != "1080p":
            raise Refusal(400, "first and last frame together need resolution 1080p")
    return values


def _create(
    desk: Desk, model: str, values: dict[str, Any], body: dict[str, Any], new: bool
) -> Response:
    key, settings, options = desk.key(), body.get("settings", {}), body.get("options", {})
    if key.count(".") == 2 and new:
        raise Refusal(401, "this route takes API keys only", "1002")
    only(settings, ("resolution", "aspect_ratio", "duration", "audio", "multi_shot"))
    only(options, ("callback_url", "external_task_id", "watermark_info"))
    lengths = range(3, 16) if model.startswith("kling-3") else (5, 10)
    size = one_of(settings, "resolution", ("720p", "1080p", "4k"), "720p")
    if (model, size) not in UNITS:
        raise Refusal(400, f"{model} has no resolution {size}")
    values["duration"] = one_of(settings, "duration", tuple(lengths), 5)
    values["aspect_ratio"] = one_of(settings, "aspect_ratio", RATIOS, "16:9")
    loud = one_of(settings, "audio", (False, True), False)
    cost = UNITS[model, size][loud] * values["duration"] * UNIT
    named, url = options.get("external_task_id", ""), options.get("callback_url")
    task = _accepted(desk, model, key, values, cost, url, named, _bodies)
    answer = _task(replace(task, state=PENDING))
    made = {name: answer[name] for name in ("id", "status", "create_time", "update_time")}
    made["external_id"] = named
    return jsonify(code=0, message="SUCCEED", request_id=uuid.uuid4().hex, data=made)


def _accepted(
    desk: Desk,
    model: str,
    key: str,
    values: dict[str, Any],
    cost: float,
    url: Any,
    named: Any,
    bodies: Any,
) -> Task:
    if not isinstance(named, str):
        raise Refusal(400, "external_task_id must be a text")
    secret = desk.renderer.options.webhook_secret
    sign = (lambda body: standard_signature(secret, body)) if secret else None
    try:
        return desk.create(model, key, values, cost, url, bodies, sign, external_id=named)
    except DuplicateTask:
        raise Refusal(400, "external_task_id is not unique", "1201") from None


def _create_old(desk: Desk, kind: str) -> Response:
    names = ("model_name", "prompt", "negative_prompt", "cfg_scale", "mode", "duration")
    frames = ("image", "image_tail") if kind == "image2video" else ("aspect_ratio",)
    more = ("camera_control", "callback_url", "external_task_id")
    body, key = desk.body((*names, *frames, *more)), desk.key()
    if body.get("model_name") not in OLD_NAMES:
        raise Refusal(400, "model_name is not known")
    values: dict[str, Any] = {"prompt": text(body, "prompt", needed=kind == "text2video")}
    values["negative_prompt"] = text(body, "negative_prompt")
    values["aspect_ratio"] = one_of(body, "aspect_ratio", RATIOS, "16:9")
    values["duration"] = int(one_of(body, "duration", ("5", "10"), "5"))
    share(body, "cfg_scale")
    size = {"std": "720p", "pro": "1080p"}[one_of(body, "mode", ("std", "pro"), "std")]
    camera = body.get("camera_control", {})
    only(camera, ("type", "config"))
    only(camera.get("config", {}), AXES)
    if kind == "image2video":
        values["image_url"] = image(body, "image") or ""
        if last := image(body, "image_tail"):
            values["tail_image_url"] = last
    model = OLD_NAMES[body["model_name"]]
    cost = UNITS[model, size][0] * values["duration"] * UNIT
    url, named = body.get("callback_url"), body.get("external_task_id", "")
    task = _accepted(desk, model, key, values, cost, url, named, _old_bodies)
    data = _old_task(replace(task, state=PENDING))
    return jsonify(code=0, message="SUCCEED", request_id=uuid.uuid4().hex, data=data)


def _state(task: Task) -> str:
    spoiled = task.fault_orders.argument("unknown-state") if not task.over else ""
    return spoiled or STATES[task.state]


def _task(task: Task) -> dict[str, Any]:
    """A task of the new routes; its callback's body too."""
    shown: dict[str, Any] = {
        "id": task.id,
        "status": _state(task),
        "message": task.fail_message,
        "create_time": round(task.created * 1000),
        "update_time": round((task.completed or task.started or task.created) * 1000),
        "external_id": task.external_id,
    }
    if task.state == SUCCESS:
        film = {"type": "video", "id": uuid.uuid4().hex, "url": task.result_url, "duration": "5"}
        shown["outputs"] = [] if task.fault_orders.has("empty") else [film]
    if task.over:
        units = round(task.cost / UNIT, 4)
        billed = {"charge_type": "unit", "amount": str(units), "package_type": "video"}
        shown["billing"] = [billed] if units else []
    return shown


def _old_task(task: Task) -> dict[str, Any]:
    """A task of the older routes; its callback's body too."""
    shown: dict[str, Any] = {
        "task_id": task.id,
        "task_status": "succeed" if task.state == SUCCESS else _state(task),
        "task_status_msg": task.fail_message,
        "task_info": {"external_task_id": task.external_id},
        "created_at": round(task.created * 1000),
        "updated_at": round((task.completed or task.created) * 1000),
    }
    if task.state == SUCCESS:
        film = {"id": uuid.uuid4().hex, "url": task.result_url, "duration": "5"}
        shown["task_result"] = {"videos": [] if task.fault_orders.has("empty") else [film]}
        shown["final_unit_deduction"] = str(round(task.cost / UNIT, 4))
    return shown


def _bodies(task: Task) -> tuple[bytes, ...]:
    """A callback for every change of state, as this vendor sends them."""
    return _each(task, _task)


def _old_bodies(task: Task) -> tuple[bytes, ...]:
    return _each(task, _old_task)


def _each(task: Task, shape: Any) -> tuple[bytes, ...]:
    states = [PENDING, PROCESSING, task.state]
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    states += [task.state] * (times - 1)
    return tuple(json.dumps(shape(replace(task, state=state))).encode() for state in states)


def standard_signature(secret: str, body: bytes) -> dict[str, str]:
    """Standard Webhooks, version 1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    id_, now = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
    signed = b".".join([id_.encode(), now.encode(), body])
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": id_, "webhook-timestamp": now, "webhook-signature": f"v1,{mac}"}
