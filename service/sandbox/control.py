"""For people and tests: the list of tasks, orders for the next one, and the result files."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file

from service.sandbox.mischief import ORDERS, Mischief
from service.sandbox.misconduct import cut_short
from service.sandbox.tasks import Task
from service.sandbox.workshop import Workshop


def control_blueprint(workshop: Workshop) -> Blueprint:
    """``/``, ``/control/…`` and ``/files/…``."""
    blueprint = Blueprint("control", __name__)

    @blueprint.get("/")
    def index() -> str:
        tasks = list(reversed(workshop.book.all()))
        return render_template("index.html", tasks=tasks, credits=workshop.book.credits)

    @blueprint.get("/control/tasks")
    def tasks() -> Response:
        return jsonify([_described(task) for task in workshop.book.all()])

    @blueprint.post("/control/next")
    def order() -> Response:
        return _order(workshop)

    @blueprint.get("/files/<task_id>.mp4")
    def file(task_id: str) -> Response:
        return _file(workshop, task_id)

    return blueprint


def _described(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "provider": task.model.provider,
        "model": task.model.slug,
        "state": task.state,
        "input": task.values,
        "orders": task.mischief.orders,
        "callback_url": task.callback_url,
        "fail_code": task.fail_code or None,
        "polls": task.polls,
        "downloads": task.downloads,
        "created": task.created,
        "completed": task.completed,
        "cost": task.cost,
        "callbacks": [asdict(attempt) for attempt in task.attempts],
    }


def _order(workshop: Workshop) -> Response:
    """Takes ``{"directives": "[slow 2] [lose]"}`` for the next create call of either vendor."""
    body = request.get_json(silent=True)
    text = body.get("directives") if isinstance(body, dict) else None
    mischief, rest = Mischief.read(text) if isinstance(text, str) else (Mischief(), "?")
    if rest:
        known = ", ".join(ORDERS)
        response = jsonify(error=f'send {{"directives": "[slow 2] …"}}; known are: {known}')
        response.status_code = 400
        return response
    workshop.book.order(mischief)
    return jsonify(orders=mischief.orders)


def _file(workshop: Workshop, task_id: str) -> Response:
    task = workshop.book.find(task_id)
    if task is None or not task.over or task.mischief.has("gone"):
        abort(404)
    path = workshop.options.folder.resolve() / task.file_name
    if not path.is_file():
        abort(404)
    first = workshop.book.count(task.id, "downloads") == 1
    if first and task.mischief.has("cut"):
        return cut_short(path.read_bytes())
    # From memory: werkzeug's server leaves a file open when the other side resets the connection.
    content = io.BytesIO(path.read_bytes())
    return send_file(content, mimetype="video/mp4", conditional=True, etag=path.stem)
