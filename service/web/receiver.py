"""
The receiver of callbacks, before Flask: what pages need costs more than keeping a callback.

Only success is made here. What is refused goes on to Flask with its error, which
the view `callbacks.receive` raises, so that all errors are made in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_content_length, get_input_stream

from service.bootstrap import Wiring
from service.callbacks.process import receive_callback
from service.errors import BadToken, CallbackTooLarge
from service.model import CALLBACK_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CALLBACKS = "/callbacks/"
#: A form of the dashboard, below the same address.
_REPLAY = re.compile(r"[^/]+/replay")
#: Where the view finds what was raised.
REFUSED = "clipbell.refused"
_OK = b'{"ok": true}'


def token_of(path: str) -> str:
    """
    The token of a callback URL's path, forged or ours; blank for the path of something else.

    As Flask routes it: slashes before the path are one, as some proxies put one of their own
    there, those at the end do not count, and behind a second slash there is no token.
    """
    path = f"/{path.lstrip('/')}"
    token = path.removeprefix(CALLBACKS).rstrip("/") if path.startswith(CALLBACKS) else ""
    return "" if token.startswith("/") or _REPLAY.fullmatch(token) else token


class Receiver:
    """
    Takes POSTs to callback URLs, and leaves everything else to an app.

    Args:
        headers: what every answer of ours has.
    """

    def __init__(
        self, app: WSGIApplication, wiring: Wiring, headers: Sequence[tuple[str, str]]
    ) -> None:
        self._app, self._wiring = app, wiring
        own = [("Content-Type", "application/json"), ("Content-Length", str(len(_OK)))]
        self._headers = [*own, *headers]
        self._root = wiring.settings.public_path
        self._forged: tuple[Iterable[bytes], str, Headers] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        token = token_of(environ["PATH_INFO"])
        if environ["REQUEST_METHOD"] != "POST" or not token:
            return self._app(environ, start_response)
        try:
            self._keep(environ, token)
        except Exception as error:
            return self._refuse(error, environ, start_response)
        start_response("200 OK", [*self._headers])
        return [_OK]

    def _refuse(
        self, error: Exception, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        # Flask is to find the view, whatever the rest of the request says.
        environ |= {REFUSED: error, "PATH_INFO": f"{CALLBACKS}refused", "HTTP_UPGRADE": ""}
        for_all = environ.get("HTTP_ACCEPT", "*/*") == "*/*"
        if type(error) is not BadToken or not for_all or environ["SCRIPT_NAME"] != self._root:
            return self._app(environ, start_response)
        # All forged callbacks get one answer, made once: a flood of them is to cost little.
        if self._forged is None:
            self._forged = run_wsgi_app(self._app, environ, buffered=True)
        body, status, headers = self._forged
        start_response(status, [*headers])
        return [*body]

    def _keep(self, environ: WSGIEnvironment, token: str) -> None:
        w = self._wiring
        receive_callback(
            w.ingest,
            w.signer,
            token,
            dict(iter(EnvironHeaders(environ))),
            partial(_body, environ),
            environ.get("REMOTE_ADDR", ""),
            w.clock(),
        )


def _body(environ: WSGIEnvironment) -> bytes:
    if (get_content_length(environ) or 0) <= CALLBACK_BYTES:
        body = get_input_stream(environ).read(CALLBACK_BYTES + 1)
        if len(body) <= CALLBACK_BYTES:
            return body
    raise CallbackTooLarge(f"the body is larger than {CALLBACK_BYTES} bytes")
