"""
The same request twice is one job: by ``Idempotency-Key``, or by the count of a client's retries.

What tells them apart is written in the transaction that makes the job, so there
is no moment at which one exists without the other.
"""

from __future__ import annotations

import hashlib

from flask import Response, request
from sqlalchemy import Connection

from service import store
from service.errors import FieldError, InvalidInput
from service.store.idempotency import Create
from service.web.context import caller, wiring
from service.web.errors import Problem

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
#: Sent by the SDKs that Stainless and its like generate: they repeat a create without any key.
RETRY_COUNT = "x-stainless-retry-count"
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
    The kept answer to this request, or None when it has to be carried out.

    Raises a Problem: 422 for another body under the same key, 409 while the
    first request is still running.
    """
    if key is None:
        return None
    account = caller().account_id
    fingerprint = _fingerprint(body)
    if store.idempotency.reserve(tx, account, key, fingerprint, wiring().clock()):
        return None
    kept = store.idempotency.find(tx, account, key)
    if kept is None or kept.status is None:
        hint = "Ask again in a moment."
        raise Problem(409, "the first request with this key is still running", hint=hint)
    if kept.fingerprint != fingerprint:
        hint = "Use a new key for a new request."
        raise Problem(422, f"this {HEADER} was used with another body", hint=hint, errors=[])
    headers = {**kept.headers, REPLAYED: "true"}
    return Response(kept.body, status=kept.status, headers=headers)


def _fingerprint(body: bytes) -> str:
    place = f"{request.method} {request.full_path} ".encode()
    return hashlib.sha256(place + body).hexdigest()


def save(tx: Connection, key: str | None, response: Response) -> None:
    """Keep this answer for replays."""
    if key is None:
        return
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    body = response.get_data()
    store.idempotency.answer(tx, caller().account_id, key, response.status_code, headers, body)


def counted_create(body: bytes) -> Create | None:
    """
    This create of a client that counts its tries, None of any other client.

    Args:
        body: what the request says, the same bytes for each try of one create.
    """
    count = request.headers.get(RETRY_COUNT, "")
    if HEADER in request.headers or not (count.isascii() and count.isdecimal()):
        return None
    return Create(caller().id, _fingerprint(body), min(int(count[:4]), 100))


def earlier_try(tx: Connection, create: Create | None) -> str | None:
    """The job that an earlier try of this create has made; None where there was none."""
    if create is None:
        return None
    # Two tries at once: the second one waits here, and then sees the first one's job.
    store.accounts.lock(tx, caller().account_id)
    return store.idempotency.earlier_try(tx, create, wiring().clock())


def remember_create(tx: Connection, create: Create | None, job_id: str) -> None:
    """Later tries of this create get that job."""
    if create is not None:
        store.idempotency.remember_create(tx, create, job_id, wiring().clock())
