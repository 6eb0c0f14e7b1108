"""
What every storage keeps: one whole file per name, never a part of one.

Names are made here from ids, never from what a provider or a user said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from service.errors import ClipbellError
from service.media.containers import VIDEO_TYPES
from service.storage.atomic import PRIVATE_MODE, atomic_write

#: The media type of every kind of file that is kept, by the ending of its name.
FILE_TYPES = VIDEO_TYPES | {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_NAME = re.compile(rf"[a-z]+_[0-9a-f]{{32}}\.(?:{'|'.join(FILE_TYPES)})")


class StorageError(ClipbellError):
    """A file could not be written or read; the message says which and why."""


class FileMissing(StorageError):
    """There is no file with this name."""


class Storage(Protocol):
    """
    A place for videos, posters and images.

    `folder` is the folder on this machine that files are written to, at first or finally;
    `remote` says whether the files are on another machine, and `origin` is the origin
    of its presigned URLs, blank if it has none. Every call with a
    name raises StorageError for a name that is not ours.
    """

    folder: Path
    remote: bool

    @property
    def origin(self) -> str: ...

    def writing(self, name: str) -> AbstractContextManager[BinaryIO]:
        """
        A file to write into; it becomes `name` when the block ends without an error.

        Until then it lies on this machine, at the path that is its ``name``.
        """

    def take(self, path: Path, name: str) -> None:
        """Make the file at that path `name`, durably; it is moved where the disk can do that."""

    def local(self, name: str) -> AbstractContextManager[Path]:
        """Where the whole file lies on this machine as long as the block lasts."""

    def open(self, name: str) -> BinaryIO:
        """The file, to be read from any place in it, and closed. Raises FileMissing."""

    def read(self, name: str) -> bytes:
        """All of a small file. Raises FileMissing."""

    def exists(self, name: str) -> bool:
        """Whether the file is there, whole."""

    def delete(self, name: str) -> None:
        """Remove the file; no harm when it is gone."""

    def names(self, kind: str) -> Iterator[str]:
        """The names of all files whose id starts with `kind`, such as ``img``."""

    def delete_partials(self, before: datetime) -> int:
        """Delete files that interrupted writes left before a time; returns their number."""

    def key(self, name: str) -> str:
        """The file's path within the storage, for whoever sends it in our place."""

    def presigned(self, name: str, method: str, seconds: float) -> str | None:
        """A URL valid for `seconds`, only for this method; None if only we can send the file."""

    def check(self) -> None:
        """Raises StorageError unless files can be written."""


def check_name(name: str) -> str:
    """The name. Raises StorageError for one that we did not make."""
    if not _NAME.fullmatch(name):
        raise StorageError(f"{name!r} is not a name of ours")
    return name


def media_type_of(name: str) -> str:
    """The media type of a file of ours."""
    return FILE_TYPES[name.rpartition(".")[2]]


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Whatever goes wrong while `path` is written is a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """
    Put these bytes at that path: durably, readable by its owner alone, all of them or none.

    Raises:
        StorageError: the disk does not take them; what was there before is unchanged.
    """
    with disk_errors(path), atomic_write(path, PRIVATE_MODE) as file:
        file.write(content)


def check_folder(folder: Path) -> None:
    """Raises StorageError unless the folder can be written."""
    probe = folder / f".probe.{os.urandom(4).hex()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from error
