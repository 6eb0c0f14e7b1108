"""A server of one's own that speaks the videos API: create, ask, take the film."""

from __future__ import annotations

import io
from typing import Any

from flask import Blueprint, jsonify, send_file
from flask.typing import ResponseReturnValue

from service.sandbox.vendors.desk import Desk, Refusal, View, image, state_word, text
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

STATES = {PENDING: "queued", PROCESSING: "in_progress", SUCCESS: "completed", FAILED: "failed"}


class Videos(Desk):
    """The routes that a client needs."""

    vendor, prefix = "videos", "/v1/videos"

    def routes(self) -> dict[str, View]:
        """See `Desk`."""
        return {
            "POST ": self.create_video,
            "POST /<task_id>/remix": self.remix,
            "GET /<task_id>": self.shows(_video),
            "GET /<task_id>/content": self.content,
        }

    def refused(self, refusal: Refusal) -> ResponseReturnValue:
        """See `Desk`."""
        error = {"message": refusal.message, "type": "invalid_request_error", "code": None}
        return jsonify(error=error), refusal.status

    def create_video(self) -> ResponseReturnValue:
        """A video."""
        body = self.body(("model", "prompt", "seconds", "size", "input_reference"))
        if not text(body, "model", needed=True) or not str(body.get("seconds")).isdecimal():
            raise Refusal(400, "model and seconds are needed")
        width, _, height = text(body, "size").partition("x")
        wide = int(width or 1280) - int(height or 720)
        values = {
            "prompt": text(body, "prompt", needed=True),
            "duration": int(body["seconds"]),
            "aspect_ratio": "16:9" if wide > 0 else "9:16" if wide < 0 else "1:1",
        }
        if url := image(body.get("input_reference", {}), "image_url"):
            values["image_url"] = url
        return jsonify(_video(self.create("videos", values, 0.0)))

    def remix(self, task_id: str) -> ResponseReturnValue:
        """Another one, of a video that is there."""
        body, source = self.body(("prompt",)), self.task(task_id)
        if source.state != SUCCESS:
            raise Refusal(400, "the video is not completed")
        values = source.values | {"prompt": text(body, "prompt", needed=True)}
        return jsonify(_video(self.create("videos", values, 0.0)))

    def content(self, task_id: str) -> ResponseReturnValue:
        """The film."""
        task = self.task(task_id)
        if task.state != SUCCESS or task.fault_orders.has("empty"):
            raise Refusal(404, "the video is not ready")
        film = (self.renderer.options.folder.resolve() / task.file_name).read_bytes()
        return send_file(io.BytesIO(film), mimetype="video/mp4")


def _video(task: Task) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": task.id,
        "object": "video",
        "model": "own",
        "status": state_word(task, STATES),
        "progress": 100 if task.over else 0,
        "created_at": round(task.created),
        "seconds": str(task.values["duration"]),
        "error": None,
    }
    if task.state == FAILED:
        shown["error"] = {"code": task.fail_code, "message": task.fail_message}
    return shown


def make_blueprint(renderer: Renderer) -> Blueprint:
    """Its routes, for the app."""
    return Videos(renderer).blueprint()
