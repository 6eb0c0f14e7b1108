"""
Idempotency keys: with ``Idempotency-Key``, a repeated request makes no second job.

The key is stored in the transaction that creates the job, so there is no moment at
which one exists without the other. Clients without keys are in `repeats`.
"""

from __future__ import annotations

import hashlib

from flask import Response, request
from sqlalchemy import Connection

from service import store
from service.errors import FieldError, InvalidInput
from service.web.context import caller, wiring
from service.web.errors import Problem

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY_LENGTH = 255
_KEPT_HEADERS = ("Content-Type", "Location")


def given_key() -> str | None:
    """The request's key, bare or as a quoted string. Raises InvalidInput for a blank one."""
    value = request.headers.get(HEADER)
    if value is None:
        return None
    key = value.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key.strip() or len(value) > KEY_LENGTH:
        message = f"must have from 1 to {KEY_LENGTH} characters"
        raise InvalidInput([FieldError(f"#{HEADER}", "out_of_range", message)])
    return key


def replay(tx: Connection, key: str | None, body: bytes) -> Response | None:
    """
    The stored answer to this request; None if it must be processed.

    Raises a Problem: 422 for another body under the same key, 409 while the
    first request is still running.
    """
    if key is None:
        return None
    account = caller().account_id
    fingerprint = fingerprint_of(body)
    if store.idempotency.reserve(tx, account, key, fingerprint, wiring().clock()):
        return None
    kept = store.idempotency.find(tx, account, key)
    if kept is None or kept.status is None:
        hint = "Try again in a moment."
        raise Problem(409, "the first request with this key is still running", hint=hint)
    if kept.fingerprint != fingerprint:
        hint = "Use a new key for a new request."
        raise Problem(422, f"this {HEADER} was used with another body", hint=hint, errors=[])
    headers = {**kept.headers, REPLAYED: "true"}
    return Response(kept.body, status=kept.status, headers=headers)


def fingerprint_of(body: bytes) -> str:
    """This request's method, path and `body`, in 64 hexadecimal digits."""
    place = f"{request.method} {request.full_path} ".encode()
    return hashlib.sha256(place + body).hexdigest()


def save(tx: Connection, key: str | None, response: Response) -> None:
    """Store this answer for replays."""
    if key is None:
        return
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    body = response.get_data()
    store.idempotency.answer(tx, caller().account_id, key, response.status_code, headers, body)
