"""The sandbox as a Flask application and as a server."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server

from service.sandbox.options import SandboxOptions
from service.sandbox.vendors.apixo import Refusal, apixo_blueprint, refusal_response
from service.sandbox.vendors.control import control_blueprint
from service.sandbox.vendors.renderer import Renderer
from service.sandbox.vendors.segmind import segmind_blueprint

__all__ = ["SandboxOptions", "SandboxServer", "create_sandbox"]

log = logging.getLogger(__name__)


def create_sandbox(options: SandboxOptions) -> Flask:
    """
    The application; ``app.extensions["sandbox"]`` is its `Renderer`, to be closed at the end.

    ``[hang]`` and ``[drop]`` need werkzeug's own server, as in `SandboxServer`.
    """
    app = Flask(__name__)
    renderer = Renderer(options)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["sandbox"] = renderer
    app.register_blueprint(apixo_blueprint(renderer))
    app.register_blueprint(segmind_blueprint(renderer))
    app.register_blueprint(control_blueprint(renderer))

    @app.errorhandler(HTTPException)
    def vendor_error(error: HTTPException) -> Response | HTTPException:
        """Flask's own refusals (no such route, wrong method), written as that vendor does."""
        code = error.code or 500
        detail = error.description or error.name
        if request.path.startswith("/api/"):
            return refusal_response(Refusal(code, detail))
        if request.path.startswith(("/v1/", "/v2/")) and code != 405:
            response = jsonify(error=detail)
            response.status_code = code
            return response
        return error

    return app


class SandboxServer:
    """
    A sandbox on a socket of its own; also a context manager.

    `port` 0 takes a free one; `url` (without a slash at the end) tells which.
    """

    def __init__(self, options: SandboxOptions, host: str = "127.0.0.1", port: int = 0) -> None:
        self.app = create_sandbox(options)
        self._server = make_server(
            host, port, self.app, threaded=True, request_handler=_QuietHandler
        )
        self._thread: threading.Thread | None = None
        self.url = f"http://{host}:{self._server.port}"

    @property
    def renderer(self) -> Renderer:
        """The one that makes the videos and knows the tasks."""
        renderer: Renderer = self.app.extensions["sandbox"]
        return renderer

    def start(self) -> SandboxServer:
        """Serves in a thread from now on; returns itself."""
        self._thread = threading.Thread(target=self.serve, name="sandbox", daemon=True)
        self._thread.start()
        return self

    def serve(self) -> None:
        """Serves in this thread until `close` is called from another."""
        self._server.serve_forever(poll_interval=0.25)

    def close(self) -> None:
        """Stops serving and ends all threads."""
        self.renderer.book.close()
        if self._thread:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self.renderer.close()

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _QuietHandler(WSGIRequestHandler):
    """Requests go to our log instead of the terminal."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        """Writes one line at debug level."""
        log.debug(message, *args)
