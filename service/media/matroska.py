"""
Matroska and WebM (RFC 9559), read without any library.

Enough to distinguish a whole film from one that breaks off, and to find its length and size.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import BinaryIO

from service.media.containers import BrokenMovie, ProbeResult
from service.media.geometry import LONGEST_SIDE, shown_size

_HEADER, _DOC_TYPE, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x4282, 0x18538067, 0x1F43B675
_INFO, _TICK, _DURATION = 0x1549A966, 0x2AD7B1, 0x4489
_TRACKS, _ENTRY, _TYPE, _VIDEO = 0x1654AE6B, 0xAE, 0x83, 0xE0
_SIZES = (0xB0, 0xBA, 0x54B0, 0x54BA)  # width and height, as stored and as shown
#: What may stand in a file, in its segment, and in a cluster that was written with no size.
_KNOWN = frozenset(
    {
        *(_HEADER, _SEGMENT, _CLUSTER, _INFO, _TRACKS),
        *(0x114D9B74, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, 0xEC, 0xBF),
        *(0xE7, 0xA3, 0xA0, 0xAB, 0xA7),
    }
)
_PICTURE = 1  # a track's type
_TICK_NANOSECONDS = 1_000_000  # where the file does not say
_MAX_ELEMENTS = 200_000
_MAX_INNER_ELEMENTS = 100
_HEAD_BYTES = 12  # four of the id, eight of the size
_VALUE_BYTES = 64


@dataclass(frozen=True)
class _Element:
    """Where an element's content lies; `end` is None where it was not known when it was written."""

    id: int
    start: int
    end: int | None

    @property
    def name(self) -> str:
        """For people."""
        return {_SEGMENT: "segment", _CLUSTER: "cluster"}.get(self.id, f"element {self.id:x}")


def read_matroska(file: BinaryIO, size: int) -> ProbeResult:
    """
    What a file of so many bytes says of its film.

    Raises:
        BrokenMovie: it lacks a part, a part of it has not come, or it has no picture.
    """
    found: dict[int, _Element] = {}  # the first of each kind
    for element in _elements(file, 0, size):
        if element.id not in _KNOWN:
            break  # Behind a segment may lie anything.
        if element.end is not None and element.end > size:
            missing = element.end - size
            raise BrokenMovie(f"it breaks off: {missing} bytes of its {element.name} are missing")
        found.setdefault(element.id, element)
    if _CLUSTER not in found:
        raise BrokenMovie("it has no cluster, and so no picture")
    kind = _value(file, _children(file, found.get(_HEADER)).get(_DOC_TYPE))
    extension = "webm" if kind.rstrip(b"\0") == b"webm" else "mkv"
    width, height = _picture_size(file, found.get(_TRACKS))
    info, seconds = _children(file, found.get(_INFO)), None
    tick = _number(file, info.get(_TICK)) or _TICK_NANOSECONDS
    length = _value(file, info.get(_DURATION))
    if len(length) in (4, 8):
        (ticks,) = struct.unpack(">f" if len(length) == 4 else ">d", length)
        seconds = round(ticks * tick / 1e9, 3) if 0 < ticks < math.inf else None
    return ProbeResult(extension, seconds, width, height)


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[_Element]:
    """Elements one behind the other; segments, and what has no size, are followed by their own."""
    for _ in range(_MAX_ELEMENTS):
        if start >= end:
            return
        file.seek(start)
        head = file.read(_HEAD_BYTES)
        id_length = _length(head[:1])
        size_length = _length(head[id_length : id_length + 1])
        if not id_length or not size_length or id_length + size_length > len(head):
            return
        id_ = int.from_bytes(head[:id_length])
        bits = (1 << 7 * size_length) - 1
        size = int.from_bytes(head[id_length : id_length + size_length]) & bits
        content = start + id_length + size_length
        element = _Element(id_, content, None if size == bits else content + size)
        yield element
        start = content if element.end is None or id_ == _SEGMENT else element.end


def _length(first: bytes) -> int:
    """How many bytes a number takes by its first; 0 where it is none."""
    return 9 - first[0].bit_length() if first and first[0] else 0


def _children(file: BinaryIO, parent: _Element | None) -> dict[int, _Element]:
    """The first element of each kind within another; none within None."""
    found: dict[int, _Element] = {}
    for element in _inner(file, parent):
        found.setdefault(element.id, element)
    return found


def _inner(file: BinaryIO, parent: _Element | None) -> Iterator[_Element]:
    if parent is not None and parent.end is not None:
        yield from islice(_elements(file, parent.start, parent.end), _MAX_INNER_ELEMENTS)


def _value(file: BinaryIO, element: _Element | None) -> bytes:
    """The content of a short element; none of None."""
    if element is None or element.end is None:
        return b""
    file.seek(element.start)
    return file.read(min(element.end - element.start, _VALUE_BYTES))


def _number(file: BinaryIO, element: _Element | None) -> int:
    return int.from_bytes(_value(file, element))


def _picture_size(file: BinaryIO, tracks: _Element | None) -> tuple[int | None, int | None]:
    """As the first picture is shown. Raises BrokenMovie: there are only other tracks."""
    entries = [_children(file, entry) for entry in _inner(file, tracks) if entry.id == _ENTRY]
    pictures = [entry for entry in entries if _number(file, entry.get(_TYPE)) == _PICTURE]
    if entries and not pictures:
        raise BrokenMovie("it has no picture")
    fields = _children(file, pictures[0].get(_VIDEO)) if pictures else {}
    width, height, across, down = (_number(file, fields.get(id_)) for id_ in _SIZES)
    if not 0 < width <= LONGEST_SIDE or not 0 < height <= LONGEST_SIDE:
        return None, None
    ratio = Fraction(across * height, down * width) if across and down else None
    return shown_size(width, height, ratio)
