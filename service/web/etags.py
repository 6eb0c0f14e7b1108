"""ETag on reads: whoever asks again with ``If-None-Match`` hears 304 while nothing has changed."""

from __future__ import annotations

import hashlib

from flask import Response, request


def let_revalidate(response: Response) -> Response:
    """
    A read of the API under a tag of its bytes; 304 where the caller has these very bytes.

    Its caller alone may keep it and has to ask before using it again. Answers that
    show a secret once are no reads: nobody may keep those.
    """
    read = request.method in ("GET", "HEAD") and request.path.startswith("/v1/")
    if not read or response.status_code != 200 or not response.is_json:
        return response
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization, x-api-key"
    return tagged(response)


def tagged(response: Response) -> Response:
    """The answer with a tag of its bytes, or 304 where the caller has them."""
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    response.make_conditional(request)
    return response
