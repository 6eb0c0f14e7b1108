"""
The embedded engine: threads per kind of work, in one process.

A thread is woken when a row becomes due, and checks once for each row that it is
called for: a check without a result costs a transaction. One watcher asks the
database for due kinds on every tick, for rows that become due with time and for calls
that were lost. It does not learn the number of rows: there each success calls
two more threads, until a check finds nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping

from service.ops.logs import TroubleLog

Unit = Callable[[], bool]
log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
#: Seconds; longer than an attempt at a delivery may take.
GRACE_SECONDS = 20.0
#: The seconds before a unit is retried after an error.
PAUSE_SECONDS = 1.0


class _Calls:
    """The pending checks of the threads of one kind."""

    def __init__(self, threads: int) -> None:
        self._changed = threading.Condition()
        self._threads = self._free = threads
        self._waiting = 0
        #: The number of all calls so far; it distinguishes calls during a check from earlier ones.
        self._given = 0
        #: There are more rows than calls.
        self._many = False
        #: A check found nothing while another thread worked, which may hold the row.
        self._blocked = False
        self._closed = False

    def add(self) -> bool:
        """Add a call for one row; returns whether a thread is free to check it now."""
        with self._changed:
            is_free = self._free > self._waiting
            self._add(1)
        return is_free

    def add_many(self) -> None:
        """Add a call for an unknown number of rows, unless one waits already."""
        with self._changed:
            if not self._waiting:
                self._many = True
                self._add(1)

    def _add(self, count: int) -> None:
        self._waiting += count
        self._given += count
        self._changed.notify(count)

    def take(self) -> int | None:
        """Wait for a call; returns the number of calls before this check, None after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._waiting -= 1
            self._free -= 1
            return self._given

    def settle(self, found: bool | None, given: int) -> None:
        """
        End a check.

        Args:
            found: whether there was a row; None if that is unknown.
            given: the result of `take`.
        """
        with self._changed:
            self._free += 1
            if found is False:
                # It answers all earlier calls.
                self._waiting = min(self._waiting, self._given - given)
                self._many &= self._given > given
                self._blocked = self._free < self._threads
            elif found and (self._many or self._blocked):
                self._blocked = False
                self._add(max(0, min(1 + self._many, self._threads - self._waiting)))

    def close(self) -> None:
        """End every thread after its check."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class ThreadEngine:
    """
    Runs units of work until it is stopped.

    Args:
        units: by kind of work; True means that one was done and there may be more.
        due: returns the kinds with a due row.
        threads: the number of threads of each kind.
        never_cut: kinds whose running units finish before `run` returns, however long that takes.
        tick: the seconds between two checks for due kinds.
        grace_seconds: the seconds that running units of other kinds get after the stop.
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
        self._troubles = TroubleLog(log)
        self._calls = {kind: _Calls(threads[kind]) for kind in units}
        self._threads = {
            threading.Thread(
                target=self._run_worker, args=(kind,), name=f"{kind}-{number}", daemon=True
            ): kind
            for kind in units
            for number in range(threads[kind])
        }

    def run(self) -> bool:
        """Work until `stop` is called; returns False if a unit is still running."""
        for thread in self._threads:
            thread.start()
        while not self._stopping:
            self._watch()
            self._never.wait(self._tick)
        without = ", ".join(self._never_cut) or "none"
        log.info("stopping: %g s for units that run, no limit for %s", self._grace_seconds, without)
        for calls in self._calls.values():
            calls.close()
        return self._join()

    def _join(self) -> bool:
        until = time.monotonic() + self._grace_seconds
        for thread, kind in self._threads.items():
            left = None if kind in self._never_cut else max(0.0, until - time.monotonic())
            thread.join(left)
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Stop after the running units; safe in a signal handler, since it takes no lock."""
        self._stopping = True

    def _watch(self) -> None:
        try:
            for kind in self._due() & self._calls.keys():
                self._calls[kind].add_many()
        except Exception as error:
            self._troubles.tell("cannot ask the database what is due", error)
            self._never.wait(PAUSE_SECONDS)

    def call(self, kind: str) -> bool:
        """Call a thread for one due row of this kind; returns whether a thread is free now."""
        return kind in self._calls and self._calls[kind].add()

    def _run_worker(self, kind: str) -> None:
        calls = self._calls[kind]
        while (given := calls.take()) is not None and not self._stopping:
            calls.settle(self._one(kind), given)

    def _one(self, kind: str) -> bool | None:
        """Run one unit; returns whether there was a row, None after an error."""
        try:
            return self._units[kind]()
        except Exception as error:
            self._troubles.tell(f"{kind} failed; the row comes up again when its lease ends", error)
            self._never.wait(PAUSE_SECONDS)
            return None
