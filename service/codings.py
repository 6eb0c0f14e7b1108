"""
Content codings (RFC 9110, 8.4): gzip and deflate, also several over each other.

Decoding never yields more than it is asked for, so a small body cannot unfold
into a huge one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Protocol

#: The codings that can be undone here, by name.
SUPPORTED = ("gzip", "x-gzip", "deflate")
_PIECE_BYTES = 65536
_MOST_CODINGS = 5
#: A coding under another hardly shrinks anything; one that yields so many bytes, and twice what
#: went in, is made to keep us busy.
_GROWTH_BYTES = 1024 * 1024
_GZIP = b"\x1f\x8b"


class Source(Protocol):
    """Where a body comes from, such as a file or a connection."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


class BadCoding(ValueError):
    """A body that is not in the coding which its header names."""


def codings_of(header: str) -> list[str]:
    """The codings that a Content-Encoding header names, in the order in which they were applied."""
    names = [name.strip().lower() for name in header.split(",")]
    return [name for name in names if name not in ("", "identity")]


def is_coded(header: str) -> bool:
    """Whether a Content-Encoding header names a coding that is undone here."""
    return any(name in SUPPORTED for name in codings_of(header))


def open_decoded(source: Source, header: str) -> Source:
    """
    The body without its codings, whatever `header` claims: an untrue claim is ignored.

    Returns:
        A reader that raises BadCoding where the body turns out to be damaged later on;
        `source` itself where nothing is to be decoded.
    """
    if not is_coded(header):
        return source
    start = source.read(_PIECE_BYTES)
    whole = _Continued(start, source)
    try:
        _stack(BytesIO(start), header).read(_PIECE_BYTES)
    except BadCoding:
        return whole
    return _stack(whole, header)


def decode(body: bytes, header: str, max_bytes: int) -> bytes:
    """
    The body without its codings, at most `max_bytes` + 1 of it: more shows that it is too long.

    Raises:
        BadCoding: the body is not what the header says.
    """
    source, found = _stack(BytesIO(body), header), bytearray()
    while piece := source.read(max_bytes + 1 - len(found)):
        found += piece
    return bytes(found)


def content_of(headers: Mapping[str, str], body: bytes, max_bytes: int) -> bytes:
    """The same for a body with these headers; as it came where they are not true of it."""
    named = [value for name, value in headers.items() if name.lower() == "content-encoding"]
    try:
        return decode(body, ",".join(named), max_bytes)
    except BadCoding:
        return body[: max_bytes + 1]


def _stack(source: Source, header: str) -> Source:
    known = [name for name in codings_of(header) if name in SUPPORTED]
    if len(known) > _MOST_CODINGS:
        raise BadCoding(f"the body has more than {_MOST_CODINGS} codings: send it with one")
    for place, name in reversed(list(enumerate(known))):
        source = _Inflated(source, name, bounded=place > 0)
    return source


class _Inflated:
    """A body without one of its codings; one that is cut off ends where it is cut."""

    def __init__(self, source: Source, name: str, *, bounded: bool) -> None:
        self._source, self._name, self._bounded = source, name, bounded
        self._inflater: zlib._Decompress | None = None
        self._ahead = b""
        self._streams = self._taken = self._given = 0

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end. Raises BadCoding."""
        while size > 0:
            inflater = self._inflater = self._inflater or self._next_stream()
            if inflater is None:
                break
            piece = self._inflate(inflater, size)
            if inflater.eof:
                self._inflater = None
            elif not piece and not self._ahead and not self._fill():
                break
            if piece:
                return piece
        return b""

    def _inflate(self, inflater: zlib._Decompress, size: int) -> bytes:
        try:
            piece = inflater.decompress(self._ahead, size)
        except zlib.error:
            raise BadCoding(f"the body is not in the coding {self._name} that it names") from None
        self._given += len(piece)
        if self._bounded and self._given > 2 * self._taken + _GROWTH_BYTES:
            raise BadCoding(f"the body unfolds too far in the coding {self._name}")
        self._ahead = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        return piece

    def _next_stream(self) -> zlib._Decompress | None:
        """The first stream, or a further one of gzip; whatever else follows is ignored."""
        if len(self._ahead) < len(_GZIP):
            self._fill()
        more = self._name != "deflate" and self._ahead.startswith(_GZIP)
        if not self._ahead or (self._streams and not more):
            return None
        self._streams += 1
        return zlib.decompressobj(self._window())

    def _window(self) -> int:
        """What `zlib` takes for the kind of stream; deflate comes with zlib's head or without."""
        if self._name != "deflate":
            return 16 + zlib.MAX_WBITS
        head = int.from_bytes(self._ahead[:2], "big")
        return zlib.MAX_WBITS if head >> 8 & 15 == 8 and head % 31 == 0 else -zlib.MAX_WBITS

    def _fill(self) -> bool:
        piece = self._source.read(_PIECE_BYTES)
        self._ahead += piece
        self._taken += len(piece)
        return bool(piece)


class _Continued:
    """A source whose start was read already."""

    def __init__(self, start: bytes, rest: Source) -> None:
        self._start, self._rest = BytesIO(start), rest

    def read(self, size: int, /) -> bytes:
        """The start first."""
        return self._start.read(size) or self._rest.read(size)
