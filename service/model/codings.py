"""
Content codings (RFC 9110, 8.4; RFC 8878): gzip, deflate, br and zstd, also several over each other.

Decoding never yields more than it is asked for, so a small body cannot unfold
into a huge one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Protocol

import brotli
from backports import zstd

#: The codings that can be undone here, by name.
SUPPORTED = ("gzip", "x-gzip", "deflate", "br", "zstd")
_PIECE_BYTES = 65536
_MOST_CODINGS = 5
#: A coding under another hardly shrinks anything; one that yields so many bytes, and twice what
#: went in, is made to keep us busy.
_GROWTH_BYTES = 1024 * 1024
#: How a further stream of the same body begins, where a coding allows one.
_MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_MAGIC_BYTES = 4
#: The longest window that a body over HTTP may ask for, 8 MiB (RFC 9659).
_ZSTD_WINDOW = {int(zstd.DecompressionParameter.window_log_max): 23}
_DAMAGED = (zlib.error, brotli.error, zstd.ZstdError)


class Source(Protocol):
    """The source of a body, such as a file or a connection."""

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
    start = b""
    while piece := source.read(_PIECE_BYTES - len(start)):
        start += piece
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
    """Decode a body by its headers; a body that does not match them is returned unchanged."""
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
        source = _Decoded(source, name, bounded=place > 0)
    return source


class _Stream(Protocol):
    """One coded stream, such as `zstd.ZstdDecompressor`; it keeps the data it has not used yet."""

    @property
    def eof(self) -> bool:
        """Whether the stream is complete."""

    @property
    def unused_data(self) -> bytes:
        """What followed the complete stream."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Up to `max_length` bytes; none where more data is needed."""


class _Zlib:
    """A stream of gzip or deflate."""

    def __init__(self, wbits: int) -> None:
        self._inflater = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)


class _Brotli:
    """
    A stream of br.

    The library gives up to 32 KiB more than it is asked for, and raises where
    anything follows the stream.
    """

    unused_data = b""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self._ahead = b""

    @property
    def eof(self) -> bool:
        return not self._ahead and self._decompressor.is_finished()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if not self._ahead:
            self._ahead = self._decompressor.process(data, output_buffer_limit=max_length)
        piece, self._ahead = self._ahead[:max_length], self._ahead[max_length:]
        return piece


class _Decoded:
    """A body without one of its codings; one that is cut off ends where it is cut."""

    def __init__(self, source: Source, name: str, *, bounded: bool) -> None:
        self._source, self._name, self._bounded = source, name, bounded
        self._stream: _Stream | None = None
        self._ahead = b""
        self._streams = self._taken = self._given = 0

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end. Raises BadCoding."""
        while size > 0:
            stream = self._stream = self._stream or self._next_stream()
            if stream is None:
                break
            piece = self._decompress(stream, size)
            if stream.eof:
                self._stream = None
            elif not piece and not self._fill():
                break
            if piece:
                return piece
        return b""

    def _decompress(self, stream: _Stream, size: int) -> bytes:
        try:
            piece = stream.decompress(self._ahead, size)
        except _DAMAGED:
            raise BadCoding(f"the body is not in the coding {self._name} that it names") from None
        self._given += len(piece)
        if self._bounded and self._given > 2 * self._taken + _GROWTH_BYTES:
            raise BadCoding(f"the body unfolds too far in the coding {self._name}")
        self._ahead = stream.unused_data if stream.eof else b""
        return piece

    def _next_stream(self) -> _Stream | None:
        """The first stream, or a further one; whatever else follows is ignored."""
        while len(self._ahead) < _MAGIC_BYTES and self._fill():
            pass
        magic = _MAGIC.get(self._name)
        more = magic is not None and self._ahead.startswith(magic)
        if not self._ahead or (self._streams and not more):
            return None
        self._streams += 1
        if self._name == "br":
            return _Brotli()
        if self._name == "zstd":
            return zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
        return _Zlib(self._window_bits())

    def _window_bits(self) -> int:
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
