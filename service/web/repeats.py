"""
Creates that a client repeats by itself: the one job of all their tries.

The SDKs that Stainless and its like generate send no idempotency key, but count the tries
of each request. What they get for a repeat is decided in `store.repeats`; here
is what that needs to know of the request, and of those that this process has refused.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from flask import Response, current_app, g, request
from sqlalchemy import Connection

from service import store
from service.store.database import Database
from service.store.repeats import Create, RefusedTry
from service.web.context import (
    BODY_BYTES,
    api_key_from_request,
    api_key_in,
    caller,
    raw_body,
    wiring,
)
from service.web.errors import Problem
from service.web.idempotency import HEADER, fingerprint_of
from service.web.intake.framing import Head

RETRY_COUNT = "x-stainless-retry-count"
MOST_REFUSED = 10_000
#: Refusals after which the SDKs repeat a request, besides all of 500 and more.
REPEATED = (408, 409, 429)


def retries_in(value: str) -> int | None:
    """The count of tries before this one in a header's value; None where there is none."""
    return min(int(value[:4]), 100) if value.isascii() and value.isdecimal() else None


def sent_digest(key: str, path: str, content_type: str, body: bytes) -> str:
    """
    Stands for the bytes of a request, in 64 hexadecimal digits; blank for a body over 1 MiB.

    A form's boundary, which is another one for each try, does not count.
    """
    if len(body) > BODY_BYTES:
        return ""
    if found := re.search(r'boundary="?([^";]+)', content_type):
        body = body.replace(found[1].encode("latin-1", "replace"), b"")
    return hashlib.sha256(f"{key}\n{path}\n".encode() + body).hexdigest()


class RefusedTries:
    """Tries that this process has refused and that the database does not know yet."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._tries: deque[RefusedTry] = deque(maxlen=MOST_REFUSED)
        self._writing = threading.Lock()

    def add(self, sent: str, retries: int) -> None:
        """One more; never waits."""
        if sent:
            self._tries.append(RefusedTry(sent, retries, self._clock()))

    def note_unserved(self, head: Head, path: str, raw: bytes) -> None:
        """
        A whole request that no thread was free for, if it is a create of such a client.

        Args:
            path: its path below our prefix.
            raw: its head and its body.
        """
        retries = retries_in(head.first(RETRY_COUNT))
        if retries is None or HEADER.lower() in head.headers or head.length is None:
            return
        body = raw.partition(b"\r\n\r\n")[2][: head.length]
        key = api_key_in(head.first("x-api-key"), head.first("authorization"))
        self.add(sent_digest(key, path, head.first("content-type"), body), retries)

    def write(self, db: Database) -> None:
        """Tell the database, before any repeat of one of them is judged."""
        if not self._tries:
            return
        with self._writing:
            tries: list[RefusedTry] = []
            with suppress(IndexError):
                while True:
                    tries.append(self._tries.popleft())
            try:
                with db.write() as tx:
                    store.repeats.remember_refused(tx, tries)
            except BaseException:
                self._tries.extendleft(reversed(tries))
                raise


def refused_tries() -> RefusedTries:
    """Those of this process."""
    found: RefusedTries = current_app.extensions["refused_tries"]
    return found


def note_refusal(response: Response) -> Response:
    """Called with each answer: a create that was refused before it made a job is remembered."""
    retries = retries_in(request.headers.get(RETRY_COUNT, ""))
    repeated = response.status_code in REPEATED or response.status_code >= 500
    if retries is None or not repeated or g.get("has_job") or HEADER in request.headers:
        return response
    with suppress(Problem):
        refused_tries().add(_sent(), retries)
    return response


def _sent() -> str:
    key, kind = api_key_from_request(), request.headers.get("Content-Type", "")
    return sent_digest(key, request.path, kind, raw_body())


def counted_create(body: bytes) -> Create | None:
    """
    This create of a client that counts its tries, None of any other client.

    Args:
        body: what the request says, the same bytes for each try of one create.
    """
    retries = retries_in(request.headers.get(RETRY_COUNT, ""))
    if retries is None or HEADER in request.headers:
        return None
    refused_tries().write(wiring().db)
    sent = ""
    with suppress(Problem):
        sent = _sent()
    return Create(caller().id, fingerprint_of(body), sent, retries, _is_given_up())


def _is_given_up() -> bool:
    """Whether the client has closed the connection, so that it may have tried again already."""
    sock = request.environ.get("gunicorn.socket")
    if sock is None:
        return False
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def earlier_try(tx: Connection, create: Create | None) -> str | None:
    """The job that an earlier try of this create has made; None where there was none."""
    if create is None:
        return None
    # Two tries at once: the second one waits here, and then sees the first one's job.
    store.accounts.lock(tx, caller().account_id)
    job_id = store.repeats.earlier_try(tx, create, wiring().clock())
    g.has_job = job_id is not None
    return job_id


def remember_create(tx: Connection, create: Create | None, job_id: str) -> None:
    """Later tries of this create get that job."""
    g.has_job = True
    if create is not None:
        store.repeats.remember_create(tx, create, job_id, wiring().clock())
