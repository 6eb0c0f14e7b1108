"""
The other side of a bench: a scripted vendor, and the hook that hears of its films.

A process of its own. It speaks APIXO's protocol and serves one prepared film.

``python -m bench.peer FILM CREATE_SECONDS TASK_SECONDS`` prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.program import Program

#: So many callbacks may be on their way at once.
CALLBACKS = 32


@dataclass
class Seen:
    """
    When (monotonic seconds) a task was asked for and created, its film was ready, it was
    called back, and its hook came.
    """

    asked: float = 0.0
    created: float = 0.0
    ready: float = 0.0
    called: float = 0.0
    answered: float = 0.0
    hooks: list[float] = field(default_factory=list)


class Peer(Program):
    """Vendor and hook in one event loop."""

    def __init__(self, film: bytes, create_seconds: float, task_seconds: float) -> None:
        self._film = film
        self._create_seconds = create_seconds
        self._task_seconds = task_seconds
        self._seen: defaultdict[str, Seen] = defaultdict(Seen)
        self._gate = asyncio.Semaphore(CALLBACKS)
        self._running: set[asyncio.Task[None]] = set()

    async def answer(self, method: str, path: str, body: bytes) -> tuple[str, bytes]:
        """See `Program`."""
        if path.startswith("/hook"):
            self._hook(json.loads(body))
            return "text/plain", b""
        if path.startswith("/film"):
            return "video/mp4", self._film
        if path == "/seen":
            return "application/json", json.dumps([asdict(s) for s in self._seen.values()]).encode()
        if path == "/heard":
            return "application/json", b"%d" % sum(bool(s.hooks) for s in self._seen.values())
        if path == "/forget":
            self._seen.clear()
            return "text/plain", b""
        if method == "POST":
            return "application/json", await self._create(json.loads(body))
        return "application/json", self._envelope(path.rpartition("=")[2])

    def _hook(self, body: dict[str, Any]) -> None:
        if body["type"] == "job.succeeded":
            self._seen[body["data"]["task_id"]].hooks.append(time.monotonic())

    async def _create(self, body: dict[str, Any]) -> bytes:
        asked = time.monotonic()
        await asyncio.sleep(self._create_seconds)
        task_id = f"task{time.monotonic_ns()}"
        self._seen[task_id] = Seen(asked, created=time.monotonic())
        task = asyncio.create_task(self._call_back(task_id, body["callback_url"]))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return json.dumps({"code": 200, "message": "success", "data": {"taskId": task_id}}).encode()

    def _envelope(self, task_id: str) -> bytes:
        link = f"http://127.0.0.1:{self.port}/film.mp4"
        result = json.dumps({"resultUrls": [link]})
        data = {"taskId": task_id, "state": "success", "resultJson": result}
        return json.dumps({"code": 200, "message": "success", "data": data}).encode()

    async def _call_back(self, task_id: str, url: str) -> None:
        await asyncio.sleep(self._task_seconds)
        self._seen[task_id].ready = time.monotonic()
        place, body = urlsplit(url), self._envelope(task_id)
        head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        async with self._gate:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            self._seen[task_id].called = time.monotonic()
            writer.write(head.encode() + body)
            status = await reader.readline()
            assert b" 200 " in status, status
            self._seen[task_id].answered = time.monotonic()
            writer.close()


if __name__ == "__main__":
    path, create, task = sys.argv[1:4]
    asyncio.run(Peer(Path(path).read_bytes(), float(create), float(task)).serve())
