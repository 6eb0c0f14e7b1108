"""The framing of requests: enough of HTTP/1.1 to know where a request ends."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

HEAD_BYTES = 64 * 1024
#: The longest line with a chunk's size; gunicorn has the same limit.
CHUNK_LINE_BYTES = 8190
#: The bytes of a request that are held in memory; the rest is in a file.
MEMORY_BYTES = 64 * 1024
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?", re.DOTALL)


@dataclass(frozen=True)
class Head:
    """
    The request line and the headers, parsed as far as the framing needs them.

    `headers` has all values of each header, by its name in lower case.
    """

    method: str
    target: str
    headers: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> Head:
        """Parse a head. Never raises: gunicorn answers a malformed one with 400."""
        lines = raw.decode("latin-1").strip("\r\n").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        headers: dict[str, list[str]] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.setdefault(name.lower(), []).append(value.strip(" \t"))
        return cls(method, rest.partition(" ")[0], headers)

    @property
    def length(self) -> int | None:
        """The body's length in bytes; None if it is chunked or not valid."""
        values = self.headers.get("content-length", ["0"])
        if "transfer-encoding" in self.headers or len(values) > 1:
            return None
        return int(values[0]) if re.fullmatch(r"[0-9]{1,15}", values[0]) else None

    def first(self, name: str) -> str:
        """The first value of a header, blank if there is none; `name` is in lower case."""
        return self.headers.get(name, [""])[0]

    @property
    def is_chunked(self) -> bool:
        """Whether the body is chunked."""
        coding = self.headers.get("transfer-encoding", [])
        return [each.lower() for each in coding] == ["chunked"]

    @property
    def waits_for_100(self) -> bool:
        """Whether the client waits for a 100 before it sends the body."""
        return [v.lower() for v in self.headers.get("expect", [])] == ["100-continue"]


class Chunks:
    """Finds the end of a chunked body, however its bytes are split."""

    def __init__(self) -> None:
        self.done = self.malformed = False
        #: The bytes of the body so far, without the lines of the chunks.
        self.size = 0
        self._left = 0
        self._line = b""
        self._state = "size"

    def feed(self, data: bytes) -> None:
        """Process the next bytes. Malformed ones also end the body."""
        while data and not self.done:
            if self._state == "data":
                taken = min(self._left, len(data))
                self._left, self.size, data = self._left - taken, self.size + taken, data[taken:]
                if not self._left:
                    self._state = "end of data"
                continue
            # Only the last byte can be the first half of a line end.
            before, self._line = self._line, self._line + data
            at = self._line.find(b"\r\n", max(0, len(before) - 1))
            if at < 0:
                self.done = self.malformed = len(self._line) > CHUNK_LINE_BYTES
                return
            line, data, self._line = self._line[:at], self._line[at + 2 :], b""
            self._end_line(line)

    def _end_line(self, line: bytes) -> None:
        if self._state == "end of data":
            self._state = "size"
            self.done = self.malformed = bool(line)
        elif self._state == "trailers":
            self.done = not line
        elif size := _CHUNK_SIZE.fullmatch(line):
            self._left = int(size[1], 16)
            self._state = "data" if self._left else "trailers"
        else:
            self.done = self.malformed = True


class Incoming:
    """
    The bytes of one request, and of later ones on its connection, until gunicorn parses them.

    Args:
        folder: the folder of an unnamed file for bytes beyond the limit in memory.
    """

    def __init__(self, folder: Path) -> None:
        self.has_head = False
        self.head = Head("", "")
        #: Whether no more bytes are needed: the request is complete, or refused.
        self.ready = False
        self.is_whole = False
        self.received = 0
        self.body_limit = 0
        self._start = bytearray()
        self._chunks: Chunks | None = None
        self._left = 0
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            MEMORY_BYTES, dir=str(folder)
        )

    @property
    def is_malformed(self) -> bool:
        """Whether its chunks are malformed."""
        return self._chunks is not None and self._chunks.malformed

    @property
    def has_begun(self) -> bool:
        """Whether a byte of it has arrived."""
        return self.has_head or bool(self._start)

    @property
    def is_too_long(self) -> bool:
        """Whether its head is too long."""
        return not self.has_head and len(self._start) > HEAD_BYTES

    def feed_head(self, data: bytes) -> bytes | None:
        """Add bytes until the head is complete: then returns the bytes after it, else None."""
        before = len(self._start)
        self._start += data
        at = self._start.find(b"\r\n\r\n", max(0, before - 3))
        if at < 0:
            return None
        raw, behind = bytes(self._start[: at + 4]), bytes(self._start[at + 4 :])
        self.received = len(raw)
        self.has_head, self.head = True, Head.parse(raw)
        if self.head.waits_for_100:
            # We ask for the body, or refuse it; gunicorn would ask again.
            raw = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", raw)
        self._file.write(raw)
        self._start.clear()
        return behind

    def may_exceed(self, limit: int) -> bool:
        """Whether the body may be longer than `limit` bytes, also if its length is unknown."""
        return self.head.is_chunked or (self.head.length or 0) > limit

    def expect_body(self, limit: int) -> None:
        """
        Accept a body of up to `limit` bytes; a longer one is refused by its length.

        0 means that the head alone decides, and no body is awaited.
        """
        self.body_limit = limit
        length = self.head.length
        if length == 0:
            self.ready = self.is_whole = True
        elif length is not None:
            self._left = length
            self.ready = length > limit
        elif self.head.is_chunked and limit:
            self._chunks = Chunks()
        else:
            self.ready = True

    def feed_body(self, data: bytes) -> None:
        """Add the next bytes after the head."""
        self.received += len(data)
        self._file.write(data)
        if self._chunks:
            self._chunks.feed(data)
            self.is_whole = self._chunks.done
            # Chunks of one byte each make a body six times as long.
            most = HEAD_BYTES + 2 * self.body_limit
            self.ready = (
                self.is_whole or self._chunks.size > self.body_limit or self.received > most
            )
        elif not self.ready:
            self._left -= len(data)
            self.ready = self.is_whole = self._left <= 0

    def open(self) -> None:
        """End the intake: from now on the bytes are read from the start."""
        self._file.seek(0)

    def recv(self, size: int) -> bytes:
        """The next bytes, as from a socket. Raises ConnectionError if they end too early."""
        data = self._file.read(size)
        if not data and not self.is_whole:
            raise ConnectionAbortedError("the request was refused before it arrived completely")
        return data

    def close(self) -> bytes:
        """Close it. Returns the unread bytes."""
        rest = b"" if self._file.closed else self._file.read()
        self._file.close()
        return rest
