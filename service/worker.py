"""The worker process: the engine with our units in it, a heartbeat, clean ends."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from datetime import timedelta

from service import store
from service.bootstrap import Wiring
from service.engines.threads import ThreadEngine
from service.model import new_id

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
#: How the threads are shared out over the kinds of work; each gets one at least.
SHARES = {"submit": 2, "generate": 2, "process": 2, "reconcile": 1, "archive": 1, "deliver": 2}
IDEMPOTENCY_KEPT = timedelta(hours=24)


def run_worker(wiring: Wiring, threads: int) -> None:
    """Work until SIGTERM or SIGINT; returns when the units under way have ended."""
    wiring.storage.check()
    with wiring.db.write() as tx:
        for name in wiring.providers:
            store.providers.ensure(tx, name, wiring.clock())
    whole = sum(SHARES.values())
    seats = {kind: max(1, threads * share // whole) for kind, share in SHARES.items()}
    engine = ThreadEngine(wiring.units(), wiring.due, seats)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: engine.stop())
    beating = _Heart(wiring)
    beating.start()
    log.info("worker started", extra={"seats": seats})
    engine.run()
    beating.stop()
    log.info("worker stopped")


class _Heart(threading.Thread):
    """Says every few seconds that this worker lives, and sweeps out what is past keeping."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(name="heart", daemon=True)
        self._wiring = wiring
        self._stopping = threading.Event()
        self._id = f"{socket.gethostname()[:20]}-{os.getpid()}-{new_id('w', wiring.clock())[-4:]}"

    def run(self) -> None:
        """Beat until stopped."""
        while not self._stopping.is_set():
            try:
                self._beat()
            except Exception:
                log.exception("cannot write the heartbeat")
            self._stopping.wait(BEAT_SECONDS)

    def stop(self) -> None:
        """The last beat has been."""
        self._stopping.set()
        self.join()

    def _beat(self) -> None:
        now = self._wiring.clock()
        with self._wiring.db.write() as tx:
            store.work.beat(tx, self._id[:40], now)
            store.work.forget_workers(tx, now - timedelta(hours=1))
            store.idempotency.prune(tx, now - IDEMPOTENCY_KEPT)
