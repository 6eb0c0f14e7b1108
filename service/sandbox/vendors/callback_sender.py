"""Callbacks: the POST, its retries, and the record of every try."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace

from service.sandbox.vendors.schedule import Schedule
from service.sandbox.vendors.tasks import CallbackAttempt, TaskBook

ANSWER_SECONDS = 30.0
THREADS = 4


class _Stay(urllib.request.HTTPRedirectHandler):
    """Leaves redirects as they are: only a plain 200 counts as received."""

    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


#: The headers with which a vendor signs a body that it sends now.
Signer = Callable[[bytes], dict[str, str]]


@dataclass(frozen=True)
class CallbackJob:
    """Bodies for one address, sent one after another; `tries` counts those of the first."""

    task_id: str
    url: str
    bodies: tuple[bytes, ...]
    tries: int = 0
    sign: Signer | None = None


class CallbackSender:
    """Sends callbacks, and retries after each of `retry_delays` (s) until one is answered 200."""

    def __init__(self, book: TaskBook, retry_delays: tuple[float, ...]) -> None:
        self._book = book
        self._delays = retry_delays
        self._schedule = Schedule(THREADS, "sandbox-callback")

    def send(self, job: CallbackJob, wait_seconds: float = 0.0) -> None:
        """Begin with the job's first body in so many seconds."""
        if job.bodies:
            self._schedule.after(wait_seconds, lambda: self._try(job))

    def close(self) -> None:
        """Stop; callbacks that are not sent yet are lost, as with a vendor that goes down."""
        self._schedule.close()

    def _try(self, job: CallbackJob) -> None:
        body = job.bodies[0]
        attempt = post(job.url, body, job.sign(body) if job.sign else {})
        self._book.record(job.task_id, attempt)
        if attempt.status == 200 or job.tries >= len(self._delays):
            self.send(replace(job, bodies=job.bodies[1:], tries=0))
        else:
            self.send(replace(job, tries=job.tries + 1), self._delays[job.tries])


def post(url: str, body: bytes, signature: dict[str, str]) -> CallbackAttempt:
    """One POST of a JSON body; every end of it becomes an attempt."""
    began = time.time()
    headers = {"Content-Type": "application/json"} | signature
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - http(s) was checked at create
    try:
        with _opener.open(request, timeout=ANSWER_SECONDS) as answer:
            status = int(answer.status)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        status = refusal.code
    except (OSError, http.client.HTTPException, ValueError) as error:
        return CallbackAttempt(began, None, str(error) or type(error).__name__, body.decode())
    problem = None if status == 200 else f"HTTP {status}"
    return CallbackAttempt(began, status, problem, body.decode())
