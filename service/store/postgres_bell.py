"""The bell on PostgreSQL: NOTIFY, and a session that listens; see `store.bell`."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.store.bell import LISTEN_SECONDS, Listener, tell, written

#: The prefix of a listener's own channel; the number of its session follows.
CHANNEL = "clipbell_due_"
#: The `application_name` of listening sessions, by which they are found.
LISTENER = "clipbell bell"
_LISTENERS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
)
#: The seconds after which a new or lost listener is noticed.
KNOWN_SECONDS = 1.0
#: A transaction pooler accepts LISTEN, but gives the session to another client: no report arrives.
PROOF_SECONDS = 3.0


class PostgresBell:
    """
    A bell for all processes of one database, whose sessions have the same role.

    A separate thread rings, outside of every transaction: NOTIFY inside one would make its
    commit wait for the commits of all others that ring.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rung: queue.Queue[Mapping[str, int] | None] = queue.Queue(100)
        self._lock = threading.Lock()
        self._ringer: threading.Thread | None = None
        self._listener: threading.Thread | None = None
        self._stopping = threading.Event()
        #: Our own listening session: this process has called its listener already.
        self._own_pid: int | None = None

    def ring(self, due: Mapping[str, int]) -> None:
        """See `Bell`."""
        with self._lock:
            if self._ringer is None:
                self._ringer = threading.Thread(target=self._ring, name="bell rope", daemon=True)
                self._ringer.start()
        with suppress(queue.Full):
            self._rung.put_nowait(due)

    def _ring(self) -> None:
        known, until = list[int](), 0.0
        while (due := self._rung.get()) is not None:
            with suppress(SQLAlchemyError, psycopg.Error), _autocommitting(self._engine) as driver:
                if time.monotonic() > until:
                    known = [pid for (pid,) in driver.execute(_LISTENERS, [LISTENER])]
                    known = [pid for pid in known if pid != self._own_pid]
                    until = time.monotonic() + KNOWN_SECONDS
                if known:
                    _notify(driver, random.choice(known), written(due))  # noqa: S311

    def listen(self, listener: Listener) -> None:
        """See `Bell`."""
        self._listener = threading.Thread(
            target=self._listen, args=(listener,), name="bell", daemon=True
        )
        self._listener.start()

    def _listen(self, listener: Listener) -> None:
        while not self._stopping.is_set():
            with suppress(SQLAlchemyError, psycopg.Error):
                if not self._hear(listener):
                    return
            self._stopping.wait(LISTEN_SECONDS)

    def _hear(self, listener: Listener) -> bool:
        """Listen on one connection while it lasts; False if listening is not possible here."""
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        connection.patience = None
        try:
            (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
            connection.execute(f"LISTEN {CHANNEL}{pid}")
            with _autocommitting(self._engine) as driver:
                _notify(driver, pid, b"")
            if not list(connection.notifies(timeout=PROOF_SECONDS, stop_after=1)):
                connection.execute("UNLISTEN *")
                return False
            self._own_pid = pid
            connection.execute(f"SET application_name = '{LISTENER}'")
            while not self._stopping.is_set():
                for heard in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                    tell(listener, heard.payload.encode())
            return False
        finally:
            connection.close()

    def close(self) -> None:
        """See `Bell`."""
        self._stopping.set()
        self._rung.put(None)
        for thread in (self._ringer, self._listener):
            if thread is not None:
                thread.join(2 * LISTEN_SECONDS + PROOF_SECONDS)


@contextmanager
def _autocommitting(engine: Engine) -> Iterator[Any]:
    """A connection of the driver in autocommit mode."""
    pooled = engine.raw_connection()
    try:
        yield pooled.driver_connection
    finally:
        pooled.close()


def _notify(driver: Any, listener: int, message: bytes) -> None:
    driver.execute("SELECT pg_notify(%s, %s)", (f"{CHANNEL}{listener}", message.decode()))
