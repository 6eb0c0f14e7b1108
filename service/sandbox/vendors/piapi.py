"""PiAPI's wire: one task route; the secret of a create comes back in a header."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from service.sandbox.vendors.desk import (
    Desk,
    Refusal,
    View,
    copies,
    one_of,
    only,
    state_word,
    usual_input,
)
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

STATES = {PENDING: "Pending", PROCESSING: "Processing", SUCCESS: "Completed", FAILED: "Failed"}
VERSIONS = {"2.5-turbo": "kling-2.5-turbo", "2.6": "kling-2.6", "3.0": "kling-3.0"}
POINTS = 10_000_000  # for a dollar; the sandbox's own figure
NAMES = ("aspect_ratio", "mode", "version", "image_url", "image_tail_url", "enable_audio")


class PiApi(Desk):
    """The task route."""

    vendor, prefix = "piapi", "/api/v1/task"
    key_header, key_prefix = "x-api-key", ""

    def routes(self) -> dict[str, View]:
        """See `Desk`."""
        return {
            "POST ": self.create_task,
            "GET /<task_id>": self.shows(_task),
        }

    def refused(self, refusal: Refusal) -> ResponseReturnValue:
        """See `Desk`."""
        return jsonify(code=refusal.status, message=refusal.message, data=None), refusal.status

    def create_task(self) -> ResponseReturnValue:
        """A task of one of the versions."""
        body = self.body(("model", "task_type", "input", "config"))
        if body.get("model") != "kling" or body.get("task_type") != "video_generation":
            raise Refusal(400, "model or task_type is not known")
        given = body.get("input", {})
        values = usual_input(given, NAMES, last="image_tail_url")
        one_of(given, "mode", ("std", "pro"), "std")
        one_of(given, "enable_audio", (False, True), False)
        slug = VERSIONS[one_of(given, "version", tuple(VERSIONS), "2.6")]
        webhook = body.get("config", {}).get("webhook_config", {})
        only(webhook, ("endpoint", "secret"))
        secret = webhook.get("secret", "")
        sign = (lambda _: {"x-webhook-secret": secret}) if secret else None
        cost = 0.1 * values["duration"]
        return jsonify(
            _task(self.create(slug, values, cost, webhook.get("endpoint"), self._bodies, sign))
        )

    @staticmethod
    def _bodies(task: Task) -> tuple[bytes, ...]:
        body = {"timestamp": int(time.time()), "data": _task(task)["data"]}
        return copies(task, body)


def _task(task: Task) -> dict[str, Any]:
    data: dict[str, Any] = {
        "task_id": task.id,
        "model": "kling",
        "status": state_word(task, STATES),
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


def make_blueprint(renderer: Renderer) -> Blueprint:
    """Its routes, for the app."""
    return PiApi(renderer).blueprint()
