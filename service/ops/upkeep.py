"""The upkeep of each worker: at the start, every few seconds, and every minute."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from service import store
from service.bootstrap import Wiring
from service.jobs.answers import commit_left_answers
from service.jobs.high_water import watch_rows
from service.model import new_id
from service.ops.key_rotation import reencrypt_all
from service.ops.logs import TroubleLog
from service.ops.reports import keep_reports
from service.signing import key_ids
from service.storage import StorageError
from service.videos.retention import delete_expired, delete_orphans, purge_rows

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
WEB_BEAT_SECONDS = 15.0
MAINTENANCE_SECONDS = 60.0
STOP_SECONDS = 10.0
SWEEP = timedelta(hours=1)
IDEMPOTENCY_KEPT = timedelta(hours=24)
#: A quarantined row is retried after this time.
QUARANTINE = timedelta(minutes=10)
#: The greatest gap between heartbeats of one host, unless its clock goes back.
CLOCK_SLACK = timedelta(seconds=30)


def prepare_process(wiring: Wiring, tx: Connection) -> None:
    """Prepare a process before its first unit of work: the clock, and a row per provider."""
    wiring.clock.follow(tx)
    for name in wiring.providers:
        store.providers.ensure(tx, name, wiring.clock())


def prepare_host(wiring: Wiring) -> None:
    """Prepare a worker before its start, once for all its processes. Raises StorageError."""
    try:
        wiring.storage.check()
    except StorageError as error:
        # A folder without write access stops the start; a bucket may be back before it is needed.
        if not wiring.storage.remote:
            raise
        log.warning("videos wait: %s", error)
    wiring.db.write_with_retry(partial(prepare_process, wiring))
    # After a rotation, workers restart last, so all running processes have the new key by now.
    renewed, lost = wiring.db.write_with_retry(lambda tx: reencrypt_all(tx, wiring.encryptor))
    if renewed:
        log.info("%d stored secrets are sealed by the newest key", renewed)
    if lost:
        log.error("%d stored secrets cannot be decrypted by any key: replace them", lost)
    wiring.db.write_with_retry(lambda tx: watch_rows(tx, wiring.high_water))


class Periodic(threading.Thread):
    """Calls a function every few seconds, or when woken, also after errors, until stopped."""

    def __init__(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self._woken = threading.Event()
        self._seconds = seconds
        self._act = act
        self._troubles = TroubleLog(log)

    def run(self) -> None:
        """Run until stopped."""
        while not self.stopping.is_set():
            try:
                self._act()
            except Exception as error:
                self._troubles.tell(f"{self.name} failed, and is tried again", error)
            self._woken.wait(self._seconds)
            self._woken.clear()

    def wake(self) -> None:
        """Call the function now, or again after the current call."""
        self._woken.set()

    def stop(self) -> None:
        """Stop; waits a moment for the current call, which would be repeated later."""
        self.stopping.set()
        self.wake()
        self.join(STOP_SECONDS)


class Maintenance(Periodic):
    """Deletes data beyond retention; hourly deletes orphaned files and stores reports of days."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__("maintenance", MAINTENANCE_SECONDS, self.run_once)
        self._wiring = wiring
        self._swept_at: datetime | None = None

    def run_once(self) -> None:
        """Run once, until nothing is left to do."""
        w, now = self._wiring, self._wiring.clock()
        w.db.truncate_log()
        commit_left_answers(w.db, w.journal, w.settings, w.clock)
        while delete_expired(w.db, w.settings, now) and not self.stopping.is_set():
            pass
        while purge_rows(w.db, w.settings, now) and not self.stopping.is_set():
            pass
        if self._swept_at is None or now - self._swept_at >= SWEEP:
            delete_orphans(w.storage, w.settings, now)
            keep_reports(w.db, now, self.stopping)
            self._swept_at = now


def process_name(kind: str, now: datetime) -> str:
    """A unique name for this process, which begins with its host, or with `kind` and host."""
    host = f"{kind}{socket.gethostname()[:20]}-"
    return f"{host}{os.getpid()}-{new_id('w', now)[-4:]}"[:40]


class WebHeartbeat(Periodic):
    """Stores regularly that this web process runs, and with which secret keys."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__("web heartbeat", WEB_BEAT_SECONDS, self.beat)
        self._wiring = wiring
        self._id = process_name(store.work.WEB, wiring.clock())

    def beat(self) -> None:
        """Store one heartbeat."""
        keys = key_ids(self._wiring.keys.own())
        with self._wiring.db.write() as tx:
            store.work.beat(tx, self._id, self._wiring.clock(), key_ids=keys)


class Heartbeat(Periodic):
    """
    Stores every few seconds that this worker runs, and does the upkeep of rows.

    It deletes data beyond retention, retries quarantined rows, and corrects due dates
    that were set by a clock that has gone back since.
    """

    def __init__(self, wiring: Wiring) -> None:
        super().__init__("heartbeat", BEAT_SECONDS, self.beat)
        self._wiring = wiring
        self._host = f"{socket.gethostname()[:20]}-"
        self._id = process_name("", wiring.clock())

    def beat(self) -> None:
        """Store one heartbeat."""
        clock, keys = self._wiring.clock, key_ids(self._wiring.keys.own())
        with self._wiring.db.write() as tx:
            clock.follow(tx)
            now = clock()
            jump, count = store.clock_skew.follow_back(tx, self._host, now, CLOCK_SLACK)
            if jump:
                log.warning("the clock went back by %s; %s rows are due earlier", jump, count)
            store.work.beat(tx, self._id, now, offset=clock.offset, key_ids=keys)
            watch_rows(tx, self._wiring.high_water)
            store.work.forget_workers(tx, now - timedelta(hours=1))
            store.idempotency.prune(tx, now - IDEMPOTENCY_KEPT)
            store.repeats.prune(tx, now)
            store.quarantine.release(tx, now - QUARANTINE, now)
            for table, states in store.work.WORK.values():
                store.quarantine.put_undated(tx, table.name, states, now)
