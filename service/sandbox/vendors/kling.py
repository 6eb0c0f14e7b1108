"""
Kling's own wire: the routes of 2026, and the older ones that take more.

A caller's `external_task_id` is unique for each key: a second create with it is refused as
400 with code 1201. Errors are ``{"code", "message", "request_id"}``; a task that is not
there is missing from a list (new routes) or 404 with code 1203 (older ones).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from service.catalogue.entries import ASPECT_RATIOS
from service.sandbox.vendors.desk import (
    Desk,
    Refusal,
    View,
    image,
    one_of,
    only,
    share,
    state_word,
    text,
)
from service.sandbox.vendors.renderer import CallbackBodies, Renderer
from service.sandbox.vendors.signatures import standard_signature
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, DuplicateTask, Task

MODELS = ("kling-2.5-turbo", "kling-2.6", "kling-3.0", "kling-3.0-turbo")
OLD_NAMES = {"kling-v2-5-turbo": "kling-2.5-turbo", "kling-v2-6": "kling-2.6"}
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
KINDS = "<any(text2video, image2video):kind>"
AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")


class Kling(Desk):
    """The routes of both generations."""

    vendor, no_credits = "kling", 429

    def routes(self) -> dict[str, View]:
        """See `Desk`."""
        return {
            "POST /text-to-video/<model>": self.text_to_video,
            "POST /image-to-video/<model>": self.image_to_video,
            "GET /tasks": self.list_tasks,
            "POST /tasks": self.history,
            f"POST /v1/videos/{KINDS}": self.create_old,
            f"GET /v1/videos/{KINDS}/<task_id>": self.show_old,
        }

    def refused(self, refusal: Refusal) -> ResponseReturnValue:
        """See `Desk`."""
        code = 1102 if refusal.message.startswith("Insufficient") else CODES.get(refusal.status)
        code = int(refusal.word) if refusal.word.isdecimal() else code or refusal.status
        body = {"code": code, "message": refusal.message, "request_id": uuid.uuid4().hex}
        return jsonify(body), refusal.status

    def text_to_video(self, model: str) -> ResponseReturnValue:
        """A task from a prompt."""
        body = self.body(("prompt", "settings", "options"))
        values = {"prompt": text(body, "prompt", 3072, needed=True)}
        return self._create(_known(model), values, body)

    def image_to_video(self, model: str) -> ResponseReturnValue:
        """A task from one or two frames."""
        body, known = self.body(("contents", "settings", "options")), _known(model)
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
        return self._create(known, values, body)

    def list_tasks(self) -> ResponseReturnValue:
        """Tasks by their ids, ours or the caller's."""
        key, book = self.key(), self.renderer.book
        found = [self.find(one) for one in _ids("task_ids")]
        found += [book.named("kling", key, one) for one in _ids("external_task_ids")]
        return _accepted([_task(task) for task in found if task])

    def history(self) -> ResponseReturnValue:
        """All tasks of a time, newest first."""
        body = self.body(("start_time", "end_time", "cursor", "limit", "filters"))
        first, last = body.get("start_time", 0) / 1000, body.get("end_time", 2**53) / 1000
        listed = [_task(task) for task in self.tasks() if first <= task.created <= last]
        start, limit = int(body.get("cursor") or 0), body.get("limit", 500)
        more = str(start + limit) if len(listed) > start + limit else None
        return _accepted({"tasks": listed[start : start + limit], "cursor": more})

    def _create(
        self, model: str, values: dict[str, Any], body: dict[str, Any]
    ) -> ResponseReturnValue:
        settings, options = body.get("settings", {}), body.get("options", {})
        if self.key().count(".") == 2:
            raise Refusal(401, "this route takes API keys only", "1002")
        only(settings, ("resolution", "aspect_ratio", "duration", "audio", "multi_shot"))
        only(options, ("callback_url", "external_task_id", "watermark_info"))
        lengths = range(3, 16) if model.startswith("kling-3") else (5, 10)
        size = one_of(settings, "resolution", ("720p", "1080p", "4k"), "720p")
        if (model, size) not in UNITS:
            raise Refusal(400, f"{model} has no resolution {size}")
        values["duration"] = one_of(settings, "duration", tuple(lengths), 5)
        values["aspect_ratio"] = one_of(settings, "aspect_ratio", ASPECT_RATIOS, "16:9")
        loud = one_of(settings, "audio", (False, True), False)
        task = self._made(model, values, UNITS[model, size][loud], options, partial(_bodies, _task))
        answer = _task(replace(task, state=PENDING))
        made = {name: answer[name] for name in ("id", "status", "create_time", "update_time")}
        return _accepted(made | {"external_id": task.external_id})

    def create_old(self, kind: str) -> ResponseReturnValue:
        """A task by the older routes."""
        names = ("model_name", "prompt", "negative_prompt", "cfg_scale", "mode", "duration")
        frames = ("image", "image_tail") if kind == "image2video" else ("aspect_ratio",)
        more = ("camera_control", "callback_url", "external_task_id")
        body = self.body((*names, *frames, *more))
        if body.get("model_name") not in OLD_NAMES:
            raise Refusal(400, "model_name is not known")
        values: dict[str, Any] = {"prompt": text(body, "prompt", needed=kind == "text2video")}
        values["negative_prompt"] = text(body, "negative_prompt")
        values["aspect_ratio"] = one_of(body, "aspect_ratio", ASPECT_RATIOS, "16:9")
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
        task = self._made(model, values, UNITS[model, size][0], body, partial(_bodies, _old_task))
        return _accepted(_old_task(replace(task, state=PENDING)))

    def show_old(self, kind: str, task_id: str) -> ResponseReturnValue:
        """A task of the older routes."""
        task = self.find(task_id) or self.renderer.book.named("kling", self.key(), task_id)
        if task is None:
            raise Refusal(404, f"no such task of {kind}", "1203")
        return _accepted(_old_task(task))

    def _made(
        self,
        model: str,
        values: dict[str, Any],
        units: float,
        options: dict[str, Any],
        bodies: CallbackBodies,
    ) -> Task:
        """A task of so many units a second, under the caller's own name for it."""
        named, url = options.get("external_task_id", ""), options.get("callback_url")
        if not isinstance(named, str):
            raise Refusal(400, "external_task_id must be a text")
        cost, sign = units * values["duration"] * UNIT, self.signer(standard_signature)
        try:
            return self.create(model, values, cost, url, bodies, sign, external_id=named)
        except DuplicateTask:
            raise Refusal(400, "external_task_id is not unique", "1201") from None


