"""The sandbox as a Flask application and as a server."""

from __future__ import annotations

from importlib import import_module

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from service.catalogue.models import VENDORS
from service.sandbox.options import SandboxOptions
from service.sandbox.serving import AppServer
from service.sandbox.vendors.apixo import Refusal, refusal_response
from service.sandbox.vendors.control import control_blueprint, files_blueprint
from service.sandbox.vendors.renderer import Renderer

#: A vendor's side has the name that the catalogue gives the vendor.
_MODULES = {name: import_module(f"service.sandbox.vendors.{name}") for name in VENDORS}

__all__ = ["SandboxOptions", "SandboxServer", "create_sandbox"]


def create_sandbox(options: SandboxOptions) -> Flask:
    """
    The application; ``app.extensions["sandbox"]`` is its `Renderer`, to be closed at the end.

    ``[hang]`` and ``[drop]`` need werkzeug's own server, as in `SandboxServer`.
    """
    app = Flask(__name__)
    renderer = Renderer(options)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["sandbox"] = renderer
    for name in VENDORS:
        app.register_blueprint(_MODULES[name].make_blueprint(renderer))
    app.register_blueprint(control_blueprint(renderer))
    app.register_blueprint(files_blueprint(renderer))

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


class SandboxServer(AppServer):
    """A sandbox on a socket of its own; see `AppServer`."""

    def __init__(self, options: SandboxOptions, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(create_sandbox(options), host, port)

    @property
    def renderer(self) -> Renderer:
        """The one that makes the videos and knows the tasks."""
        renderer: Renderer = self.app.extensions["sandbox"]
        return renderer

    def close(self) -> None:
        """Stops serving and ends all threads."""
        self.renderer.book.close()
        super().close()
        self.renderer.close()
