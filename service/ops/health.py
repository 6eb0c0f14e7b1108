"""Health checks: each names a problem and its fix."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from service import store
from service.catalogue.models import VENDORS
from service.errors import ClipbellError
from service.formatting import format_share, format_size
from service.ops.broker import broker_trouble
from service.settings import Settings
from service.storage import Storage
from service.storage.disk import FULL, disks_of
from service.store.database import Database
from service.store.quarantine import UNREADABLE

WORKER_SILENCE = timedelta(seconds=30)
#: A smaller difference of clocks is no problem, as leases use the database's clock.
CLOCK_TOLERANCE = timedelta(seconds=2)
#: Shorter pauses are usual, and no problem.
SHORT_PAUSE = timedelta(seconds=10)
#: The number of newest finished jobs that show whether callbacks arrive; `FEW` is the least.
RECENT = 100
FEW = 5


@dataclass(frozen=True)
class Check:
    """
    The result of one check of health or doctor.

    `message` is the finding and, if it is not `ok`, the fix. While a
    `vital` check is not ok, no job is accepted or processed.
    """

    name: str
    ok: bool
    message: str
    vital: bool = False


@dataclass(frozen=True)
class Health:
    """
    The results of all checks.

    `polled_share` is the share, 0 to 1, of recent results that a poll found
    instead of a callback; None if there are too few.
    """

    checks: list[Check]
    polled_share: float | None = None

    @property
    def status(self) -> Literal["ready", "degraded", "not ready"]:
        """``ready``, ``degraded``, or ``not ready``: no job can be accepted or processed."""
        wrong = [check for check in self.checks if not check.ok]
        if any(check.vital for check in wrong):
            return "not ready"
        return "degraded" if wrong else "ready"


def _judged(name: str, trouble: str, fine: str, *, vital: bool = False) -> Check:
    """A check that is ok unless there is `trouble`, the problem with its fix."""
    return Check(name, not trouble, trouble or fine, vital)


def examine(
    db: Database,
    storage: Storage,
    providers: Collection[str],
    now: datetime,
    settings: Settings | None = None,
) -> Health:
    """
    All checks of `/readyz`, with calls to a remote storage or broker, which may take long.

    Args:
        settings: they name the broker, and say whether jobs are polled.
    """
    pull = settings is not None and settings.pull
    outside = [_storage(storage), _disk(db, storage)]
    if settings and settings.engine == "celery":
        # Not vital: without it, jobs and callbacks are still accepted, and wait.
        outside.append(_judged("broker", broker_trouble(settings), "answers"))
    return _examine(db, providers, now, outside, pull)


def glance(
    db: Database,
    storage: Storage,
    providers: Collection[str],
    now: datetime,
    *,
    pull: bool = False,
) -> Health:
    """The checks of `/readyz` without calls to other machines, so without a remote storage."""
    near = [] if storage.remote else [_storage(storage)]
    with suppress(OSError):
        # Otherwise the storage's own check creates it, which does not always run here.
        storage.folder.mkdir(parents=True, exist_ok=True)
    return _examine(db, providers, now, [*near, _disk(db, storage)], pull)


def _examine(
    db: Database, providers: Collection[str], now: datetime, outside: list[Check], pull: bool
) -> Health:
    try:
        db.check()
        db.check_writable()
        with db.read() as tx:
            share = polled_share(tx)
            paused = [
                f"{row.name} waits until {row.paused_until:%H:%M} UTC ({row.reason})"
                for row in store.channels.paused(tx, now)
            ]
            aside = [f"{row.work} {row.row_id}: {row.reason}" for row in store.quarantine.rows(tx)]
            count = f"{len(aside)} quarantined, tried again every ten minutes"
            quarantined = f"{count}; the first is {aside[0]}" if aside else ""
            rows = [
                _judged("worker", worker_trouble(tx, now), "is alive", vital=True),
                _judged(
                    "providers",
                    provider_trouble(tx, providers, now),
                    "none is held, all are reachable",
                ),
                _judged("channels", "; ".join(paused), "none has to wait"),
                _judged("clock", clock_trouble(tx, now), "all machines agree on the time"),
                _judged("rows", quarantined, "none is quarantined"),
                _callbacks(share, pull),
            ]
    except ClipbellError as error:
        return Health([Check("database", False, str(error), vital=True), *outside])
    except UNREADABLE as error:
        reason = f"a row that everything depends on cannot be read: {error}"
        return Health([Check("database", False, reason, vital=True), *outside])
    database = Check("database", True, "answers, with the current schema", vital=True)
    return Health([database, *outside, *rows], share)


def _storage(storage: Storage) -> Check:
    try:
        storage.check()
    except ClipbellError as error:
        # Without the bucket, jobs are still sent, and links lead to the provider.
        return Check("storage", False, str(error), vital=not storage.remote)
    return Check("storage", True, "files can be written", vital=not storage.remote)


def _disk(db: Database, storage: Storage) -> Check:
    """Check the fullest of the disks that we write to."""
    disks = disks_of(db, storage)
    try:
        free, folder = disks.tightest()
        whole = shutil.disk_usage(folder).total
    except OSError as error:
        return Check("disk", False, f"cannot be checked: {error}")
    if free >= disks.least:
        room = f"{format_size(free)} of {format_size(whole)} free at {folder}"
        return Check("disk", True, room)
    left = f"{folder} has only {format_size(free)} left: make room"
    return Check("disk", False, f"{left}; until then no job is sent", free < FULL)


def worker_trouble(tx: Connection, now: datetime) -> str:
    """The problem and fix if no worker runs; blank if one does."""
    seen = store.work.last_beat(tx, now + WORKER_SILENCE)
    gone = seen is None or now - seen > WORKER_SILENCE
    return "no worker is alive: start `clipbell worker`" if gone else ""


def clock_trouble(tx: Connection, now: datetime) -> str:
    """The workers whose clocks differ from the database's, with the difference; blank for none."""
    wrong = store.work.wrong_clocks(tx, now - WORKER_SILENCE, CLOCK_TOLERANCE)
    faults = [
        f"the clock of {worker} is {abs(offset):.0f} s {'behind' if offset > 0 else 'ahead'}"
        for worker, offset in wrong
    ]
    return "; ".join([*faults, "set it by NTP"]) if faults else ""


