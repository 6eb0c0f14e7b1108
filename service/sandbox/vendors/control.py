"""For people and tests: the list of tasks, orders for the next one, and the result files."""

from __future__ import annotations

import io

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file

from service.sandbox.vendors.fault_orders import ORDERS, FaultOrders
from service.sandbox.vendors.fault_responses import cut_short
from service.sandbox.vendors.renderer import Renderer


def control_blueprint(renderer: Renderer) -> Blueprint:
    """``/`` and ``/control/…``."""
    blueprint = Blueprint("control", __name__)

    @blueprint.get("/")
    def index() -> str:
        tasks = list(reversed(renderer.book.all()))
        return render_template("index.html", tasks=tasks, credits=renderer.book.credits)

    @blueprint.get("/control/tasks")
    def tasks() -> Response:
        return jsonify([task.as_json() for task in renderer.book.all()])

    @blueprint.post("/control/next")
    def order() -> Response:
        """Takes ``{"directives": "[slow 2] [lose]"}`` for the next create call of a vendor."""
        body = request.get_json(silent=True)
        text = body.get("directives") if isinstance(body, dict) else None
        orders, rest = FaultOrders.read(text) if isinstance(text, str) else (FaultOrders(), "?")
        if rest:
            known = ", ".join(ORDERS)
            response = jsonify(error=f'send {{"directives": "[slow 2] …"}}; known are: {known}')
            response.status_code = 400
            return response
        renderer.book.order(orders)
        return jsonify(orders=orders.orders)

    return blueprint


def files_blueprint(renderer: Renderer) -> Blueprint:
    """``/files/…``: the results."""
    blueprint = Blueprint("files", __name__)

    @blueprint.get("/files/<task_id>.mp4")
    def file(task_id: str) -> Response:
        task = renderer.book.find(task_id)
        if task is None or not task.over or task.fault_orders.has("gone"):
            abort(404)
        path = renderer.options.folder.resolve() / task.file_name
        if not path.is_file():
            abort(404)
        first = renderer.book.count(task.id, "downloads") == 1
        if first and task.fault_orders.has("cut"):
            return cut_short(path.read_bytes())
        # From memory: werkzeug's server leaves a file open when the other side resets
        # the connection.
        content = io.BytesIO(path.read_bytes())
        return send_file(content, mimetype="video/mp4", conditional=True, etag=path.stem)

    return blueprint
