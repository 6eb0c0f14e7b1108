"""
MP4 and its relatives (MOV, M4V, 3GP), read without any library.

Enough to distinguish a whole film from one that breaks off, and to find its length
and size before anything is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO

from service.media.containers import BrokenMovie, ProbeResult
from service.media.iso_boxes import Box, children, content, inner, walk
from service.media.iso_tracks import UNKNOWN_TRACK, Track, read_length, read_matrix, read_track

#: What may stand at the top of a file. Anything else there is a stranger's, and may be any bytes.
_KINDS = frozenset(
    b"ftyp styp pdin moov mdat moof mfra sidx ssix emsg prft"
    b" free skip wide uuid udta meta meco pnot".split()
)
#: How the brand begins that a file names first; every other is MP4.
_BRANDS = {b"qt ": "mov", b"mqt": "mov", b"M4V": "m4v", b"3gp": "3gp", b"3g2": "3g2"}
_MAX_TRACKS = 32


@dataclass(frozen=True)
class _Layout:
    """The boxes at the top of a file: the first of each kind, and the one that breaks off."""

    boxes: dict[bytes, Box]
    cut: Box | None


def read_mp4(file: BinaryIO, size: int) -> ProbeResult:
    """
    What a file of so many bytes says of its film.

    Raises:
        BrokenMovie: it lacks a part, a part of it has not come, or it has no picture.
    """
    layout = _read_layout(file, size)
    moov = layout.boxes[b"moov"]
    header = content(file, children(file, moov).get(b"mvhd"))
    matrix = read_matrix(header[48:] if header[:1] == b"\1" else header[36:])
    traks = (box for box in inner(file, moov) if box.kind == b"trak")
    tracks = [read_track(file, trak, matrix) for trak in islice(traks, _MAX_TRACKS)]
    # QuickTime may keep all of it compressed, for a decoder to read.
    if not tracks and b"cmov" not in children(file, moov):
        raise BrokenMovie("it has no track")
    _check_samples(layout, tracks, size)
    pictures = [track for track in tracks if track.is_picture]
    if not pictures and tracks and all(track.handler for track in tracks):
        raise BrokenMovie("it has no picture")
    # A player shows the first that is enabled.
    picture = next(chain((t for t in pictures if t.enabled), pictures, [UNKNOWN_TRACK]))
    seconds = read_length(header) or picture.seconds
    if b"moof" in layout.boxes:
        seconds = None  # The header knows the first fragment at most.
    extension = _BRANDS.get(content(file, layout.boxes.get(b"ftyp"))[:3], "mp4")
    return ProbeResult(extension, seconds, *(picture.size or (None, None)))


def _read_layout(file: BinaryIO, size: int) -> _Layout:
    """
    Up to the first thing that is no box of this format, or that ends beyond the file.

    Raises:
        BrokenMovie: there is no ``moov`` or ``mdat``, or ``moov`` has not come whole.
    """
    boxes: dict[bytes, Box] = {}
    cut = None
    for box in walk(file, 0, size):
        if box.end > size and box.kind not in _KINDS:
            break
        boxes.setdefault(box.kind, box)
        if box.end > size:
            cut = box
            break
    missing = [kind.decode() for kind in (b"moov", b"mdat") if kind not in boxes]
    if cut and (missing or cut is boxes[b"moov"]):
        raise _breaks_off(cut, size)
    if missing:
        raise BrokenMovie(f"it has no {missing[0]} box")
    return _Layout(boxes, cut)


def _check_samples(layout: _Layout, tracks: Sequence[Track], size: int) -> None:
    """
    Raises BrokenMovie unless all samples are there.

    Where they are is what counts: with all of them there, a box that ends
    beyond the file may be a wrong size, or no box at all.
    """
    end = max((track.samples_end for track in tracks), default=0)
    known = end and b"moof" not in layout.boxes
    if layout.cut and (not known or end > size):
        raise _breaks_off(layout.cut, size)
    if end > size:
        raise BrokenMovie(f"it breaks off: {end - size} bytes of its samples are missing")


def _breaks_off(box: Box, size: int) -> BrokenMovie:
    missing, kind = box.end - size, box.kind.decode()
    return BrokenMovie(f"it breaks off: {missing} bytes of its {kind} box are missing")
