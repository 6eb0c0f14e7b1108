"""
Probing films: whether a file is whole and plays, its kind, length and size, a poster.

What the file says of itself is read first, without any library. With the
`media` extra (PyAV and Pillow) a frame is decoded as well, and becomes the
poster; without, there is none.
"""

from __future__ import annotations

import logging
import math
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from service.media.containers import (
    HEAD_BYTES,
    ISO,
    MATROSKA,
    BrokenMovie,
    Container,
    ProbeResult,
    container_of,
    describe_stranger,
)
from service.media.decoding import MAX_PIXELS, Decoder, NoVerdict
from service.media.geometry import transpose_of, upright_size
from service.media.matroska import read_matroska
from service.media.mp4 import read_mp4
from service.media.posters import poster_of

try:
    from PIL import Image
except ModuleNotFoundError:  # pragma: no cover - the extra is not installed
    Image = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

#: A generation is never a whole number of frames long.
TOLERATED_SECONDS = 0.75
#: Of the logarithm of width by height.
TOLERATED_SHAPE = 0.03

_READERS = {ISO: read_mp4, MATROSKA: read_matroska}
_decoder = Decoder()


def available() -> bool:
    """Whether the `media` extra is installed."""
    return Image is not None and find_spec("av") is not None


def probe(path: Path) -> ProbeResult:
    """
    What the film in a file is, with a poster where one can be made.

    Raises:
        BrokenMovie: it is no film, it is not whole, or it cannot be decoded.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        container = _container_of(file)
        read = _READERS.get(container)
        found = read(file, size) if read else ProbeResult(container.extension)
    too_large = (found.width or 0) * (found.height or 0) > MAX_PIXELS
    if too_large or not available():
        return found
    try:
        return _decode(path, container.demuxer, found)
    except NoVerdict as error:
        log.warning("no poster of %s: %s", path.name, error)
        return found


def salvage(path: Path) -> ProbeResult:
    """
    What a file holds that is not whole, but still plays.

    Raises:
        BrokenMovie: nothing of it is known to play.
    """
    with path.open("rb") as file:
        container = _container_of(file)
    if not available():
        raise BrokenMovie("nothing is installed that can check whether it plays")
    try:
        return _decode(path, container.demuxer, ProbeResult(container.extension))
    except NoVerdict as error:
        raise BrokenMovie(str(error)) from error


def _container_of(file: BinaryIO) -> Container:
    head = file.read(HEAD_BYTES)
    container = container_of(head)
    if container is None:
        raise BrokenMovie(f"it is {describe_stranger(head)}")
    return container


def _decode(path: Path, demuxer: str, found: ProbeResult) -> ProbeResult:
    """What a decoder sees counts for more than what the file says."""
    frame = _decoder.frame_of(path, demuxer)
    width, height = upright_size(*frame.stored, frame.pixel_ratio, frame.matrix)
    image = Image.frombuffer("RGB", frame.size, frame.pixels, "raw", "RGB", frame.stride, 1)
    if turn := transpose_of(frame.matrix):
        image = image.transpose(Image.Transpose[turn])
    seconds = frame.seconds or found.seconds
    return replace(found, seconds=seconds, width=width, height=height, poster=poster_of(image))


def differences(film: ProbeResult, seconds: float | None, ratio: str | None) -> list[str]:
    """In what a film is another than was asked for, a sentence each; None was not asked."""
    found = []
    if seconds and film.seconds and abs(film.seconds - seconds) > TOLERATED_SECONDS:
        found.append(f"it lasts {film.seconds:g} s, {seconds:g} s were asked for")
    if ratio and film.width and film.height:
        across, _, down = ratio.partition(":")
        off = math.log(film.width / film.height * int(down) / int(across))
        if abs(off) > TOLERATED_SHAPE:
            found.append(f"it is {film.width} × {film.height}, {ratio} was asked for")
    return found
