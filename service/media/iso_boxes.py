"""
Boxes of the ISO base media format (ISO 14496-12): a size, a kind of four letters, the content.

A box may hold boxes again. Only heads are read on the way, whatever their contents weigh.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

#: At the top of a file; enough for half an hour of film with a fragment for each frame.
MAX_BOXES = 200_000
#: Within another box; no real film has as many.
_MAX_INNER_BOXES = 100
#: Of a box whose content is of a fixed form; all that is read here stands in front.
_CONTENT_BYTES = 256
_HEAD_BYTES = 8
_LONG_HEAD_BYTES = 16


@dataclass(frozen=True)
class Box:
    """Where a box's content lies in the file; `end` is what its head says, there or not."""

    kind: bytes
    start: int
    end: int


def walk(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two places, up to the first that ends beyond, or that is none."""
    for _ in range(MAX_BOXES):
        # What is too short for a box is padding.
        if end - start < _HEAD_BYTES:
            return
        file.seek(start)
        head = file.read(_LONG_HEAD_BYTES)
        size, kind, content_start = number(head[:4]), head[4:8], start + _HEAD_BYTES
        if size == 1:
            size, content_start = number(head[8:]), start + _LONG_HEAD_BYTES
        elif size == 0:
            size = end - start
        if start + size < content_start:
            return
        yield Box(kind, content_start, start + size)
        start += size


def inner(file: BinaryIO, box: Box) -> Iterator[Box]:
    """The boxes within a box, each cut off where that ends."""
    for child in islice(walk(file, box.start, box.end), _MAX_INNER_BOXES):
        yield Box(child.kind, child.start, min(child.end, box.end))


def children(file: BinaryIO, box: Box | None) -> dict[bytes, Box]:
    """The first box of each kind within a box; none within None."""
    found: dict[bytes, Box] = {}
    for child in inner(file, box) if box else ():
        found.setdefault(child.kind, child)
    return found


def content(file: BinaryIO, box: Box | None) -> bytes:
    """The first bytes of a box's content; none of None."""
    return read_at(file, box, 0, _CONTENT_BYTES) if box else b""


def read_at(file: BinaryIO, box: Box, offset: int, size: int) -> bytes:
    """So many bytes of a box's content, or as many as it has there."""
    file.seek(box.start + offset)
    return file.read(max(0, min(size, box.end - box.start - offset)))


def number(data: bytes) -> int:
    """An unsigned number as these files have it; 0 where there are no bytes."""
    return int.from_bytes(data)
