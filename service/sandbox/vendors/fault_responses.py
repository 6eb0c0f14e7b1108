"""Answers that go wrong on the wire, shared by both vendors."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from flask import Response, request

from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.tasks import Task, TaskBook

EARLY_SECONDS = 60.0
CUT_SHARE = 0.5
GLANCE_SECONDS = 0.2  # between looks at whether a hanging client is still there


def early_wait(book: TaskBook, task: Task) -> None:
    """For ``[early]``: holds the create answer back until the callback has been sent."""
    if task.fault_orders.has("early") and task.callback_url and not task.fault_orders.has("lose"):
        book.wait(task.id, lambda now: bool(now.attempts), EARLY_SECONDS)


def spoil_answer(renderer: Renderer, task: Task) -> int | None:
    """
    For ``[hang]`` and ``[drop]``: the task is accepted, but the client gets no answer.

    Returns:
        For ``[answer]`` the HTTP status of the error that it gets instead.
    """
    if task.fault_orders.has("hang"):
        left = renderer.options.hang_seconds
        while left > 0 and not _client_left() and not renderer.book.closing.wait(GLANCE_SECONDS):
            left -= GLANCE_SECONDS
    if task.fault_orders.has("hang") or task.fault_orders.has("drop"):
        # The client may have been quicker.
        with suppress(OSError):
            _connection().shutdown(socket.SHUT_RDWR)
    answer = task.fault_orders.number("answer", 502)
    return int(answer) if task.fault_orders.has("answer") else None


def _client_left() -> bool:
    """Whether the client has closed its side."""
    try:
        return _connection().recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _connection() -> socket.socket:
    # Only werkzeug's own server, on which the sandbox runs, hands its socket over.
    connection: Any = request.environ["werkzeug.socket"]
    assert isinstance(connection, socket.socket)  # noqa: S101 - for the type only
    return connection


def html_502() -> Response:
    """The page of a gateway whose vendor does not respond."""
    page = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
    return Response(page, 502, mimetype="text/html")


def cut_short(content: bytes) -> Response:
    """Promises all of it, sends half; the server then closes the connection."""
    response = Response(content[: int(len(content) * CUT_SHARE)], mimetype="video/mp4")
    response.headers["Content-Length"] = str(len(content))
    return response
