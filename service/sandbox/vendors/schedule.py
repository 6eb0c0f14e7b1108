"""Things to do at a given moment, run by a few threads; asleep while nothing is due."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Action = Callable[[], None]


class Schedule:
    """
    Runs actions when they are due.

    One thread watches the clock and hands over to a pool of `threads`, so that
    a slow action holds up nobody else's hour.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._due: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._closed = False
        self._watcher = threading.Thread(target=self._watch, name=f"{name}-clock", daemon=True)
        self._watcher.start()

    def after(self, seconds: float, action: Action) -> None:
        """Runs `action` in so many seconds; a closed schedule forgets it."""
        with self._wake:
            if self._closed:
                return
            entry = (time.monotonic() + seconds, next(self._order), action)
            heapq.heappush(self._due, entry)
            self._wake.notify()

    def close(self) -> None:
        """Forgets what is not due yet and waits for what runs."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._watcher.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _watch(self) -> None:
        with self._wake:
            while not self._closed:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is None or wait > 0:
                    self._wake.wait(wait)
                else:
                    self._pool.submit(heapq.heappop(self._due)[2])
