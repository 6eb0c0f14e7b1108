"""Where a request ends: enough of HTTP/1.1 to know when all of it is here."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

HEAD_BYTES = 64 * 1024
#: A longer line before a chunk is no chunk's size; gunicorn has the same limit.
CHUNK_LINE_BYTES = 8190
#: So much of a request lies in memory, the rest in a file.
MEMORY_BYTES = 64 * 1024
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?", re.DOTALL)


@dataclass(frozen=True)
class Head:
    """
    The request line and the headers, read as far as the framing needs them.

    Headers stand by their names in lower case, each with all of its values.
    """

    method: str
    target: str
    headers: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> Head:
        """Never raises: what is malformed is left to gunicorn, which answers 400."""
        lines = raw.decode("latin-1").strip("\r\n").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        headers: dict[str, list[str]] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.setdefault(name.lower(), []).append(value.strip(" \t"))
        return cls(method, rest.partition(" ")[0], headers)

    @property
    def length(self) -> int | None:
        """The body's length where that is clear; None where chunks or nobody says it."""
        values = self.headers.get("content-length", ["0"])
        if "transfer-encoding" in self.headers or len(values) > 1:
            return None
        return int(values[0]) if re.fullmatch(r"[0-9]{1,15}", values[0]) else None

    def first(self, name: str) -> str:
        """The first value of a header, blank where there is none; `name` in lower case."""
        return self.headers.get(name, [""])[0]

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        coding = self.headers.get("transfer-encoding", [])
        return [each.lower() for each in coding] == ["chunked"]

    @property
    def waits_for_100(self) -> bool:
        """Whether the client sends the body only once it is asked to."""
        return [v.lower() for v in self.headers.get("expect", [])] == ["100-continue"]


class Chunks:
    """Finds the end of a chunked body, however its bytes are cut."""

    def __init__(self) -> None:
        self.done = self.malformed = False
        #: Bytes of the body so far, without the chunks' own lines.
        self.size = 0
        self._left = 0
        self._line = b""
        self._state = "size"

    def feed(self, data: bytes) -> None:
        """The next bytes. Malformed ones end the body too."""
        while data and not self.done:
            if self._state == "data":
                taken = min(self._left, len(data))
                self._left, self.size, data = self._left - taken, self.size + taken, data[taken:]
                if not self._left:
                    self._state = "end of data"
                continue
            # Only the last byte seen can be the first half of a line's end.
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
    The bytes of one request, and of what a client sends behind it, until somebody parses them.

    Args:
        folder: where those lie that are too many for the memory, in a file without a name.
    """

    def __init__(self, folder: Path) -> None:
        self.has_head = False
        self.head = Head("", "")
        #: Whether there is nothing to wait for: it is whole, or refused as it is.
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
        """Whether its chunks are none."""
        return self._chunks is not None and self._chunks.malformed

    @property
    def has_begun(self) -> bool:
        """Whether a byte of it is there."""
        return self.has_head or bool(self._start)

    @property
    def is_too_long(self) -> bool:
        """Whether its head goes on and on."""
        return not self.has_head and len(self._start) > HEAD_BYTES

    def feed_head(self, data: bytes) -> bytes | None:
        """The next bytes, until the head is there: then what came behind it, else None."""
        before = len(self._start)
        self._start += data
        at = self._start.find(b"\r\n\r\n", max(0, before - 3))
        if at < 0:
            return None
        raw, behind = bytes(self._start[: at + 4]), bytes(self._start[at + 4 :])
        self.received = len(raw)
        self.has_head, self.head = True, Head.parse(raw)
        if self.head.waits_for_100:
            # We ask for the body, or refuse it; gunicorn would ask a second time.
            raw = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", raw)
        self._file.write(raw)
        self._start.clear()
        return behind

    def may_exceed(self, limit: int) -> bool:
        """Whether the body is longer than that, or nobody says how long it is."""
        return self.head.is_chunked or (self.head.length or 0) > limit

    def expect_body(self, limit: int) -> None:
        """
        Take a body of up to `limit` bytes; a longer one is refused as it is, by its length.

        0 means that the head alone decides, and no body is waited for.
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
        """The next bytes behind the head."""
        self.received += len(data)
        self._file.write(data)
        if self._chunks:
            self._chunks.feed(data)
            self.is_whole = self._chunks.done
            # Chunks of one byte each make a body six times as long as it is.
            most = HEAD_BYTES + 2 * self.body_limit
            self.ready = (
                self.is_whole or self._chunks.size > self.body_limit or self.received > most
            )
        elif not self.ready:
            self._left -= len(data)
            self.ready = self.is_whole = self._left <= 0

    def open(self) -> None:
        """No more bytes: from here on they are read from the start."""
        self._file.seek(0)

    def recv(self, size: int) -> bytes:
        """The next bytes, as a socket gives them. Raises ConnectionError past the end of a part."""
        data = self._file.read(size)
        if not data and not self.is_whole:
            raise ConnectionAbortedError("the request was refused before it arrived completely")
        return data

    def close(self) -> bytes:
        """Forget it. Returns what nobody has read."""
        rest = b"" if self._file.closed else self._file.read()
        self._file.close()
        return rest
