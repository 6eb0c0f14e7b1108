"""
Stored files over HTTP: whole, by ranges, or sent by a proxy or the bucket.

A slow viewer occupies one of our threads unless a proxy or the
bucket sends the bytes; see the setting ``ACCEL``.
"""

from __future__ import annotations

import os
import unicodedata
from http import HTTPStatus
from urllib.parse import quote

from flask import Response, redirect, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wrappers import Response as AnyResponse
from werkzeug.wsgi import FileWrapper, wrap_file

from service.storage import FileMissing, media_type_of
from service.web.context import wiring
from service.web.errors import Problem

#: The internal path at which the proxy serves our storage.
ACCEL_PREFIX = "/clipbell-files/"
PRESIGNED_SECONDS = 6 * 3600
BLOCK = 64 * 1024
GONE = "the copy is gone from storage"


def redirected(name: str) -> AnyResponse | None:
    """A redirect to the bucket's own URL of the file; None unless that is configured."""
    w = wiring()
    if w.settings.accel != "presigned":
        return None
    url = w.storage.presigned(name, request.method, PRESIGNED_SECONDS)
    if url is None:
        return None
    response = redirect(url, 302)
    # It expires before our own link.
    response.headers["Cache-Control"] = "no-store"
    return response


def stored_file(
    name: str,
    shown: str,
    *,
    etag: str | None = None,
    download: bool = False,
    whole: bool = False,
) -> Response:
    """
    The answer to a request for a file: its bytes, a part of them, 304 or 412.

    Args:
        shown: the file name for the download.
        etag: a value that changes with the content; None for the file's unique name.
        whole: always the whole file, whatever the request's headers say.

    Raises:
        Problem: 404, the file is gone.
    """
    if wiring().settings.accel == "x-accel":
        if not wiring().storage.exists(name):
            # The proxy's own 404 would have our headers, and browsers would cache it for a day.
            raise Problem(404, GONE)
        response = Response(mimetype=media_type_of(name))
        response.headers["X-Accel-Redirect"] = ACCEL_PREFIX + wiring().storage.key(name)
        return _labelled(response, shown, download)
    response = _labelled(open_stored(name, whole), shown, download)
    response.set_etag(etag or name)
    return response if whole else _conditional(response, etag or name)


def _conditional(response: Response, etag: str) -> Response:
    if request.if_match and not request.if_match.is_strong(etag):
        # A request for another version gets no byte of this one.
        response.close()
        return Response(status=HTTPStatus.PRECONDITION_FAILED)
    # Anything but a single range of bytes gets the whole file (RFC 9110, 14.2).
    wanted = request.range
    single = wanted is not None and wanted.units == "bytes" and len(wanted.ranges) == 1
    size = response.content_length if single else None
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        response.close()
        raise
    return response


def _labelled(response: Response, shown: str, download: bool) -> Response:
    disposition = "attachment" if download else "inline"
    # The name in ASCII, and in full if that differs (RFC 6266).
    plain = unicodedata.normalize("NFKD", shown).encode("ascii", "ignore").decode().lstrip("-")
    full = {} if plain == shown else {"filename*": f"UTF-8''{quote(shown, safe='')}"}
    response.headers.set("Content-Disposition", disposition, filename=plain, **full)
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response


def open_stored(name: str, whole: bool) -> Response:
    """The whole file, as a response that can seek. Raises a Problem: 404, the file is gone."""
    try:
        file = wiring().storage.open(name)
    except FileMissing:
        raise Problem(404, GONE) from None
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    # The server's own `file_wrapper` may be faster, but reads up to a range instead of seeking.
    seeks = "Range" in request.headers and not whole
    body = FileWrapper(file, BLOCK) if seeks else wrap_file(request.environ, file, BLOCK)
    response = Response(body, mimetype=media_type_of(name), direct_passthrough=True)
    response.content_length = size
    return response
