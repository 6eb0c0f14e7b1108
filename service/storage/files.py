"""
Storage in a folder.

A file appears whole or not at all: written aside, fsynced, renamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from service.storage.atomic import atomic_write, move_durably, remove_parts
from service.storage.base import (
    FileMissing,
    StorageError,
    check_folder,
    check_name,
    disk_errors,
)


class FileStorage:
    """Files below one folder, two levels deep so that no folder grows too long."""

    remote = False
    origin = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """See `Storage.writing`."""
        path = self.path(name)
        with disk_errors(path), atomic_write(path) as file:
            yield file

    def take(self, path: Path, name: str) -> None:
        """See `Storage.take`."""
        target = self.path(name)
        with disk_errors(target):
            move_durably(path, target)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """The file itself."""
        self.open(name).close()
        yield self.path(name)

    def open(self, name: str) -> BinaryIO:
        """See `Storage.open`."""
        try:
            return self.path(name).open("rb")
        except FileNotFoundError:
            raise FileMissing(f"{name} is gone from {self.folder}") from None
        except OSError as error:
            raise StorageError(f"cannot read {self.path(name)}: {error.strerror}") from error

    def read(self, name: str) -> bytes:
        """See `Storage.read`."""
        with self.open(name) as file:
            return file.read()

    def path(self, name: str) -> Path:
        """Where the file of that name is or would be."""
        return self.folder / self.key(name)

    def key(self, name: str) -> str:
        """Two letters, which vary, and the name."""
        return f"{check_name(name).partition('.')[0][-2:]}/{name}"

    def exists(self, name: str) -> bool:
        """See `Storage.exists`."""
        return self.path(name).is_file()

    def delete(self, name: str) -> None:
        """See `Storage.delete`."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot delete {self.path(name)}: {error.strerror}") from error

    def names(self, kind: str) -> Iterator[str]:
        """See `Storage.names`."""
        return (path.name for path in self.folder.glob(f"??/{kind}_*") if path.suffix != ".part")

    def delete_partials(self, before: datetime) -> int:
        """See `Storage.delete_partials`."""
        return remove_parts(self.folder, before)

    def presigned(self, name: str, method: str, seconds: float) -> str | None:
        """Always None: a folder has no URLs."""
        return None

    def check(self) -> None:
        """See `Storage.check`."""
        check_folder(self.folder)
