"""Serving below a path: ``https://example.com/clips`` instead of ``https://example.com``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class PathPrefix:
    """
    Serves an app below a path, whether the proxy in front strips that path or passes it on.

    The app sees its own paths and builds its links with the prefix. No path of the
    app itself may begin with the prefix, or a stripped one could not be distinguished.
    """

    def __init__(self, app: WSGIApplication, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if f"{path}/".startswith(f"{self._prefix}/"):
            path = path.removeprefix(self._prefix)
        environ["PATH_INFO"] = path or "/"
        environ["SCRIPT_NAME"] = self._prefix
        return self._app(environ, start_response)
