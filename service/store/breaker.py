"""
A circuit breaker: one thread probes a stuck database, and all others are refused at once.

Without it each thread of a process would wait for a frozen database in turn,
and those behind them in the queue would wait for all of these waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from service.errors import DatabaseUnavailable
from service.store.outages import is_conflict, is_unavailable, reason_of

log = logging.getLogger(__name__)

#: A failure that is faster than this keeps no thread waiting, so it opens no breaker.
SLOW_SECONDS = 1.0
PROBE_SECONDS = 0.5


class Breaker:
    """
    A circuit breaker for transactions of one kind.

    Args:
        probe: raises while the database is unavailable; it runs in a thread of its own.
    """

    def __init__(self, probe: Callable[[], None]) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reason = ""
        self._succeeded_at = 0.0

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """
        A transaction.

        Raises:
            DatabaseUnavailable: the driver says so, or the breaker is open.
        """
        if self._reason:
            raise DatabaseUnavailable(self._reason)
        began = time.monotonic()
        try:
            yield
        except DatabaseUnavailable as error:
            self._failed(error.reason, began)
            raise
        except SQLAlchemyError as error:
            if not is_unavailable(error):
                raise
            # A deadlock lasts a second until the server ends it, and affects no other transaction.
            if not is_conflict(error):
                self._failed(reason_of(error), began)
            raise DatabaseUnavailable(reason_of(error)) from error
        self._succeeded_at = time.monotonic()

    def close(self) -> None:
        """Stop the probe."""
        self._closing.set()

    def _failed(self, reason: str, began: float) -> None:
        """Open the breaker if the failure was slow and no transaction succeeded in that time."""
        with self._lock:
            slow = time.monotonic() - began >= SLOW_SECONDS
            if self._reason or not slow or self._succeeded_at > began:
                return
            self._reason = reason
        log.error("the database is unavailable: %s; nobody waits for it until it answers", reason)
        threading.Thread(target=self._probe_until_it_answers, name="probe", daemon=True).start()

    def _probe_until_it_answers(self) -> None:
        while not self._closing.is_set():
            try:
                self._probe()
            except Exception:
                # Whatever the error was, the thread must continue, or all are refused forever.
                self._closing.wait(PROBE_SECONDS)
            else:
                break
        self._reason = ""
        log.warning("the database answers again")
