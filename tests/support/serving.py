"""HTTP servers of a test's own, each on a thread from `with` to its end."""

from __future__ import annotations

import http.server
import threading
from types import TracebackType
from typing import Self


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """Writes nothing on the test's terminal."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Served:
    """A base for servers: `serve` listens on a free port, at `origin`."""

    origin = ""

    def serve(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        """Listen; answer as soon as the block is entered."""
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        # A caller that was killed breaks its connection: nothing to tell on stderr.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def release(self) -> None:
        """Let go of answers that are held back, before the end."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
