"""Files that appear whole or not at all: written aside, put on the disk, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

#: Permissions of a file that only its owner may read, and of any other; less the umask.
PRIVATE_MODE = 0o600
PRIVATE_FOLDER_MODE = 0o700
SHARED_MODE = 0o666


def make_private(folder: Path) -> None:
    """
    Let nobody but the owner into a folder and all that is in it: 0700, files 0600.

    A file of another user stays as it is; links are not followed.
    """
    for path, _, files in os.walk(folder):
        _restrict(path, PRIVATE_FOLDER_MODE)
        for name in files:
            _restrict(os.path.join(path, name), PRIVATE_MODE)


def _restrict(path: str, mode: int) -> None:
    # A file may go at any moment, where a service runs on the folder.
    with suppress(FileNotFoundError, PermissionError):
        found = os.lstat(path).st_mode
        if not stat.S_ISLNK(found) and stat.S_IMODE(found) != mode:
            os.chmod(path, mode)


@contextmanager
def part_file(folder: Path, name: str, mode: int = SHARED_MODE) -> Iterator[BinaryIO]:
    """
    A new file in `folder`, which is removed after the block unless it was renamed.

    Args:
        mode: its permissions, from its creation on.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{os.urandom(4).hex()}.part"
    try:
        with open(path, "x+b", opener=partial(os.open, mode=mode)) as file:
            yield file
    finally:
        with suppress(OSError):
            path.unlink()


@contextmanager
def atomic_write(path: Path, mode: int = SHARED_MODE) -> Iterator[BinaryIO]:
    """
    A file to write, which replaces `path` after a block without an error.

    It is on disk by then. Until then, and after an error, `path` stays unchanged.
    The file's path is its ``name``, for code that writes by path.

    Args:
        mode: see `part_file`.

    Raises:
        OSError: it cannot be written.
    """
    with part_file(path.parent, path.name, mode) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(path)
        _sync_folder(path.parent)


def move_durably(path: Path, target: Path) -> None:
    """
    Put the file at `path` at `target`, whole and on the disk; copied where that is another disk.

    Raises:
        OSError: it stays where it is.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as file:
        # Whoever may look into the folder may read the file.
        os.fchmod(file.fileno(), target.parent.stat().st_mode & SHARED_MODE)
        os.fsync(file.fileno())
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with atomic_write(target) as copy:
                shutil.copyfileobj(file, copy)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """A rename is durable only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_parts(folder: Path, before: datetime) -> int:
    """Remove part files not written to since before then; how many they were."""
    removed = 0
    for path in folder.rglob("*.part"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before.timestamp():
                path.unlink()
                removed += 1
    return removed
