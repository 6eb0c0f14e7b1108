"""
Waiting for jobs inside requests: a limited number, with one poller thread per process.

The poller runs one query for all waiting requests, whatever their number; a request
sleeps on its own event. On shutdown all are woken at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

LOOK_SECONDS = 0.25


class Waiters:
    """
    Slots for requests that wait until a job is finished.

    Args:
        slots: the most requests that may wait at once in this process.
        ended: returns those of these job ids that need no more waiting.
    """

    def __init__(self, slots: int, ended: Callable[[Collection[str]], set[str]]) -> None:
        self._slots = threading.Semaphore(slots)
        self._ended = ended
        self._changed = threading.Condition()
        self._waiting: dict[str, threading.Event] = {}
        self._thread: threading.Thread | None = None
        self._never = threading.Event()
        self.stopping = False

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Hold a slot for the length of the block; yields False if none is free."""
        taken = not self.stopping and self._slots.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._slots.release()

    def wait(self, job_id: str, seconds: float) -> bool:
        """Wait until the job is finished: True; False after `seconds`, or if the server stops."""
        event = threading.Event()
        with self._changed:
            self._waiting[job_id] = event
            self._start()
            self._changed.notify()
        event.wait(seconds)
        with self._changed:
            self._waiting.pop(job_id, None)
        return event.is_set() and not self.stopping

    def stop(self) -> None:
        """Wake all, as the server stops. A signal handler calls it, so it takes no lock."""
        self.stopping = True

    def _start(self) -> None:
        # The first request starts it, so always after gunicorn's fork.
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="waiters", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                waiting = dict(self._waiting)
            done = set(waiting) if self.stopping else self._look(waiting)
            for job_id in done:
                waiting[job_id].set()
            self._never.wait(LOOK_SECONDS)

    def _look(self, waiting: Collection[str]) -> set[str]:
        try:
            return self._ended(waiting)
        except Exception:
            # A short outage of the database only makes the wait longer.
            return set()
