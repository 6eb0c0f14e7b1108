"""What is not as it should be, in words that say how to mend it."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from service import store
from service.catalogue.models import MODELS
from service.errors import ClipbellError
from service.formatting import format_share, format_size
from service.storage import Storage
from service.storage.disk import FULL, disks_of
from service.store.database import Database
from service.store.quarantine import UNREADABLE

WORKER_SILENCE = timedelta(seconds=30)
#: Clocks may differ by so much without a word; leases go by the database's in any case.
CLOCK_TOLERANCE = timedelta(seconds=2)
#: Waits of a moment are the usual pace of sending, and no trouble.
SHORT_PAUSE = timedelta(seconds=10)
#: So many ended jobs tell whether callbacks arrive; of fewer than `FEW` nothing is concluded.
RECENT = 100
FEW = 5


@dataclass(frozen=True)
class Check:
    """
    One thing that was examined; `doctor` looks at further ones.

    `message` says what was found and, where that is not `ok`, how to fix it. While a
    `vital` one is not ok, no job is taken or worked on.
    """

    name: str
    ok: bool
    message: str
    vital: bool = False


@dataclass(frozen=True)
class Health:
    """
    All that was looked at.

    `polled_share` is the part of the recent ends that a callback should have
    told and a poll had to find; None with too few to tell.
    """

    checks: list[Check]
    polled_share: float | None = None

    @property
    def status(self) -> Literal["ready", "degraded", "not ready"]:
        """``ready``, ``degraded`` or ``not ready``: no job can be taken or worked on."""
        wrong = [check for check in self.checks if not check.ok]
        if any(check.vital for check in wrong):
            return "not ready"
        return "degraded" if wrong else "ready"


def _judged(name: str, trouble: str, fine: str, *, vital: bool = False) -> Check:
    """A check that is ok unless there is `trouble`."""
    return Check(name, not trouble, trouble or fine, vital)


def examine(db: Database, storage: Storage, providers: Collection[str], now: datetime) -> Health:
    """All that `/readyz` tells of; a storage on another machine is asked, and may take its time."""
    return _examine(db, providers, now, [_storage(storage), _disk(db, storage)])


def glance(db: Database, storage: Storage, providers: Collection[str], now: datetime) -> Health:
    """The same without a question to another machine: a storage there is left out."""
    near = [] if storage.remote else [_storage(storage)]
    with suppress(OSError):
        # Else made by the storage's own check, which is not always asked here.
        storage.folder.mkdir(parents=True, exist_ok=True)
    return _examine(db, providers, now, [*near, _disk(db, storage)])


def _examine(
    db: Database, providers: Collection[str], now: datetime, outside: list[Check]
) -> Health:
    try:
        db.check()
        db.check_writable()
        with db.read() as tx:
            share = polled_share(tx)
            rows = [
                _judged("worker", worker_trouble(tx, now), "is alive", vital=True),
                _judged(
                    "providers",
                    provider_trouble(tx, providers, now),
                    "none is held, all can be asked",
                ),
                _channels(tx, now),
                _judged("clock", clock_trouble(tx, now), "all machines agree on the time"),
                _rows(tx),
                _callbacks(share),
            ]
    except ClipbellError as error:
        return Health([Check("database", False, str(error), vital=True), *outside])
    except UNREADABLE as error:
        said = f"a row that everything leans on cannot be read: {error}"
        return Health([Check("database", False, said, vital=True), *outside])
    database = Check("database", True, "answers, and its schema is the one needed", vital=True)
    return Health([database, *outside, *rows], share)


def _storage(storage: Storage) -> Check:
    try:
        storage.check()
    except ClipbellError as error:
        # Without a bucket jobs go out all the same, and links lead to the provider meanwhile.
        return Check("storage", False, str(error), vital=not storage.remote)
    return Check("storage", True, "files can be written", vital=not storage.remote)


def _disk(db: Database, storage: Storage) -> Check:
    """The fullest of the disks that we write to."""
    disks = disks_of(db, storage)
    try:
        free, folder = disks.tightest()
        whole = shutil.disk_usage(folder).total
    except OSError as error:
        return Check("disk", False, f"cannot be looked at: {error}")
    if free >= disks.least:
        room = f"{format_size(free)} of {format_size(whole)} free at {folder}"
        return Check("disk", True, room)
    left = f"{folder} has only {format_size(free)} left: make room"
    return Check("disk", False, f"{left}; until then no job goes out", free < FULL)


def worker_trouble(tx: Connection, now: datetime) -> str:
    """What to do where no worker is alive; blank while one is."""
    seen = store.work.last_beat(tx, now + WORKER_SILENCE)
    gone = seen is None or now - seen > WORKER_SILENCE
    return "no worker is alive: start `clipbell worker`" if gone else ""


def clock_trouble(tx: Connection, now: datetime) -> str:
    """Which workers' machines have clocks that differ from the database's; blank for none."""
    wrong = store.work.wrong_clocks(tx, now - WORKER_SILENCE, CLOCK_TOLERANCE)
    found = [
        f"the clock of {worker} is {abs(offset):.0f} s {'behind' if offset > 0 else 'ahead'}"
        for worker, offset in wrong
    ]
    return "; ".join([*found, "set it by NTP"]) if found else ""


def provider_trouble(tx: Connection, names: Collection[str], now: datetime) -> str:
    """Which of these providers are held, wait or cannot be asked, and why; blank for none."""
    found = []
    for row in store.providers.all_rows(tx):
        if row.name not in names:
            continue
        resume = f"`clipbell resume {row.name}`"
        if row.held_reason:
            found.append(f"{row.name} is held ({row.held_reason}): {resume} goes on")
            continue
        if row.last_error:
            since = f"{row.last_error_since:%Y-%m-%d %H:%M} UTC"
            found.append(f"{row.name} cannot be asked since {since} ({row.last_error})")
        if row.paused_until is not None and row.paused_until - now > SHORT_PAUSE:
            until = f"{row.paused_until:%Y-%m-%d %H:%M:%S} UTC"
            found.append(f"{row.name} gets no new job until {until}: {resume} ends the wait")
    return "; ".join(found)


def _channels(tx: Connection, now: datetime) -> Check:
    paused = [
        f"{row.name} waits until {row.paused_until:%H:%M} UTC ({row.reason})"
        for row in store.channels.paused(tx, now)
    ]
    return _judged("channels", "; ".join(paused), "none has to wait")


def _rows(tx: Connection) -> Check:
    aside = store.quarantine.rows(tx)
    if not aside:
        return Check("rows", True, "none is quarantined")
    first = f"{aside[0].work} {aside[0].row_id}: {aside[0].reason}"
    count = f"{len(aside)} quarantined, tried again every ten minutes"
    return Check("rows", False, f"{count}; the first is {first}")


def polled_share(tx: Connection) -> float | None:
    """Of the recent ends that a callback should have told, the part that polls had to find."""
    models = [model.slug for model in MODELS.values() if model.calls_back]
    ways = store.jobs.recent_ends(tx, models, RECENT)
    told = [way for way in ways if way in ("callback", "poll")]
    return told.count("poll") / len(told) if len(told) >= FEW else None


def _callbacks(share: float | None) -> Check:
    if share is None:
        return Check("callbacks", True, "too few ends of late to tell whether they arrive")
    if share < 1:
        told = format_share(1 - share, 1)
        return Check("callbacks", True, f"{told} of the ends of late were told by one")
    advice = "is CLIPBELL_PUBLIC_URL right? `clipbell doctor` looks"
    return Check("callbacks", False, f"none arrives, every end had to be polled for: {advice}")
