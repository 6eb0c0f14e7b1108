"""The bell on PostgreSQL: NOTIFY, and a session that listens; see `store.bell`."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.store.bell import LISTEN_SECONDS, Listener, tell, written

CHANNEL = "clipbell_due"
#: A transaction pooler takes LISTEN, and gives the session to somebody else: then nobody hears.
PROOF_SECONDS = 3.0


class PostgresBell:
    """
    For all processes of one database.

    A thread of its own rings, outside of every transaction: NOTIFY in one would make its
    commit wait for the commits of all others that ring.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rung: queue.Queue[Mapping[str, int] | None] = queue.Queue(100)
        self._lock = threading.Lock()
        self._ringer: threading.Thread | None = None
        self._listener: threading.Thread | None = None
        self._stopping = threading.Event()

    def ring(self, due: Mapping[str, int]) -> None:
        """See `Bell`."""
        with self._lock:
            if self._ringer is None:
                self._ringer = threading.Thread(target=self._ring, name="bell rope", daemon=True)
                self._ringer.start()
        with suppress(queue.Full):
            self._rung.put_nowait(due)

    def _ring(self) -> None:
        while (due := self._rung.get()) is not None:
            with suppress(SQLAlchemyError, psycopg.Error):
                _notify(self._engine, written(due).decode())

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
        """Over one connection, as long as it lasts; False where nothing can be heard at all."""
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        connection.patience = None
        try:
            connection.execute(f"LISTEN {CHANNEL}")
            _notify(self._engine, "")
            if not list(connection.notifies(timeout=PROOF_SECONDS, stop_after=1)):
                connection.execute(f"UNLISTEN {CHANNEL}")
                return False
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


def _notify(engine: Engine, message: str) -> None:
    """One NOTIFY, in a transaction of its own."""
    pooled = engine.raw_connection()
    try:
        driver: Any = pooled.driver_connection
        driver.execute("SELECT pg_notify(%s, %s)", (CHANNEL, message))
    finally:
        pooled.close()
