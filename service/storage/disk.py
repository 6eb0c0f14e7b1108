"""How much room is left where we write."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from service.storage import Storage
from service.store.database import Database

#: Below this nothing new is sent out; below that, nothing can be written any more.
NEARLY_FULL = 256 * 1024**2
FULL = 4 * 1024**2


@dataclass(frozen=True)
class Disks:
    """The disks of these folders, each of which should have `least` bytes of room."""

    folders: tuple[Path, ...]
    least: int = NEARLY_FULL

    def tightest(self) -> tuple[int, Path]:
        """The fewest free bytes of these disks, and their folder. Raises OSError if one fails."""
        return min((shutil.disk_usage(folder).free, folder) for folder in self.folders)

    def nearly_full(self) -> bool:
        """Whether one has too little room; no where that is not known."""
        try:
            return self.tightest()[0] < self.least
        except OSError:
            return False


def disks_of(db: Database, storage: Storage) -> Disks:
    """The disks that this service writes to."""
    return Disks((storage.folder, db.path.parent) if db.path else (storage.folder,))
