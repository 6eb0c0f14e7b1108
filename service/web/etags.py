"""ETags on reads: a request with ``If-None-Match`` gets 304 if nothing has changed."""

from __future__ import annotations

import hashlib

from flask import Response, request


def let_revalidate(response: Response) -> Response:
    """
    Give a read of the API an ETag of its bytes; 304 if the caller has the same bytes.

    Only the caller's own cache may store it, and must revalidate it. Answers that
    show a secret once are not reads: no cache may store them.
    """
    read = request.method in ("GET", "HEAD") and request.path.startswith("/v1/")
    if not read or response.status_code != 200 or not response.is_json:
        return response
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization, x-api-key"
    return tagged(response)


def tagged(response: Response) -> Response:
    """The answer with an ETag of its bytes, or 304 if the caller has them."""
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    response.make_conditional(request)
    return response
