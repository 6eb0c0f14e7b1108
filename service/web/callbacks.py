"""``POST /callbacks/TOKEN``: verify, keep, answer exactly 200."""

from __future__ import annotations

from flask import Blueprint, Response, request

from service.callbacks import receive_callback
from service.errors import BadToken, ExpiredToken
from service.web.context import json_response, raw_body, wiring
from service.web.problems import Problem

blueprint = Blueprint("callbacks", __name__)


@blueprint.post("/callbacks/<token>")
def receive(token: str) -> Response:
    """Keep a provider's callback; no judgement of its body, no work, no network."""
    w = wiring()
    now = w.clock()
    try:
        body = raw_body()
    except Problem:
        w.ingest.reject("too_large", _remote(), now)
        raise
    try:
        receive_callback(w.ingest, w.signer, token, dict(request.headers), body, _remote(), now)
    except ExpiredToken:
        raise Problem(410, "this callback URL has expired") from None
    except BadToken:
        raise Problem(401, "the signature of this callback URL is not ours") from None
    return json_response({"ok": True})


def _remote() -> str:
    return request.remote_addr or ""
