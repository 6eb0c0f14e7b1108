"""Helpers of views: the wiring, the caller, the body, one row of the caller."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from flask import Response, current_app, g, request
from sqlalchemy import Connection

from service import store
from service.accounts import key_in_force
from service.bootstrap import Wiring
from service.channels.base import Channel
from service.deliveries.subscription_spec import open_to
from service.errors import NotFound
from service.model import ApiKey, Callback, Delivery, Job, Subscription
from service.model.codings import SUPPORTED, codings_of, decode
from service.web.errors import Problem
from service.web.json_text import parse_json
from service.web.limits import Limits
from service.web.query import Reader, read_query

R = TypeVar("R")

BODY_BYTES = 1024 * 1024
#: The bytes of a job with two inline images of 10 MB each, in base64.
JOB_BYTES = 28 * 1024 * 1024


def wiring() -> Wiring:
    """The wiring of this process."""
    found: Wiring = current_app.extensions["clipbell"]
    return found


def limits() -> Limits:
    """The request limits of this process."""
    found: Limits = current_app.extensions["limits"]
    return found


def caller() -> ApiKey:
    """The key of the request; only in views with `needs`."""
    found: ApiKey = g.api_key
    return found


def channels() -> dict[str, Channel]:
    """The channels that the caller may use, by name."""
    return open_to(wiring().channels, caller().scopes)


def api_key_from_request() -> str:
    """The key in ``x-api-key`` or ``Authorization: Bearer``; blank if there is none."""
    return api_key_in(
        request.headers.get("x-api-key", ""), request.headers.get("Authorization", "")
    )


def api_key_in(x_api_key: str, authorization: str) -> str:
    """The key in the values of these two headers; blank if there is none."""
    scheme, _, token = authorization.partition(" ")
    return x_api_key.strip() or (token.strip() if scheme.lower() == "bearer" else "")


def authenticate(scope: str) -> ApiKey:
    """The caller's key, with a check of its scope. Raises a Problem: 401, 403 or 429."""
    now, address = wiring().clock(), request.remote_addr or ""
    limits().address.take(address, now, cost=0)
    with wiring().db.read() as tx:
        key = key_in_force(tx, api_key_from_request())
    if key is None:
        g.standing = limits().address.take(address, now)
        raise Problem(
            401,
            "the API key is missing or not valid"
            if api_key_from_request()
            else "no API key was sent",
            hint="Send x-api-key: KEY or Authorization: Bearer KEY; `clipbell init` makes one.",
            headers={"WWW-Authenticate": 'Bearer realm="clipbell"'},
        )
    g.standing = limits().key.take(key.id, now)
    if scope not in key.scopes:
        hint = f"Use a key with that scope; this one has {', '.join(key.scopes)}."
        raise Problem(403, f"this needs the scope {scope}", hint=hint)
    wiring().ingest.note_use(key.id, now)
    g.api_key = key
    return key


def needs(scope: str, **takes: Reader) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """
    Allow a view only to keys with this scope.

    Args:
        takes: a reader for each query parameter; the view gets the values by name.
    """

    def wrap(view: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(view)
        def guarded(**parts: Any) -> R:
            authenticate(scope)
            return view(**parts, **read_query(takes))

        # `/openapi.json` reads these.
        vars(guarded).update(scope=scope, takes=tuple(takes))
        return guarded

    return wrap


#: The store's functions that find a row of an account.
_OWNED: dict[type, Callable[[Connection, str, str], Any]] = {
    Job: store.jobs.owned,
    Delivery: store.deliveries.owned,
    Callback: store.callbacks.owned,
    Subscription: store.subscriptions.owned,
}


def get_or_404(tx: Connection, kind: type[R], id_: str) -> R:
    """The caller's job, delivery, callback or subscription with this id. Raises NotFound."""
    found: R | None = _OWNED[kind](tx, caller().account_id, id_)
    if found is None:
        raise NotFound(f"you have no {kind.__name__.lower()} {id_[:80]}")
    return found


def raw_body(limit: int = BODY_BYTES) -> bytes:
    """The request's bytes as received. Raises a Problem (413) for more than `limit` bytes."""
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if "raw_body" not in g:
        g.raw_body = request.stream.read(limit + 1)
    body: bytes = g.raw_body
    if len(body) > limit:
        raise _too_large(limit)
    return body


def decoded_body(limit: int = BODY_BYTES) -> bytes:
    """
    The request's bytes without their content codings.

    Raises:
        Problem: 413 for more than `limit` bytes, coded or decoded; 415 for a coding
            that is unknown; 400 for a body without the coding that its header names.
    """
    header = request.headers.get("Content-Encoding", "")
    unknown = [name for name in codings_of(header) if name not in SUPPORTED]
    if unknown:
        known = ", ".join(SUPPORTED)
        hint = f"Send it without Content-Encoding, or in one of {known}."
        message = f"the content coding {unknown[0][:40]} is not known here"
        raise Problem(415, message, hint=hint, headers={"Accept-Encoding": known})
    try:
        body = decode(raw_body(limit), header, limit)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read: the connection cannot be used again.
    headers = {"Connection": "close"}
    return Problem(413, f"the body is larger than {limit} bytes", headers=headers)


def json_body(limit: int = BODY_BYTES) -> Any:
    """The parsed JSON of the request. Raises a Problem: 413, 415, or 400 with the error's place."""
    if not request.is_json:
        hint = "Send the body with Content-Type: application/json."
        got = f"is {request.mimetype}" if request.mimetype else "has no Content-Type"
        raise Problem(415, f"the body {got}, but must be application/json", hint=hint)
    chunked = request.content_length is None
    large = limit > BODY_BYTES and (chunked or (request.content_length or 0) > BODY_BYTES)
    # Parsing takes several times the size, so large bodies are read one by one.
    with current_app.extensions["large_body"] if large else nullcontext():
        return parse_json(decoded_body(limit))


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`body` as JSON."""
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status=status, headers=headers, content_type="application/json")
