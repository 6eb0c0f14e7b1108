"""Vendors behind a bad line: creates whose answers are lost, late or cut, or that come twice."""

from __future__ import annotations

import io
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Response

from service.catalogue.models import VENDORS

#: What becomes of a create, with its share: of the answer, or of the request itself.
SHARES = {
    "lost": 0.08,
    "reset": 0.06,
    "cut": 0.05,
    "5xx after the task was made": 0.07,
    "5xx before": 0.04,
    "too late": 0.04,
    "slow": 0.06,
    "doubled": 0.05,
}
#: The caller gets no usable answer.
SILENT = frozenset(SHARES) - {"slow", "doubled"}
#: Questions about tasks that a gateway answers 502.
BROKEN_QUESTIONS = 0.03
_NUMBER = re.compile(rb"no\. (\d+)\"")
_CUT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"

Start = Callable[..., Any]


class VendorFaults:
    """
    Stands before the sandbox's application; the same seed spoils the same creates.

    `counts` is how often each fault befell which vendor's create, `creates` which tries of
    a job's create had one.
    """

    def __init__(self, app: Any, seed: int, vendor_of: Callable[[int], str], timeout: float):
        self._app, self._seed, self._vendor_of, self._timeout = app, seed, vendor_of, timeout
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self._questions = random.Random(f"{seed} questions")
        self.creates: dict[int, list[str]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """One request."""
        if environ["REQUEST_METHOD"] != "POST":
            broken = self._questions.random() < BROKEN_QUESTIONS
            answer = Response("<h1>502 Bad Gateway</h1>", 502) if broken else self._app
            return answer(environ, start)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        found = _NUMBER.search(body)
        fault = self._fault(int(found[1])) if found else ""
        if fault == "5xx before":
            return Response("busy", 503)(environ, start)
        answer = self._answer(environ, body)
        if fault == "doubled":
            answer = self._answer(environ, body)
        return self._spoil(fault, answer, environ, start)

    def _fault(self, number: int) -> str:
        vendor = self._vendor_of(number)
        with self._lock:
            tries = self.creates.setdefault(number, [])
            dice = random.Random(f"{self._seed} {number} {len(tries)}")
            fault = dice.choices(["", *SHARES], [1 - sum(SHARES.values()), *SHARES.values()])[0]
            if fault == "doubled" and not VENDORS[vendor].refuses_duplicates:
                # No caller can help where a gateway repeats a create that has no name.
                fault = ""
            tries.append(fault)
            self.counts[vendor, fault] += 1
        return fault

    def _answer(self, environ: dict[str, Any], body: bytes) -> Response:
        return Response.from_app(self._app, environ | {"wsgi.input": io.BytesIO(body)}, True)

    def _spoil(
        self, fault: str, answer: Response, environ: dict[str, Any], start: Start
    ) -> Iterable[bytes]:
        connection: socket.socket = environ["werkzeug.socket"]
        if fault in ("too late", "slow"):
            self._pause.wait(self._timeout * (1.5 if fault == "too late" else 0.3))
        if fault.startswith("5xx"):
            return Response("<h1>502 Bad Gateway</h1>", 502)(environ, start)
        if fault == "cut":
            connection.sendall(_CUT)
        if fault == "reset":
            # Closed at once, with what was not read yet, means RST on the wire.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if fault in ("lost", "cut", "reset"):
            # The server reads no further request, and writes nothing after this error.
            connection.shutdown(socket.SHUT_RD)
            raise ConnectionResetError(fault)
        return answer(environ, start)
