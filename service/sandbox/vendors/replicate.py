"""Replicate's wire: predictions, their list, and callbacks by Standard Webhooks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from service.sandbox.vendors.desk import Desk, Refusal, View, copies, only, state_word, usual_input
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.signatures import standard_signature
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

MODEL = "kwaivgi/kling-v2.5-turbo-pro"
STATES = {PENDING: "starting", PROCESSING: "processing", SUCCESS: "succeeded", FAILED: "failed"}
PAGE = 100
DOLLARS = 0.07  # a second; the sandbox's own figure
NAMES = ("aspect_ratio", "start_image", "end_image")
EVENTS = ("start", "output", "logs", "completed")


class Replicate(Desk):
    """The routes of predictions."""

    vendor, prefix = "replicate", "/v1"

    def routes(self) -> dict[str, View]:
        """See `Desk`."""
        return {
            "POST /models/<owner>/<name>/predictions": self.predict,
            "GET /predictions/<task_id>": self.shows(_prediction),
            "GET /predictions": self.predictions,
        }

    def refused(self, refusal: Refusal) -> ResponseReturnValue:
        """See `Desk`."""
        body = jsonify(title="Refused", detail=refusal.message, status=refusal.status)
        return body, refusal.status

    def predict(self, owner: str, name: str) -> ResponseReturnValue:
        """A prediction."""
        body = self.body(("input", "webhook", "webhook_events_filter"))
        if f"{owner}/{name}" != MODEL:
            raise Refusal(404, "The requested resource could not be found.")
        only(dict.fromkeys(body.get("webhook_events_filter", ())), EVENTS)
        values = usual_input(
            body.get("input"),
            NAMES,
            first="start_image",
            last="end_image",
            guidance="guidance_scale",
        )
        cost, url = DOLLARS * values["duration"], body.get("webhook")
        sign = self.signer(standard_signature)
        task = self.create("kling-2.5-turbo", values, cost, url, self._bodies, sign)
        return jsonify(_prediction(task)), 201

    def predictions(self) -> ResponseReturnValue:
        """A page of them, newest first."""
        tasks, start = self.tasks(), int(request.args.get("cursor", "0"))
        page = [_prediction(task) for task in tasks[start : start + PAGE]]
        more = f"{request.base_url}?cursor={start + PAGE}" if len(tasks) > start + PAGE else None
        return jsonify(previous=None, next=more, results=page)

    @staticmethod
    def _bodies(task: Task) -> tuple[bytes, ...]:
        return copies(task, _prediction(task))


def _prediction(task: Task) -> dict[str, Any]:
    where = f"{task.base_url}/v1/predictions/{task.id}"
    shown: dict[str, Any] = {
        "id": task.id,
        "model": MODEL,
        "version": "hidden",
        "status": state_word(task, STATES),
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


def make_blueprint(renderer: Renderer) -> Blueprint:
    """Its routes, for the app."""
    return Replicate(renderer).blueprint()
