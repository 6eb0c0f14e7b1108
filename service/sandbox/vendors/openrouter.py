"""OpenRouter's wire: videos with their price in dollars, callbacks signed over time and body."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from service.catalogue.entries import ASPECT_RATIOS
from service.sandbox.vendors.desk import (
    Desk,
    Refusal,
    View,
    copies,
    image,
    one_of,
    state_word,
    text,
)
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

STATES = {PENDING: "pending", PROCESSING: "in_progress", SUCCESS: "completed", FAILED: "failed"}
PRICES = {"kwaivgi/kling-v3.0-std": 0.126, "kwaivgi/kling-v3.0-pro": 0.168}
NAMES = ("model", "prompt", "duration", "aspect_ratio", "generate_audio", "frame_images")


class OpenRouter(Desk):
    """The routes of videos."""

    vendor, prefix = "openrouter", "/api/v1/videos"

    def routes(self) -> dict[str, View]:
        """See `Desk`."""
        return {
            "POST ": self.create_video,
            "GET /<task_id>": self.shows(_video),
        }

    def refused(self, refusal: Refusal) -> ResponseReturnValue:
        """See `Desk`."""
        return jsonify(error={"code": refusal.status, "message": refusal.message}), refusal.status

    def create_video(self) -> ResponseReturnValue:
        """A video."""
        body = self.body((*NAMES, "callback_url"))
        if body.get("model") not in PRICES:
            raise Refusal(404, "no such model")
        one_of(body, "generate_audio", (False, True), False)
        values = {
            "prompt": text(body, "prompt", needed=True),
            "duration": one_of(body, "duration", tuple(range(3, 16)), 5),
            "aspect_ratio": one_of(body, "aspect_ratio", ASPECT_RATIOS, "16:9"),
        }
        names = {"first_frame": "image_url", "last_frame": "tail_image_url"}
        for frame in body.get("frame_images", ()):
            if not isinstance(frame, dict) or frame.get("frame_type") not in names:
                raise Refusal(400, "frame_images must be first_frame or last_frame")
            url = image(frame.get("image_url", {}), "url")
            values |= {names[frame["frame_type"]]: url} if url else {}
        cost, url = PRICES[body["model"]] * values["duration"], body.get("callback_url")
        task = self.create(
            "kling-3.0", values, cost, url, self._bodies, self.signer(self._signature)
        )
        made = {"id": task.id, "status": "pending", "generation_id": task.id}
        made["polling_url"] = f"{task.base_url}/api/v1/videos/{task.id}"
        return jsonify(made), 202

    @staticmethod
    def _bodies(task: Task) -> tuple[bytes, ...]:
        body = {"type": f"video.generation.{STATES[task.state]}", "data": _video(task)}
        return copies(task, body)

    @staticmethod
    def _signature(secret: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        mac = hmac.new(secret.encode(), now.encode() + b"," + body, hashlib.sha256).hexdigest()
        return {"X-OpenRouter-Signature": f"t={now},v1={mac}"}


def _video(task: Task) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": task.id, "status": state_word(task, STATES)}
    if task.state == SUCCESS:
        urls = [] if task.fault_orders.has("empty") else [task.result_url]
        shown |= {"urls": urls, "usage": {"cost": task.cost, "is_byok": False}}
    if task.state == FAILED:
        shown["error"] = f"{task.fail_code}: {task.fail_message}"
    return shown


def make_blueprint(renderer: Renderer) -> Blueprint:
    """Its routes, for the app."""
    return OpenRouter(renderer).blueprint()
