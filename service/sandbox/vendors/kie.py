"""kie.ai's wire: HTTP 200 for everything, `code` for the answer, ids and times signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from service.sandbox.vendors.desk import Desk, Refusal, View, copies, state_word, usual_input
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

STATES = {PENDING: "waiting", PROCESSING: "generating", SUCCESS: "success", FAILED: "fail"}
MODELS = {
    "kling/v2-5-turbo-text-to-video-pro": ("aspect_ratio",),
    "kling/v2-5-turbo-image-to-video-pro": ("image_url", "tail_image_url"),
}
CREDITS = 8.4  # a second; the sandbox's own figure
DOLLARS = 0.005


class Kie(Desk):
    """The market's two routes."""

    vendor, prefix = "kie", "/api/v1/jobs"

    def routes(self) -> dict[str, View]:
        """See `Desk`."""
        return {
            "POST /createTask": self.create_task,
            "GET /recordInfo": self.record_info,
        }

    def refused(self, refusal: Refusal) -> ResponseReturnValue:
        """See `Desk`."""
        body = jsonify(code=refusal.status, msg=refusal.message, data=None)
        # A gateway's own errors are not wrapped.
        return body, refusal.status if refusal.made else 200

    def create_task(self) -> ResponseReturnValue:
        """A task of one of the models."""
        body = self.body(("model", "callBackUrl", "input"))
        if body.get("model") not in MODELS:
            raise Refusal(422, "model is not supported")
        values = usual_input(body.get("input"), MODELS[body["model"]], ("5", "10"))
        cost, url = CREDITS * DOLLARS * values["duration"], body.get("callBackUrl")
        task = self.create(
            "kling-2.5-turbo", values, cost, url, self._bodies, self.signer(self._signature)
        )
        return jsonify(code=200, msg="success", data={"taskId": task.id})

    def record_info(self) -> ResponseReturnValue:
        """The task."""
        return jsonify(_record(self.task(request.args.get("taskId", ""))))

    @staticmethod
    def _bodies(task: Task) -> tuple[bytes, ...]:
        return copies(task, _record(task))

    @staticmethod
    def _signature(secret: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        signed = f"{json.loads(body)['data']['taskId']}.{now}".encode()
        mac = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
        return {"X-Webhook-Timestamp": now, "X-Webhook-Signature": mac}


def _record(task: Task) -> dict[str, Any]:
    data: dict[str, Any] = {
        "taskId": task.id,
        "model": "kling/v2-5-turbo",
        "state": state_word(task, STATES),
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


def make_blueprint(renderer: Renderer) -> Blueprint:
    """Its routes, for the app."""
    return Kie(renderer).blueprint()
