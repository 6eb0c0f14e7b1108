"""
Detection of a database that went back in time, because an older copy has replaced it.

A restored backup or a standby that lacks the newest rows shows jobs as `queued`
that were sent, and paid, since. So each data folder remembers on its own disk
the number of creates that it has sent, and the position of PostgreSQL's log. If the
database is behind the disk, all sending is held until a person has looked.
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

#: The beginning of the reason of such a hold.
WENT_BACK = "ROWS_WENT_BACK"
_ADVICE = (
    "stop the workers and run `clipbell recover-from-backup`; "
    "or, if no row is missing, `clipbell resume` each provider"
)


@dataclass(frozen=True)
class Memory:
    """
    The content of the file: the folder's name, its creates, the position of PostgreSQL's log.

    `is_damaged` is set if the file could not be read: then it is unknown what was sent.
    """

    data_folder: str
    sent: int = 0
    timeline: str = ""
    lsn: int = 0
    is_damaged: bool = False


@cache
def _adapter() -> TypeAdapter[Memory]:
    # As in `journal`: few verbs need it.
    return TypeAdapter(Memory)


class HighWater:
    """
    A data folder's record of sent creates, shared by its threads and processes.

    Args:
        path: the file of the record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    @property
    def data_folder(self) -> str:
        """The folder's name in the database: created once, and stored in the file."""
        return self.known().data_folder

    def known(self) -> Memory:
        """The record as it is now."""
        with self._alone():
            return self._read()

    def save(self, position: Position) -> None:
        """Store the position durably, before its create is sent. Raises StorageError."""
        with self._alone():
            known = self._read()
            if position.sent >= known.sent and not known.is_damaged:
                self._write(Memory(known.data_folder, **asdict(position)))

    def accept(self, tx: Connection) -> None:
        """Accept the current state of the database as right from now on."""
        with self._alone():
            known = self._read()
            store.high_water.raise_to(tx, known.data_folder, known.sent)
            position = store.high_water.read(tx, known.data_folder)
            self._write(Memory(known.data_folder, **asdict(position)))

    def missing(self, position: Position, sent_before: int, known: Memory | None = None) -> str:
        """
        A sentence that says why the database is older than the record; blank if it is not.

        Args:
            sent_before: the number of creates in the database, without the one in progress.
            known: the record from before the read of the database, if others may send too.
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
        """While held, no other thread or process of this folder reads or writes the file."""
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
    """Hold all providers if the database is older than the record; returns whether it is."""
    reason = high_water.missing(position, sent, known)
    if not reason:
        return False
    log.error("the database went back in time, nothing is sent: %s; %s", reason, _ADVICE)
    for row in store.providers.all_rows(tx):
        store.providers.hold(tx, row.name, f"{WENT_BACK}: {reason}: {_ADVICE}")
    high_water.accept(tx)
    return True


def watch_rows(tx: Connection, high_water: HighWater) -> None:
    """Check from time to time, so that an older database is noticed before anything is sent."""
    # Reads the file before the rows: they then contain at least what the file says.
    known = high_water.known()
    position = store.high_water.read(tx, known.data_folder)
    hold_if_older(tx, high_water, position, position.sent, known)
