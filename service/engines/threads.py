"""
The embedded engine: threads per kind of work, in one process.

A thread is woken when a row becomes due, and runs its unit until there is
nothing left; where that is more than one row it wakes another thread, so that only
as many run as there is work. One watcher asks the database what is due
on every tick: for what becomes due with time, and for calls that were lost.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from service.ops.logs import TroubleLog

Unit = Callable[[], bool]
log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
#: Longer than an attempt at a delivery may take.
GRACE_SECONDS = 20.0
#: A unit that raised is not tried again before this has passed.
PAUSE_SECONDS = 1.0


class ThreadEngine:
    """
    Runs units of work until it is stopped.

    Args:
        units: by kind of work; True means that one was done and there may be more.
        due: the kinds that have something due.
        threads: how many threads each kind gets.
        never_cut: kinds whose running units end before `run` returns, however long that takes.
        tick: seconds between two questions what is due.
        grace_seconds: how long a running unit of another kind may take once it is stopped.
    """

    def __init__(
        self,
        units: Mapping[str, Unit],
        due: Callable[[], set[str]],
        threads: Mapping[str, int],
        never_cut: Collection[str] = (),
        tick: float = TICK_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._units = units
        self._due = due
        self._never_cut = never_cut
        self._tick = tick
        self._grace_seconds = grace_seconds
        self._stopping = False
        self._never = threading.Event()
        self._lock = threading.Lock()
        self._free = Counter({kind: threads[kind] for kind in units})
        self._troubles = TroubleLog(log)
        # No more calls than threads: whoever is called looks until nothing is left.
        self._calls: dict[str, queue.Queue[None]] = {
            kind: queue.Queue(threads[kind]) for kind in units
        }
        self._threads = {
            threading.Thread(
                target=self._run_worker, args=(kind,), name=f"{kind}-{number}", daemon=True
            ): kind
            for kind in units
            for number in range(threads[kind])
        }

    def run(self) -> bool:
        """Work until `stop` is called from elsewhere; False when it left a unit still running."""
        for thread in self._threads:
            thread.start()
        while not self._stopping:
            self._watch()
            self._never.wait(self._tick)
        without = ", ".join(self._never_cut) or "none"
        log.info("stopping: %g s for units that run, no limit for %s", self._grace_seconds, without)
        for kind, calls in self._calls.items():
            for _ in range(calls.maxsize):
                self.call(kind)
        return self._join()

    def _join(self) -> bool:
        until = time.monotonic() + self._grace_seconds
        for thread, kind in self._threads.items():
            left = None if kind in self._never_cut else max(0.0, until - time.monotonic())
            thread.join(left)
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """End after the units that are running; safe in a signal handler: it takes no lock."""
        self._stopping = True

    def _watch(self) -> None:
        try:
            for kind in self._due():
                self.call(kind)
        except Exception as error:
            self._troubles.tell("cannot ask the database what is due", error)
            self._never.wait(PAUSE_SECONDS)

    def call(self, kind: str) -> bool:
        """Something of that kind may be due; says whether a slot is free to look at it now."""
        if kind not in self._calls:
            return False
        with self._lock:
            is_free = self._free[kind] > self._calls[kind].qsize()
        with suppress(queue.Full):
            self._calls[kind].put_nowait(None)
        return is_free

    def _run_worker(self, kind: str) -> None:
        while not self._stopping:
            self._calls[kind].get()
            self._count(kind, -1)
            rows = 0
            while not self._stopping and self._one(kind):
                rows += 1
                if rows > 1:
                    self.call(kind)
            self._count(kind, 1)

    def _count(self, kind: str, change: int) -> None:
        with self._lock:
            self._free[kind] += change

    def _one(self, kind: str) -> bool:
        try:
            return self._units[kind]()
        except Exception as error:
            self._troubles.tell(f"{kind} failed; the row comes up again when its lease ends", error)
            self._never.wait(PAUSE_SECONDS)
            return False
