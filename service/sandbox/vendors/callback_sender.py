"""Callbacks: the POST, its retries, and the record of every try."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
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


@dataclass(frozen=True)
class CallbackJob:
    """Letters for one address, brought one after another; `tries` counts the first one's."""

    task_id: str
    url: str
    callback_bodies: tuple[bytes, ...]
    tries: int = 0


class CallbackSender:
    """Brings callbacks, and comes again after each of `retry_delays` until he hears 200."""

    def __init__(self, book: TaskBook, retry_delays: tuple[float, ...]) -> None:
        self._book = book
        self._delays = retry_delays
        self._schedule = Schedule(THREADS, "sandbox-callback")

    def bring(self, callback_job: CallbackJob, wait: float = 0.0) -> None:
        """Starts an errand in `wait` seconds."""
        if callback_job.callback_bodies:
            self._schedule.after(wait, lambda: self._go(callback_job))

    def close(self) -> None:
        """Stops; what has not been brought is lost, as with a vendor that goes down."""
        self._schedule.close()

    def _go(self, callback_job: CallbackJob) -> None:
        attempt = post(callback_job.url, callback_job.callback_bodies[0])
        self._book.record(callback_job.task_id, attempt)
        if attempt.status == 200 or callback_job.tries >= len(self._delays):
            self.bring(
                replace(callback_job, callback_bodies=callback_job.callback_bodies[1:], tries=0)
            )
        else:
            self.bring(
                replace(callback_job, tries=callback_job.tries + 1),
                self._delays[callback_job.tries],
            )


def post(url: str, body: bytes) -> CallbackAttempt:
    """One POST of a JSON body; every end of it becomes an attempt."""
    began = time.time()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - http(s) was checked at create
    status, error = _outcome(request)
    return CallbackAttempt(began, status, error, body.decode())


def _outcome(request: urllib.request.Request) -> tuple[int | None, str | None]:
    try:
        with _opener.open(request, timeout=ANSWER_SECONDS) as answer:
            status = int(answer.status)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        status = refusal.code
    except (OSError, http.client.HTTPException, ValueError) as error:
        return None, str(error) or type(error).__name__
    return status, None if status == 200 else f"HTTP {status}"
