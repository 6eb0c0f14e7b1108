"""
The receiver of callbacks, in front of Flask, whose work costs more than storing a callback.

It answers only successes. A refusal is passed to Flask with its error, which
the view `callbacks.receive` raises, so that all errors are answered in one place.
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
#: The path of a dashboard form below the same prefix.
_REPLAY = re.compile(r"[^/]+/replay")
#: The key in the WSGI environment under which the view finds the error.
REFUSED = "clipbell.refused"
_OK = b'{"ok": true}'


def token_of(path: str) -> str:
    """
    The token in a callback URL's path, valid or not; blank for any other path.

    It follows Flask's routing: several leading slashes count as one, as some proxies add one;
    trailing slashes are ignored; and a token contains no slash.
    """
    path = f"/{path.lstrip('/')}"
    token = path.removeprefix(CALLBACKS).rstrip("/") if path.startswith(CALLBACKS) else ""
    return "" if token.startswith("/") or _REPLAY.fullmatch(token) else token


class Receiver:
    """
    Handles POSTs to callback URLs, and passes everything else to an app.

    Args:
        headers: the headers of every answer.
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
        # Flask must find the view, whatever the rest of the request is.
        environ |= {REFUSED: error, "PATH_INFO": f"{CALLBACKS}refused", "HTTP_UPGRADE": ""}
        for_all = environ.get("HTTP_ACCEPT", "*/*") == "*/*"
        if type(error) is not BadToken or not for_all or environ["SCRIPT_NAME"] != self._root:
            return self._app(environ, start_response)
        # All forged callbacks get the same prepared answer, so that a flood of them costs little.
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
