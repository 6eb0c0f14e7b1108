"""A Flask app on a socket of its own, in a thread, as the sandbox and its sinks are run."""

from __future__ import annotations

import logging
import threading
from typing import Self

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

log = logging.getLogger(__name__)

#: How soon a server notices that it is to stop.
POLL_SECONDS = 0.1


class AppServer:
    """
    A server of one app; also a context manager.

    `port` 0 takes a free one; it is part of `url`, which has no slash at the end.
    """

    def __init__(self, app: Flask, host: str, port: int) -> None:
        self.app = app
        self._server = make_server(host, port, app, threaded=True, request_handler=_QuietHandler)
        self._thread: threading.Thread | None = None
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.port}"

    def start(self) -> Self:
        """Serves in a thread from now on; returns itself."""
        self._thread = threading.Thread(target=self.serve, name=type(self).__name__, daemon=True)
        self._thread.start()
        return self

    def serve(self) -> None:
        """Serves in this thread until `close` is called from another."""
        self._server.serve_forever(POLL_SECONDS)

    def close(self) -> None:
        """Stops serving and ends the thread."""
        if self._thread:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


class _QuietHandler(WSGIRequestHandler):
    """Requests go to our log instead of the terminal."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        """Writes one line at debug level."""
        log.debug(message, *args)
