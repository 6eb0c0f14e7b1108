"""
One writer at a time, across threads and processes, with a deadline.

The lock is on a file (`flock`); the system releases it when its holder
dies. `flock` has no time limit, so a separate thread waits while another
process has the lock.
"""

from __future__ import annotations

import fcntl
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import BinaryIO

from service.errors import DatabaseUnavailable


class WriterLock:
    """The lock on a file; created after any fork."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._own = threading.Lock()
        self._asked: queue.SimpleQueue[Future[BinaryIO]] = queue.SimpleQueue()
        self._waiter: threading.Thread | None = None

    @contextmanager
    def held(self, seconds: float) -> Iterator[float]:
        """
        Hold the lock; yields the rest of the `seconds` that the wait may take.

        Raises:
            DatabaseUnavailable: another holder kept it too long, or the file is missing.
        """
        deadline = time.monotonic() + seconds
        if not self._own.acquire(timeout=seconds):
            raise self._too_long(seconds)
        try:
            with self._locked_file(seconds, deadline):
                yield max(0.0, deadline - time.monotonic())
        finally:
            self._own.release()

    def _locked_file(self, seconds: float, deadline: float) -> BinaryIO:
        try:
            file = self._try_at_once()
            return file or self._wait_until(deadline)
        except TimeoutError:
            raise self._too_long(seconds) from None
        except OSError as error:
            raise DatabaseUnavailable(f"cannot lock {self._path}: {error.strerror}") from error

    def _too_long(self, seconds: float) -> DatabaseUnavailable:
        message = f"another process has been writing for {seconds:g} s (it holds {self._path})"
        return DatabaseUnavailable(message)

    def _try_at_once(self) -> BinaryIO | None:
        # The holder of the lock closes it.
        file = open(self._path, "ab")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if isinstance(error, BlockingIOError):
                return None
            raise
        return file

    def _wait_until(self, deadline: float) -> BinaryIO:
        if self._waiter is None:
            self._waiter = threading.Thread(target=self._wait, name="writer lock", daemon=True)
            self._waiter.start()
        future: Future[BinaryIO] = Future()
        self._asked.put(future)
        try:
            return future.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            if future.cancel():
                raise
            # The lock arrived at this very moment.
            return future.result()

    def _wait(self) -> None:
        """Take the lock for the first thread that still waits."""
        while True:
            future = self._asked.get()
            if future.cancelled():
                continue
            try:
                file = open(self._path, "ab")  # noqa: SIM115
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)
                continue
            if future.set_running_or_notify_cancel():
                future.set_result(file)
            else:
                file.close()
