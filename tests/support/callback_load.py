"""Providers that call back without a pause, and one whose callback is halfway in."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
from types import TracebackType
from typing import Self

from support.servers import eventually


class CallbackLoad:
    """
    From `with` to its end, `callers` post callbacks one after another.

    Every second one keeps its connection. `answered` counts the 200s; `failures`
    says what went wrong with the others.
    """

    def __init__(self, port: int, path: str, callers: int = 6) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._port = port
        self._path = path
        self._bodies = itertools.count()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._call_back, args=(number % 2 == 0,))
            for number in range(callers)
        ]

    def more(self, count: int) -> None:
        """Wait until so many further callbacks were answered."""
        goal = self.answered + count
        eventually(lambda: self.answered >= goal or self.failures)

    def _call_back(self, keep: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=40)
        while not self._stopped.is_set() and not self.failures:
            try:
                # Never the same bytes twice: each of these is a row of its own.
                connection.request("POST", self._path, b"%d" % next(self._bodies))
                answer = connection.getresponse()
                self._note(answer.status, answer.read())
            except OSError as error:
                self.failures.append(repr(error))
            if not keep or answer.will_close:
                connection.close()
        connection.close()

    def _note(self, status: int, body: bytes) -> None:
        with self._lock:
            if status == 200:
                self.answered += 1
            else:
                self.failures.append(f"{status} {body.decode()}")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


class HalfCallback:
    """A callback of which the server has read the head, and waits for the body."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=40)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        self._socket.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert b"100" in self._socket.recv(100)

    def finish(self) -> int:
        """Send the body; the status of the answer."""
        self._socket.sendall(b"done")
        answer = http.client.HTTPResponse(self._socket, method="POST")
        answer.begin()
        answer.read()
        self._socket.close()
        return answer.status
