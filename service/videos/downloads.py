"""
Downloads: a file that may take several goes to come.

What has come lies in a part file on this machine, never where files are served
from. A mark beside it says how many of its bytes are safely on disk, and of
which version of the original: the next go asks for the rest of that version,
and starts again where the server cannot give it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from io import BufferedRandom
from pathlib import Path

from service.errors import BodyTooLarge, ClipbellError, OutboundError
from service.model.codings import is_coded
from service.outbound.client import Outbound
from service.storage import Storage, StorageError
from service.storage.atomic import atomic_write

REDIRECTS = 3
GONE = (403, 404, 410)
#: Answers that bring the file: 203 where a proxy has touched it, 206 for a part of it.
_WITH_BODY = (200, 203, 206)
#: So many bytes are written between two marks; a worker that is killed loses no more.
MARK_BYTES = 16 * 1024**2
#: What nobody has gone on with for so long is forgotten.
KEPT = timedelta(days=2)
_RANGE = re.compile(r"bytes +([0-9]+)-[0-9]+/([0-9]+|\*)", re.IGNORECASE)


class DownloadError(ClipbellError):
    """
    A go that did not bring the whole file.

    `gone` says that the link has ended, so that a fresh one is needed,
    `hopeless` that no further go can end better, `gained` how many bytes the
    next one need not ask for again.
    """

    def __init__(self, message: str, *, gone: bool = False, hopeless: bool = False) -> None:
        super().__init__(message)
        self.gone = gone
        self.hopeless = hopeless
        self.gained = 0


@dataclass(frozen=True)
class _Mark:
    """The first `size` bytes are on disk, of `total` of the version called `etag`."""

    etag: str = ""
    size: int = 0
    total: int | None = None

    @classmethod
    def read(cls, path: Path, size: int) -> _Mark:
        """The one in a file; an empty one where it is none, or says more than there is."""
        try:
            mark = cls(**json.loads(path.read_bytes()))
            return mark if 0 < mark.size <= size else cls()
        except (OSError, ValueError, TypeError):
            return cls()


class Download:
    """A file on its way here, `size` bytes of it in the file at `path`; made by `opened`."""

    def __init__(self, path: Path, file: BufferedRandom) -> None:
        self.path = path
        self._file = file
        self._marked = path.with_suffix(".mark")
        self._mark = _Mark.read(self._marked, os.fstat(file.fileno()).st_size)
        self._etag, self.size, self._total = self._mark.etag, self._mark.size, self._mark.total
        # What lies behind the mark may be anything after a power cut.
        file.truncate(self.size)
        self._digest = hashlib.file_digest(file, "sha256")
        self._is_gone = False

    def fetch(
        self,
        outbound: Outbound,
        url: str,
        seconds: float,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """
        Bring what is missing, within so many seconds; the whole file is no longer than `max_bytes`.

        Args:
            headers: of the request, such as a key.

        Raises:
            DownloadError: it did not come, or not all of it.
        """
        before = self.size
        try:
            if not self._is_whole():
                self._ask(outbound, url, seconds, max_bytes, headers or {})
        except DownloadError as error:
            if error.hopeless:
                self.restart()
            error.gained = max(0, self.keep() - before)
            raise
        self._file.flush()

    @property
    def sha256(self) -> str:
        """Of what has come, in hex."""
        return self._digest.hexdigest()

    def move_to(self, storage: Storage, name: str) -> None:
        """Give the whole file to the storage. Raises StorageError; it is still here then."""
        storage.take(self.path, name)
        self.remove()

    def write(self, piece: bytes) -> None:
        """The next bytes, as they come in."""
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)
        if self.size - self._mark.size >= MARK_BYTES:
            self.keep()

    def restart(self) -> None:
        """Nothing that came is any good."""
        self._begin("", None)

    def remove(self) -> None:
        """Leave nothing behind."""
        self._is_gone = True
        _remove(self.path)

    def _is_whole(self) -> bool:
        return self.size > 0 and self.size == self._total

    def _ask(
        self,
        outbound: Outbound,
        url: str,
        seconds: float,
        max_bytes: int,
        headers: Mapping[str, str],
    ) -> None:
        rest = {"Range": f"bytes={self.size}-", "If-Range": self._etag} if self.size else {}
        try:
            answer = outbound.call(
                "GET",
                url,
                headers={**headers, **rest},
                seconds=seconds,
                max_bytes=max_bytes,
                into=self,
                wanted=partial(self._prepare, max_bytes),
                redirects=REDIRECTS,
            )
        except BodyTooLarge as error:
            message = f"it is larger than ARCHIVE_MAX_BYTES: {error}"
            raise DownloadError(message, hopeless=True) from error
        except (OutboundError, ValueError) as error:
            raise DownloadError(str(error)) from error
        if answer.status not in _WITH_BODY:
            raise DownloadError(f"the link answered {answer.status}", gone=answer.status in GONE)
        self._check_size()

    def _check_size(self) -> None:
        if self._total is None:
            self._total = self.size
        if self.size > self._total:  # a server whose parts overlap
            self.restart()
        if self.size != self._total:
            raise DownloadError("the server sent less than it announced")

    def _prepare(self, max_bytes: int, status: int, headers: Mapping[str, str]) -> bool:
        """Look at an answer's head; whether its body belongs into the file."""
        names = ("etag", "content-length", "content-range")
        etag, length, part = [headers.get(name, "") for name in names]
        if is_coded(headers.get("content-encoding", "")):
            # All three are about the coded bytes, not about the file's.
            etag = length = part = ""
        if "transfer-encoding" in headers:
            length = ""
        if status in (200, 203):
            self._begin(etag, int(length) if length.isdecimal() else None)
        elif status == 206:
            self._go_on(etag, part)
        elif status == 416:
            self.restart()
        if (self._total or 0) > max_bytes:
            raise BodyTooLarge(f"{self._total} bytes, allowed are {max_bytes}")
        return status in _WITH_BODY

    def _begin(self, etag: str, total: int | None) -> None:
        # A weak one does not promise the same bytes.
        self._etag = etag if etag.startswith('"') else ""
        self.size, self._total, self._mark = 0, total, _Mark()
        self._digest = hashlib.sha256()
        self._marked.unlink(missing_ok=True)
        self._file.seek(0)
        self._file.truncate()

    def _go_on(self, etag: str, content_range: str) -> None:
        found = _RANGE.fullmatch(content_range)
        same = etag in ("", self._etag)
        if self.size == 0:
            # It may send a part although none was asked for.
            self._begin(etag, None)
            same = True
        if not found or not same or int(found[1]) != self.size:
            self.restart()
            raise DownloadError("the server sent another part than requested")
        if found[2] != "*":
            self._total = int(found[2])

    def keep(self) -> int:
        """Put what has come safely on disk; how much of it the next go can build on."""
        self._file.flush()
        if self.size > self._mark.size and (self._etag or self._is_whole()) and not self._is_gone:
            os.fsync(self._file.fileno())
            self._mark = _Mark(self._etag, self.size, self._total)
            with atomic_write(self._marked) as file:
                file.write(json.dumps(asdict(self._mark)).encode())
        return self._mark.size


@contextmanager
def opened(folder: Path, name: str, now: datetime) -> Iterator[Download]:
    """
    The download of that name, as far as it has come; nobody else has it at the same time.

    Raises:
        DownloadError: another worker still has it.
        StorageError: the disk does not take it.
    """
    path = folder / f"{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget_old(folder, now - KEPT)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            # Ends with the process, however that ends.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.utime(file.fileno())
            download = Download(path, file)
            try:
                yield download
            finally:
                download.keep()
    except BlockingIOError as error:
        raise DownloadError("another worker still copies it") from error
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _forget_old(folder: Path, before: datetime) -> None:
    for path in folder.glob("*.part"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before.timestamp():
                _remove(path)


def delete_partial(folder: Path, name: str) -> None:
    """Remove what has come of that name, if anything has."""
    _remove(folder / f"{name}.part")


def _remove(path: Path) -> None:
    path.with_suffix(".mark").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
