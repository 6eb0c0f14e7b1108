"""
Where videos and posters are kept: a folder.

A file appears whole or not at all: written aside, fsynced, renamed. Names are
made here from ids, never from what a provider or a user said.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from service.errors import ClipbellError, SettingsError

_NAME = re.compile(r"[a-z]+_[0-9a-f]{32}\.(?:mp4|jpg|png|webp)")


class StorageError(ClipbellError):
    """A file could not be written or read; the message says which and why."""


class FileStorage:
    """Files below one folder, two levels deep so that no folder grows too long."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write into; it becomes `name` when the block ends without an error."""
        path = self.path(name)
        aside = path.with_name(f"{path.name}.{os.urandom(4).hex()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.rename(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error
        finally:
            with suppress(OSError):
                aside.unlink()

    def path(self, name: str) -> Path:
        """Where the file of that name is or would be."""
        if not _NAME.fullmatch(name):
            raise StorageError(f"{name!r} is not a name of ours")
        ending = name.partition(".")[0][-2:]
        return self.folder / ending / name

    def exists(self, name: str) -> bool:
        """Whether the file is there, whole."""
        return self.path(name).is_file()

    def sha256(self, name: str) -> str:
        """The digest of the file, in hex."""
        with self.path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def delete(self, name: str) -> None:
        """Remove the file; no harm when it is gone."""
        self.path(name).unlink(missing_ok=True)

    def check(self) -> None:
        """Raises StorageError unless the folder can be written."""
        probe = self.folder / f".probe.{os.urandom(4).hex()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StorageError(f"cannot write to {self.folder}: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    """A rename is durable only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_storage(url: str) -> FileStorage:
    """The storage that ``STORAGE_URL`` names."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise SettingsError("CLIPBELL_STORAGE_URL: only file:///path is supported so far")
    return FileStorage(Path(unquote(parts.path)))
