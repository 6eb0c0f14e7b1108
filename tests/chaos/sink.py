"""The subscriber of the chaos: keeps every call, judges its signature, sometimes answers 503."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook
from support.serving import QuietHandler, Served


@dataclass(frozen=True)
class Call:
    """One POST: the path it came to, what it said of itself, and what it was answered."""

    path: str
    event_id: str
    headers: dict[str, str]
    body: bytes
    status: int

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    def signed_by(self, secret: str) -> bool:
        """
        Whether an outside library makes the same signature.

        Not `Webhook.verify`: that also wants the timestamp within five minutes,
        and our workers live later.
        """
        moment = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        made = Webhook(secret).sign(self.event_id, moment, self.body.decode())
        return made in self.headers["webhook-signature"].split(" ")


class Sink(Served):
    """
    A hook on any path, whatever its query, that answers 503 by dice.

    The dice fall by seed, event type, prompt and how often that came, so the same
    calls get the same answers however the processes are timed.
    """

    def __init__(self, seed: int, refusing: float) -> None:
        self.calls: list[Call] = []
        self._seed, self._refusing = seed, refusing
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        sink = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.send_response(sink._taken(urlsplit(self.path).path, headers, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.serve(Handler)
        self.url = self.origin

    def _taken(self, path: str, headers: dict[str, str], body: bytes) -> int:
        said = json.loads(body)
        what = f"{path} {said['type']} {said['data']['input']['prompt']}"
        with self._lock:
            self._seen[what] += 1
            fall = random.Random(f"{self._seed} {what} {self._seen[what]}").random()
            status = 503 if fall < self._refusing else 200
            self.calls.append(Call(path, headers.get("webhook-id", ""), headers, body, status))
        return status
