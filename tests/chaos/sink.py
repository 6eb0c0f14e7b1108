"""The subscriber of the chaos: keeps every call, judges its signature, sometimes answers 503."""

from __future__ import annotations

import http.server
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook


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


class Sink:
    """
    A hook on any path, whatever its query, that answers 503 by dice.

    The dice fall by seed, event type, prompt and how often that came, so the same
    calls get the same answers however the processes are timed.
    """

    def __init__(self, seed: int, refusing: float) -> None:
        self.calls: list[Call] = []
        self.url = ""
        self._seed, self._refusing = seed, refusing
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.send_response(sink._taken(urlsplit(self.path).path, headers, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing on the test's terminal."""

        self._handler = Handler

    def __enter__(self) -> Sink:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler)
        self._server.daemon_threads = True
        # A caller that was killed breaks its connection: nothing to tell on stderr.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _taken(self, path: str, headers: dict[str, str], body: bytes) -> int:
        said = json.loads(body)
        what = f"{path} {said['type']} {said['data']['input']['prompt']}"
        with self._lock:
            self._seen[what] += 1
            fall = random.Random(f"{self._seed} {what} {self._seen[what]}").random()
            status = 503 if fall < self._refusing else 200
            self.calls.append(Call(path, headers.get("webhook-id", ""), headers, body, status))
        return status
