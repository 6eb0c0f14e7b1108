"""
The harness of the sandbox's tests.

`SandboxClient` calls it over a real socket, `Receiver` is the party that gets called back.
"""

from __future__ import annotations

import http.client
import http.server
import io
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from service.sandbox import SandboxOptions, SandboxServer
from service.sandbox.vendors.tasks import Task
from support.serving import QuietHandler, Served

DEADLINE = 20.0
# Small pictures, and few of them, keep the tests quick.
HEIGHT = 90  # pixels
FRAME_RATE = 6  # frames per second
APIXO = "/api/v1/generateTask/kling-2-5-turbo-pro"
APIXO_STATUS = "/api/v1/statusTask/kling-2-5-turbo-pro?taskId="


@dataclass(frozen=True)
class Response:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class SandboxClient:
    """Calls to one sandbox, with a key for each vendor."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        seconds: float = DEADLINE,
    ) -> Response:
        """One request on a connection of its own; a whole URL is taken too."""
        target = urlsplit(path)
        here = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(here.hostname or "", here.port, timeout=seconds)
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Authorization": "Bearer k", "x-api-key": "k", "Content-Type": "application/json"}
        given |= headers or {}
        try:
            address = f"{target.path}?{target.query}" if target.query else target.path
            connection.request(method, address, sent, {k: v for k, v in given.items() if v})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, names, answer.read())
        finally:
            connection.close()

    def apixo(
        self, prompt: str, callback_url: str | None = None, seconds: float = DEADLINE
    ) -> Response:
        """Creates a task at APIXO."""
        body: dict[str, Any] = {"input": {"prompt": prompt, "mode": "text-to-video", "duration": 5}}
        if callback_url:
            body |= {"request_type": "callback", "callback_url": callback_url}
        return self.call("POST", APIXO, body, seconds=seconds)

    def apixo_task(self, prompt: str, callback_url: str | None = None) -> str:
        """Creates a task at APIXO and waits for its end; returns its id."""
        task_id: str = self.apixo(prompt, callback_url).json()["data"]["taskId"]
        return self.ended(task_id).id

    def status(self, task_id: str) -> Any:
        """What APIXO says of the task."""
        return self.call("GET", APIXO_STATUS + task_id).json()["data"]

    def ended(self, task_id: str) -> Task:
        """The task, once it is over."""
        return self.when(task_id, lambda task: task.over)

    def when(self, task_id: str, is_so: Any) -> Task:
        """The task, once it is so; fails after the deadline."""
        book = self.server.renderer.book
        assert book.wait(task_id, is_so, DEADLINE), "the task did not come so far in time"
        task = book.find(task_id)
        assert task is not None
        return task


class Receiver(Served):
    """Takes callbacks; answers the given statuses in turn, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.bodies: list[bytes] = []
        self.content_types: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._statuses = list(statuses)
        self._arrived = threading.Condition()
        receiver = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.headers.append({n.lower(): v for n, v in self.headers.items()})
                self.send_response(receiver._take(body, self.headers["Content-Type"]))
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.serve(Handler)
        self.url = f"{self.origin}/callbacks/token"

    def wait_for(self, count: int) -> list[Any]:
        """The first `count` bodies as JSON, as soon as they are there."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.bodies) >= count, DEADLINE)
            return [json.loads(body) for body in self.bodies[:count]]

    def _take(self, body: bytes, content_type: str) -> int:
        with self._arrived:
            self.bodies.append(body)
            self.content_types.append(content_type)
            self._arrived.notify_all()
            return self._statuses.pop(0) if self._statuses else 200


class Pictures(Served):
    """Serves the given bytes at ``/0``, ``/1``, …"""

    def __init__(self, *contents: bytes) -> None:
        class Handler(QuietHandler):
            def do_GET(self) -> None:
                content = contents[int(self.path[1:])]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.serve(Handler)

    def url(self, place: int) -> str:
        """Where that one lies."""
        return f"{self.origin}/{place}"


def png(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """A PNG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def start_sandbox(folder: Path, **settings: Any) -> SandboxServer:
    """A sandbox with small pictures and no waits between callback tries."""
    small = {"height": HEIGHT, "frame_rate": FRAME_RATE, "retry_delays": (0.0, 0.0, 0.0)}
    given: dict[str, Any] = small | settings
    return SandboxServer(SandboxOptions(folder, **given))
