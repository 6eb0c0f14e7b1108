"""A server of one's own that speaks the videos API: create, ask, take the film."""

from __future__ import annotations

import io
from typing import Any

from flask import Blueprint, Response, jsonify, send_file

from service.sandbox.vendors.desk import Desk, Refusal, image, text
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import FAILED, PENDING, PROCESSING, SUCCESS, Task

STATES = {PENDING: "queued", PROCESSING: "in_progress", SUCCESS: "completed", FAILED: "failed"}


def make_blueprint(renderer: Renderer) -> Blueprint:
    """The routes that a client needs."""
    blueprint = Blueprint("videos", __name__, url_prefix="/v1/videos")
    desk = Desk(renderer, "videos")

    @blueprint.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        error = {"message": refusal.message, "type": "invalid_request_error", "code": None}
        response = jsonify(error=error)
        response.status_code = refusal.status
        return response

    @blueprint.post("")
    def create() -> Response:
        body, key = desk.body(("model", "prompt", "seconds", "size", "input_reference")), desk.key()
        if not text(body, "model", needed=True) or not str(body.get("seconds")).isdecimal():
            raise Refusal(400, "model and seconds are needed")
        width, _, height = text(body, "size").partition("x")
        wide = int(width or 1280) - int(height or 720)
        values = {
            "prompt": text(body, "prompt", needed=True),
            "duration": int(body["seconds"]),
            "aspect_ratio": "16:9" if wide > 0 else "9:16" if wide < 0 else "1:1",
        }
        reference = body.get("input_reference", {})
        if url := image(reference, "image_url"):
            values["image_url"] = url
        return jsonify(_video(desk.create("videos", key, values, 0.0)))

    @blueprint.post("/<task_id>/remix")
    def remix(task_id: str) -> Response:
        body, source = desk.body(("prompt",)), _known(desk, task_id)
        if source.state != SUCCESS:
            raise Refusal(400, "the video is not completed")
        values = source.values | {"prompt": text(body, "prompt", needed=True)}
        return jsonify(_video(desk.create("videos", desk.key(), values, 0.0)))

    @blueprint.get("/<task_id>")
    def show(task_id: str) -> Response:
        return jsonify(_video(_known(desk, task_id)))

    @blueprint.get("/<task_id>/content")
    def content(task_id: str) -> Response:
        task = _known(desk, task_id)
        if task.state != SUCCESS or task.fault_orders.has("empty"):
            raise Refusal(404, "the video is not ready")
        film = (renderer.options.folder.resolve() / task.file_name).read_bytes()
        return send_file(io.BytesIO(film), mimetype="video/mp4")

    return blueprint


def _known(desk: Desk, task_id: str) -> Task:
    task = desk.find(task_id, desk.key())
    if task is None:
        raise Refusal(404, "no such video")
    return task


def _video(task: Task) -> dict[str, Any]:
    word = task.fault_orders.argument("unknown-state") if not task.over else ""
    shown: dict[str, Any] = {
        "id": task.id,
        "object": "video",
        "model": "own",
        "status": word or STATES[task.state],
        "progress": 100 if task.over else 0,
        "created_at": round(task.created),
        "seconds": str(task.values["duration"]),
        "error": None,
    }
    if task.state == FAILED:
        shown["error"] = {"code": task.fail_code, "message": task.fail_message}
    return shown