def provider_trouble(tx: Connection, names: Collection[str], now: datetime) -> str:
    """The held, paused and unreachable ones of these providers, with reasons; blank for none."""
    faults = []
    for row in store.providers.all_rows(tx):
        if row.name not in names:
            continue
        resume = f"`clipbell resume {row.name}`"
        if row.held_reason:
            faults.append(f"{row.name} is held ({row.held_reason}): {resume} sends jobs again")
            continue
        if row.last_error:
            since = f"{row.last_error_since:%Y-%m-%d %H:%M} UTC"
            faults.append(f"{row.name} is unreachable since {since} ({row.last_error})")
        if row.paused_until is not None and row.paused_until - now > SHORT_PAUSE:
            until = f"{row.paused_until:%Y-%m-%d %H:%M:%S} UTC"
            faults.append(f"{row.name} gets no new job until {until}: {resume} ends the wait")
    return "; ".join(faults)


def polled_share(tx: Connection) -> float | None:
    """The share, 0 to 1, of recent results that came by polling; None if there are too few."""
    calling = [v.name for v in VENDORS.values() if any(m.calls_back for m in v.models)]
    ways = store.jobs.recent_ends(tx, calling, RECENT)
    counted = [way for way in ways if way in ("callback", "poll")]
    return counted.count("poll") / len(counted) if len(counted) >= FEW else None


def _callbacks(share: float | None, pull: bool) -> Check:
    if pull:
        return Check("callbacks", True, "none is expected (CLIPBELL_PULL): jobs are polled")
    if share is None:
        return Check("callbacks", True, "not enough recent jobs to judge")
    if share < 1:
        part = format_share(1 - share, 1)
        return Check("callbacks", True, f"{part} of recent jobs were finished by one")
    advice = "`clipbell doctor` checks CLIPBELL_PUBLIC_URL"
    return Check("callbacks", False, f"none arrives, polling found every result: {advice}")
