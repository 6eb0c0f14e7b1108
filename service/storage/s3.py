"""
Storage in a bucket of S3, or of anything that speaks its protocol.

Needs the `s3` extra (obstore). Endpoint, region and credentials come from the
usual ``AWS_…`` variables, which obstore reads itself. A file is written on
this machine first, and uploaded when it is whole.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from service.storage.atomic import part_file, remove_parts
from service.storage.base import (
    FileMissing,
    StorageError,
    check_folder,
    check_name,
    disk_errors,
    media_type_of,
)

#: The operator's own endpoint may be one without TLS.
CLIENT = {"allow_http": True, "connect_timeout": "5s", "timeout": "60s"}
RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
READ_BYTES = 1024**2
_PROBE = ".probe"


class S3Storage:
    """
    Objects below a prefix of one bucket, their keys being the names.

    Args:
        folder: where files lie until they are uploaded.
    """

    remote = True

    def __init__(self, bucket: str, prefix: str, folder: Path) -> None:
        self.folder = folder
        self._where = f"s3://{bucket}/{prefix}".rstrip("/")
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            client_options=cast(Any, CLIENT),
            retry_config=cast(Any, RETRIES),
        )

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """See `Storage.writing`."""
        path = self.folder / check_name(name)
        with disk_errors(path), part_file(self.folder, name) as file:
            yield file
            file.flush()
            self.take(Path(file.name), name)

    def take(self, path: Path, name: str) -> None:
        """See `Storage.take`; the file stays where it is."""
        kind = media_type_of(check_name(name))
        with _one_line_errors(f"write {name}", self._where):
            obstore.put(self._store, name, path, attributes={"Content-Type": kind})

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """A copy for the time of the block."""
        path = self.folder / name
        with self.open(name) as found, disk_errors(path), part_file(self.folder, name) as file:
            while chunk := found.read(READ_BYTES):
                file.write(chunk)
            file.flush()
            yield Path(file.name)

    def open(self, name: str) -> BinaryIO:
        """See `Storage.open`."""
        with _one_line_errors(f"read {check_name(name)}", self._where):
            reader = obstore.open_reader(self._store, name, buffer_size=READ_BYTES)
        return cast(BinaryIO, io.BufferedReader(_Object(reader, self._where), READ_BYTES))

    def read(self, name: str) -> bytes:
        """See `Storage.read`."""
        with _one_line_errors(f"read {check_name(name)}", self._where):
            return bytes(obstore.get(self._store, name).bytes())

    def key(self, name: str) -> str:
        """The name itself."""
        return check_name(name)

    def exists(self, name: str) -> bool:
        """See `Storage.exists`."""
        try:
            with _one_line_errors(f"look for {check_name(name)}", self._where):
                obstore.head(self._store, name)
        except FileMissing:
            return False
        return True

    def delete(self, name: str) -> None:
        """See `Storage.delete`."""
        try:
            with _one_line_errors(f"delete {check_name(name)}", self._where):
                obstore.delete(self._store, name)
        except FileMissing:
            return

    def names(self, kind: str) -> Iterator[str]:
        """See `Storage.names`; the keys come sorted, so that no other kind is listed."""
        with _one_line_errors("list the files", self._where):
            batches = obstore.list(self._store, offset=f"{kind}_")
            paths = (found["path"] for batch in batches for found in batch)
            yield from takewhile(lambda path: path.startswith(f"{kind}_"), paths)

    def delete_partials(self, before: datetime) -> int:
        """What was left on this machine; unfinished uploads are for the bucket's own rules."""
        return remove_parts(self.folder, before)

    def presigned(self, name: str, method: str, seconds: float) -> str | None:
        """See `Storage.presigned`."""
        with _one_line_errors(f"sign {check_name(name)}", self._where):
            lifetime = timedelta(seconds=seconds)
            return obstore.sign(self._store, cast(Any, method), name, lifetime)

    @cached_property
    def origin(self) -> str:
        """Of this bucket's URLs, as obstore makes them."""
        url = urlsplit(self.presigned(f"vid_{0:032x}.mp4", "GET", 1) or "")
        return f"{url.scheme}://{url.netloc}"

    def check(self) -> None:
        """See `Storage.check`: writes an empty object and removes it."""
        check_folder(self.folder)
        with _one_line_errors("write", self._where):
            obstore.put(self._store, _PROBE, b"")
            obstore.delete(self._store, _PROBE)


@contextmanager
def _one_line_errors(act: str, where: str) -> Iterator[None]:
    """Whatever goes wrong, in one line and as an error of ours."""
    try:
        yield
    except FileNotFoundError as error:
        kind = StorageError if "NoSuchBucket" in str(error) else FileMissing
        raise kind(f"cannot {act} in {where}: {_line(error)}") from error
    except (BaseError, OSError) as error:
        raise StorageError(f"cannot {act} in {where}: {_line(error)}") from error


def _line(error: Exception) -> str:
    """Without the time it took, so that the same trouble reads the same."""
    first = str(error).partition("\n\nDebug")[0].replace("\n", " ").strip()
    return re.sub(r" in [\d.]+[µm]?s\b", "", first)


class _Object(io.RawIOBase):
    """obstore's reader as a file of Python's: one ranged GET for each part that is read."""

    def __init__(self, reader: Any, where: str) -> None:
        self._reader = reader
        self._where = where

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())

    def readinto(self, buffer: Any) -> int:
        with _one_line_errors("read", self._where):
            data = bytes(self._reader.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)