def _accepted(data: Any) -> ResponseReturnValue:
    return jsonify(code=0, message="SUCCEED", request_id=uuid.uuid4().hex, data=data)


def _known(model: str) -> str:
    if model not in MODELS:
        raise Refusal(404, f"no such model: {model}", "1202")
    return model


def _ids(name: str) -> list[str]:
    ids = [one for one in request.args.get(name, "").split(",") if one]
    if len(ids) > 20:
        raise Refusal(400, f"{name} takes at most 20")
    return ids


def _task(task: Task) -> dict[str, Any]:
    """A task of the new routes; its callback's body too."""
    shown: dict[str, Any] = {
        "id": task.id,
        "status": state_word(task, STATES),
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
        "task_status": "succeed" if task.state == SUCCESS else state_word(task, STATES),
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


def _bodies(shape: Callable[[Task], dict[str, Any]], task: Task) -> tuple[bytes, ...]:
    """A callback for every change of state, as this vendor sends them."""
    states = [PENDING, PROCESSING, task.state]
    times = int(task.fault_orders.number("repeat", 2)) if task.fault_orders.has("repeat") else 1
    states += [task.state] * (times - 1)
    return tuple(json.dumps(shape(replace(task, state=state))).encode() for state in states)


def make_blueprint(renderer: Renderer) -> Blueprint:
    """Its routes, for the app."""
    return Kling(renderer).blueprint()
