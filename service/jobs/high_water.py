"""
Rows that went back in time: an older copy of the database has taken its place.

A restored backup or a standby that lacks the newest rows shows jobs as `queued`
that were sent, and paid, since. So each data folder remembers on its own disk
how many creates it has sent, and where PostgreSQL's log stood. Rows that know
less than the disk hold all sending, until a person looks.
"""

from __future__ import annotations

import fcntl
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import Connection

from service import store
from service.storage.base import write_whole
from service.store.high_water import Position

log = logging.getLogger(__name__)

#: How the reason of such a hold begins.
WENT_BACK = "ROWS_WENT_BACK"
_ADVICE = (
    "stop the workers and run `clipbell recover-from-backup`; "
    "or, if no row is missing, `clipbell resume` each provider"
)


@dataclass(frozen=True)
class Memory:
    """
    What the file holds: the folder's name, its creates, and where PostgreSQL's log stood.

    `is_damaged` is set where the file could not be read: then nobody knows what was sent.
    """

    data_folder: str
    sent: int = 0
    timeline: str = ""
    lsn: int = 0
    is_damaged: bool = False


@cache
def _adapter() -> TypeAdapter[Memory]:
    # See `journal`: few verbs need it.
    return TypeAdapter(Memory)


class HighWater:
    """
    What a data folder knows of its sending; shared by the threads and processes that use it.

    Args:
        path: the file that remembers it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    @property
    def data_folder(self) -> str:
        """The folder's name in the database: made once, and kept in the file."""
        return self.known().data_folder

    def known(self) -> Memory:
        """What the folder knows now."""
        with self._alone():
            return self._read()

    def save(self, position: Position) -> None:
        """Remember the position durably: before its create goes out. Raises StorageError."""
        with self._alone():
            known = self._read()
            if position.sent >= known.sent and not known.is_damaged:
                self._write(Memory(known.data_folder, **asdict(position)))

    def accept(self, tx: Connection) -> None:
        """Take the rows as they are for the truth from now on."""
        with self._alone():
            known = self._read()
            store.high_water.raise_to(tx, known.data_folder, known.sent)
            position = store.high_water.read(tx, known.data_folder)
            self._write(Memory(known.data_folder, **asdict(position)))

    def missing(self, position: Position, sent_before: int, known: Memory | None = None) -> str:
        """
        In words, how the rows are older than this folder knows; blank when they are not.

        Args:
            sent_before: the creates that the rows know, without one that is being counted.
            known: what the folder knew before the rows were read, if others may send too.
        """
        known = known or self.known()
        if known.is_damaged:
            return f"{self._path}, which counts the jobs that were sent from here, was damaged"
        if sent_before < known.sent:
            return (
                f"the database has {sent_before} of the {known.sent} jobs that were sent from here"
            )
        if known.timeline and position.timeline and position.timeline != known.timeline:
            places = f"timeline {int(known.timeline, 16)} became {int(position.timeline, 16)}"
            return f"another PostgreSQL server took over ({places}) and may lack the newest rows"
        if position.timeline and position.lsn < known.lsn:
            return "PostgreSQL's log stands at an earlier place than before"
        return ""

    def _read(self) -> Memory:
        try:
            return _adapter().validate_json(self._path.read_bytes())
        except FileNotFoundError:
            made = Memory(f"dir_{secrets.token_hex(16)}")
        except ValueError:
            made = Memory(f"dir_{secrets.token_hex(16)}", is_damaged=True)
        self._write(made)
        return made

    def _write(self, memory: Memory) -> None:
        write_whole(self._path, _adapter().dump_json(memory))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread, and no other process of this folder, reads or writes the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._path.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def hold_if_older(
    tx: Connection,
    high_water: HighWater,
    position: Position,
    sent: int,
    known: Memory | None = None,
) -> bool:
    """Hold every provider when the rows are older than the folder knows; says whether they are."""
    reason = high_water.missing(position, sent, known)
    if not reason:
        return False
    log.error("the database went back in time, nothing is sent: %s; %s", reason, _ADVICE)
    for row in store.providers.all_rows(tx):
        store.providers.hold(tx, row.name, f"{WENT_BACK}: {reason}: {_ADVICE}")
    high_water.accept(tx)
    return True


def watch_rows(tx: Connection, high_water: HighWater) -> None:
    """Look now and then, so that it is seen before anything is sent."""
    # The file before the rows: they hold what it knows by then, however many are sent until then.
    known = high_water.known()
    position = store.high_water.read(tx, known.data_folder)
    hold_if_older(tx, high_water, position, position.sent, known)
