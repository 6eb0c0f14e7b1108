"""Small films for tests, made with PyAV or by hand, and ways to make them large or broken."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import av
from PIL import Image

#: Which writer makes a kind of file, where its ending does not say it.
_FORMATS = {"m4v": "ipod"}
_ONE = 0x10000
#: Display matrices by the name of what `PIL.Image.Transpose` does to show such a picture upright.
MATRICES = {
    "": (_ONE, 0, 0, _ONE),
    "ROTATE_270": (0, _ONE, -_ONE, 0),
    "ROTATE_180": (-_ONE, 0, 0, -_ONE),
    "ROTATE_90": (0, -_ONE, _ONE, 0),
    "FLIP_LEFT_RIGHT": (-_ONE, 0, 0, _ONE),
    "FLIP_TOP_BOTTOM": (_ONE, 0, 0, -_ONE),
    "TRANSPOSE": (0, _ONE, _ONE, 0),
    "TRANSVERSE": (0, -_ONE, -_ONE, 0),
}


def film(width: int = 64, height: int = 36, frames: int = 30, title: str = "") -> bytes:
    """A film that turns from red to blue halfway through, at ten frames a second."""
    # With its index in front, as vendors send it: cut short it still plays a while.
    return record(width, height, frames, title, flags="+faststart")


@lru_cache
def record(
    width: int = 64,
    height: int = 36,
    frames: int = 30,
    title: str = "",
    *,
    kind: str = "mp4",
    codec: str = "libx264",
    pixels: str = "yuv420p",
    flags: str = "",
    keyframe_every: int = 250,
    pixel_ratio: Fraction | None = None,
    corners: bool = False,
) -> bytes:
    """A film as `film` makes it, of any kind; `corners` paints them red, green, blue, white."""
    options = {"movflags": flags} if flags else {}
    with (
        _same_priority(),
        NamedTemporaryFile(suffix=f".{kind}") as file,
        av.open(file.name, "w", _FORMATS.get(kind), options) as container,
    ):
        if title:
            container.metadata["title"] = title
        stream: Any = container.add_stream(codec, rate=10, options={"g": str(keyframe_every)})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if pixel_ratio:
            stream.sample_aspect_ratio = pixel_ratio
        for number in range(frames):
            colour = "red" if number < frames / 2 else "blue"
            image = (
                four_corners(width, height)
                if corners
                else Image.new("RGB", (width, height), colour)
            )
            frame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        container.close()
        return Path(file.name).read_bytes()


@contextmanager
def _same_priority() -> Iterator[None]:
    """
    Give the thread back the scheduling that it had.

    As root, SVT-AV1 makes the thread that starts it a real-time one of the highest
    priority; all that it starts later inherits that, and starves the machine.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def four_corners(width: int, height: int) -> Image.Image:
    """A picture of four colours, whose turns and mirrorings are all different."""
    small = Image.new("RGB", (2, 2))
    for place, colour in (((0, 0), "red"), ((1, 0), "green"), ((0, 1), "blue"), ((1, 1), "white")):
        small.paste(colour, (*place, place[0] + 1, place[1] + 1))
    return small.resize((width, height), Image.Resampling.NEAREST)


@lru_cache
def sound(
    kind: str = "mp4",
    codec: str = "aac",
    sample: str = "fltp",
    samples: int = 1024,
    **comments: str,
) -> bytes:
    """A file with a moment of silence and no picture; `comments` are its stream's."""
    with NamedTemporaryFile(suffix=f".{kind}") as file, av.open(file.name, "w") as container:
        stream: Any = container.add_stream(codec, rate=48000, layout="mono")
        stream.metadata.update(comments)
        for number in range(4):
            frame = av.AudioFrame(sample, "mono", samples)
            frame.sample_rate, frame.pts = 48000, number * samples
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        container.close()
        return Path(file.name).read_bytes()


def turned(content: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """The film with this matrix in the header of its track."""
    start = content.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix
    numbers = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    return content[:start] + numbers + content[start + 36 :]


def shifted(content: bytes, by: int) -> bytes:
    """The film with its one table of places moved by so many bytes."""
    start = content.index(b"stco") + 8
    count = int.from_bytes(content[start : start + 4])
    numbers = struct.unpack_from(f">{count}I", content, start + 4)
    moved = struct.pack(f">{count}I", *(number + by for number in numbers))
    return content[: start + 4] + moved + content[start + 4 + 4 * count :]


def boxes_of(content: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and bytes of each box at the top of a file; all have a size of four bytes."""
    found = []
    while content:
        size = int.from_bytes(content[:4])
        found.append((content[4:8], content[:size]))
        content = content[size:]
    return found


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    """A box; `size` is what its head says where that is not the truth."""
    return (len(content) + 8 if size is None else size).to_bytes(4) + kind + content


def padding(size: int) -> bytes:
    """The head of a box that players skip; the bytes of its content are to follow."""
    return box(b"free", size=size + 8)
