"""
Tracks of an ISO file: what each shows, how long, and where in the file its last sample ends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import BinaryIO

from service.media.geometry import Matrix, upright_size
from service.media.iso_boxes import Box, children, content, number, read_at, walk

#: 1 in the fixed point of display matrices and of track sizes.
ONE = 0x10000
_UPRIGHT: Matrix = (ONE, 0, 0, ONE)
_VIDEO = b"vide"
#: A table that is longer than any real one says nothing to us.
_TABLE_BYTES = 1024**2
_ENABLED = 1
_SAMPLE_ENTRY_BYTES = 78  # of a picture's, before the boxes that it holds


@dataclass(frozen=True)
class Track:
    """
    A track; `samples_end` is a place in the file, 0 where no table says it.

    `handler` is ``vide`` for pictures, blank where the file does not say what the track is.
    """

    handler: bytes
    enabled: bool
    size: tuple[int, int] | None
    seconds: float | None
    samples_end: int

    @property
    def is_picture(self) -> bool:
        """Whether it shows something."""
        return self.handler == _VIDEO or (not self.handler and self.size is not None)


#: One of which nothing is said.
UNKNOWN_TRACK = Track(b"", enabled=False, size=None, seconds=None, samples_end=0)


def read_track(file: BinaryIO, trak: Box, movie_matrix: Matrix) -> Track:
    """A track of a film whose pictures are all turned by `movie_matrix`."""
    boxes = children(file, trak)
    media = children(file, boxes.get(b"mdia"))
    tables = children(file, children(file, media.get(b"minf")).get(b"stbl"))
    header = content(file, boxes.get(b"tkhd"))
    a, b, c, d = read_matrix(header[52:] if header[:1] == b"\1" else header[40:])
    e, f, g, h = movie_matrix
    # What both do, one after the other.
    product = (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)
    matrix: Matrix = tuple(value // ONE for value in product)  # type: ignore[assignment]
    handler = content(file, media.get(b"hdlr"))[8:12]
    media_header = content(file, media.get(b"mdhd"))
    seconds = read_length(media_header)
    if not seconds:
        scale = number(media_header[20:24] if media_header[:1] == b"\1" else media_header[12:16])
        ticks = sum(count * delta for count, delta in _entries(file, tables.get(b"stts"), "II"))
        seconds = round(ticks / scale, 3) if ticks and scale else None
    return Track(
        handler=handler,
        enabled=bool(number(header[3:4]) & _ENABLED),
        size=_size(file, handler, header, tables.get(b"stsd"), matrix),
        seconds=seconds,
        samples_end=_samples_end(file, tables),
    )


def read_matrix(data: bytes) -> Matrix:
    """The part of a display matrix that turns; upright where it is none."""
    if len(data) < 20:
        return _UPRIGHT
    a, b, _, c, d = struct.unpack(">5i", data[:20])
    return (a, b, c, d) if a * d - b * c else _UPRIGHT


def read_length(header: bytes) -> float | None:
    """Seconds by an ``mvhd`` or an ``mdhd``; None where they are 0, or said to be unknown."""
    # Version 1 has longer times in front, and a longer length.
    scale, end = (20, 32) if header[:1] == b"\1" else (12, 20)
    ticks = header[scale + 4 : end]
    per_second = number(header[scale : scale + 4])
    known = ticks.strip(b"\xff") and number(ticks) and per_second
    return round(number(ticks) / per_second, 3) if known else None


def _size(
    file: BinaryIO, handler: bytes, header: bytes, stsd: Box | None, matrix: Matrix
) -> tuple[int, int] | None:
    """The upright size by the description of the samples, else by the track's header."""
    words = header[88:96] if header[:1] == b"\1" else header[76:84]
    across, down = number(words[:4]), number(words[4:])
    described = stsd if handler == _VIDEO else None
    entry = next(walk(file, described.start + 8, described.end), None) if described else None
    words = content(file, entry)[24:28]
    stored = number(words[:2]), number(words[2:])
    if entry is None or not all(stored):
        size = round(across / ONE), round(down / ONE)
        return upright_size(*size, None, matrix) if all(size) else None
    # The shape of a pixel, by its own box or by how wide the track is to be.
    inner = Box(entry.kind, entry.start + _SAMPLE_ENTRY_BYTES, entry.end)
    pasp = content(file, children(file, inner).get(b"pasp"))
    wide, high = number(pasp[:4]), number(pasp[4:8])
    ratio = Fraction(wide, high) if wide and high else None
    if ratio is None and across and down:
        ratio = Fraction(across * stored[1], down * stored[0])
    return upright_size(*stored, ratio, matrix)


def _samples_end(file: BinaryIO, tables: dict[bytes, Box]) -> int:
    """The end of the last chunk; its start where the file does not give the samples' sizes."""
    code, box = ("Q", tables[b"co64"]) if b"co64" in tables else ("I", tables.get(b"stco"))
    offsets = [offset for (offset,) in _entries(file, box, code)]
    if not offsets:
        return 0
    start = max(offsets)
    chunk, runs = offsets.index(start) + 1, _entries(file, tables.get(b"stsc"), "III")
    # The first sample of that chunk, counted from 0, and how many it holds.
    first = count = 0
    for (begin, held, _), (end, *_) in pairwise([*runs, (chunk + 1, 0, 0)]):
        if begin <= chunk < end:
            first, count = first + (chunk - begin) * held, held
            break
        first += (end - begin) * held
    stsz = tables.get(b"stsz")
    if stsz is None or count * 4 > _TABLE_BYTES:
        return start
    if each := number(content(file, stsz)[4:8]):
        return start + each * count
    sizes = read_at(file, stsz, 12 + 4 * first, 4 * count)
    return start + sum(number(sizes[n : n + 4]) for n in range(0, len(sizes) - 3, 4))


def _entries(file: BinaryIO, box: Box | None, code: str) -> list[tuple[int, ...]]:
    """The entries of a table, each of the numbers that `code` says as `struct` does."""
    row = struct.Struct(f">{code}")
    if box is None or box.end - box.start > _TABLE_BYTES:
        return []
    count = number(content(file, box)[4:8])
    data = read_at(file, box, 8, count * row.size)
    return list(row.iter_unpack(data[: len(data) // row.size * row.size]))
