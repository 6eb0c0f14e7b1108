"""
The boxes that an MP4 is made of, read without any library.

Enough to tell a whole file from one that breaks off, and to find its length
and size. Only heads of boxes are read, so that memory does not grow with the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.errors import ClipbellError

#: No real film has as many in one place; only a file that is made to keep us busy has.
MOST_BOXES = 10_000
_LONG = 16  # bytes of a head with a long size
_FIXED = 65536  # one in fixed point
_PAGE = (b"<!doctype", b"<html")


class BrokenMovie(ClipbellError):
    """The file is no whole MP4; the message says what is wrong with it."""


@dataclass(frozen=True)
class Movie:
    """What the file says of its picture; None where it does not say."""

    seconds: float | None
    width: int | None
    height: int | None


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int  # of its content
    end: int


def read_movie(path: Path) -> Movie:
    """
    What an MP4 says of itself.

    Raises:
        BrokenMovie: it is none, it lacks a part, or a part of it has not come.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(256)
        if not looks_like_mp4(head):
            raise BrokenMovie(f"it is {_kind(head)}")
        found = {box.kind: box for box in _boxes(file, 0, size)}
        lacking = [kind.decode() for kind in (b"moov", b"mdat") if kind not in found]
        if lacking:
            raise BrokenMovie(f"it has no {lacking[0]} box")
        return _movie(file, found[b"moov"])


def looks_like_mp4(head: bytes) -> bool:
    """Whether the first bytes are an ISO media file's: a size, then ``ftyp``."""
    return head[4:8] == b"ftyp"


def _kind(head: bytes) -> str:
    """What a file is that is no MP4, from its first bytes."""
    if not head:
        return "empty"
    return "a web page" if head.lstrip()[:9].lower().startswith(_PAGE) else "no MP4"


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """The boxes between two places, one behind the other."""
    for _ in range(MOST_BOXES):
        # What is too short for a box is padding.
        if end - start < 8:
            return
        box = _box_at(file, start, end)
        yield box
        start = box.end
    raise BrokenMovie(f"it has more than {MOST_BOXES} boxes in one place")


def _box_at(file: BinaryIO, start: int, end: int) -> _Box:
    file.seek(start)
    head = file.read(_LONG)
    size, kind, content = _number(head[:4]), head[4:8], start + 8
    if size == 1:
        size, content = _number(head[8:]), start + _LONG
    elif size == 0:
        size = end - start
    # It may be any bytes, and the message goes into a database.
    name = kind.decode() if kind.isalnum() else "nameless"
    if start + size < content:
        raise BrokenMovie(f"its {name} box has no room for its own head")
    if start + size > end:
        raise BrokenMovie(
            f"it breaks off: {start + size - end} bytes of its {name} box are missing"
        )
    return _Box(kind, content, start + size)


def _movie(file: BinaryIO, moov: _Box) -> Movie:
    seconds, width, height = None, None, None
    for box in _boxes(file, moov.start, moov.end):
        if box.kind == b"mvhd":
            seconds = _seconds(file, box)
        elif box.kind == b"trak" and width is None:
            width, height = _picture(file, box)
    return Movie(seconds, width, height)


def _seconds(file: BinaryIO, mvhd: _Box) -> float | None:
    content = _content(file, mvhd)
    # Version 1 has longer times in front, and a longer length.
    scale, length = (20, 24) if content[:1] == b"\1" else (12, 16)
    ticks = _number(content[length : length + (8 if scale == 20 else 4)])
    per_second = _number(content[scale : scale + 4])
    return round(ticks / per_second, 3) if ticks and per_second else None


def _picture(file: BinaryIO, trak: _Box) -> tuple[int | None, int | None]:
    """Width and height of a track; neither where it is no picture."""
    for box in _boxes(file, trak.start, trak.end):
        if box.kind == b"tkhd":
            content = _content(file, box)
            sizes = content[88:96] if content[:1] == b"\1" else content[76:84]
            width, height = _number(sizes[:4]) // _FIXED, _number(sizes[4:]) // _FIXED
            return (width, height) if width and height else (None, None)
    return None, None


def _content(file: BinaryIO, box: _Box) -> bytes:
    file.seek(box.start)
    return file.read(min(box.end - box.start, 128))


def _number(data: bytes) -> int:
    return int.from_bytes(data)
