"""``/metrics``: open to everybody, so it is computed only every few seconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

from flask import Blueprint, Response, current_app

from service.ops.metrics import CONTENT_TYPE_LATEST, exposition
from service.web.context import wiring

blueprint = Blueprint("metrics", __name__)

KEPT = timedelta(seconds=5)


class Kept:
    """The last metrics of this process, which other requests get too."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: datetime | None = None
        self._text = b""

    def text(self) -> bytes:
        """The metrics, at most a few seconds old."""
        w = wiring()
        with self._lock:
            now = w.clock()
            if self._until is None or not self._until - KEPT <= now < self._until:
                with w.db.read() as tx:
                    self._text = exposition(tx, now)
                self._until = now + KEPT
            return self._text


@blueprint.get("/metrics")
def show() -> Response:
    """Counters and gauges for a monitoring system, in Prometheus' text format."""
    kept: Kept = current_app.extensions["metrics"]
    return Response(kept.text(), content_type=CONTENT_TYPE_LATEST)
