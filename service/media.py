"""
Looking into an MP4: its length and size, and a poster.

Needs the `media` extra (PyAV and Pillow); without it videos are kept and
played all the same, only without figures and poster.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

try:
    import av
    from PIL import Image
except ModuleNotFoundError:  # pragma: no cover - the extra is not installed
    av = None  # type: ignore[assignment]

POSTER_WIDTH = 640
POSTER_QUALITY = 82


@dataclass(frozen=True)
class Probe:
    """What an MP4 says of itself; `seconds` of its picture."""

    seconds: float
    width: int
    height: int


def available() -> bool:
    """Whether the `media` extra is installed."""
    return av is not None


def looks_like_mp4(head: bytes) -> bool:
    """Whether the first bytes are an ISO media file's: a size, then ``ftyp``."""
    return head[4:8] == b"ftyp"


def probe(path: Path) -> Probe | None:
    """Length and size of the picture; None when the file cannot be read as video."""
    if not available():
        return None
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            seconds = (container.duration or 0) / av.time_base
            return Probe(round(seconds, 3), stream.width, stream.height)
    except (av.FFmpegError, IndexError, ValueError, OSError):
        return None


def write_poster(path: Path, file: BinaryIO) -> bool:
    """A JPEG of the frame a third into the video; False when there is none to be had."""
    if not available():
        return False
    try:
        image = _frame(path)
        height = max(1, round(image.height * POSTER_WIDTH / image.width))
        image.resize((POSTER_WIDTH, height)).save(file, "JPEG", quality=POSTER_QUALITY)
    except (av.FFmpegError, IndexError, ValueError, OSError):
        return False
    return True


def _frame(path: Path) -> Image.Image:
    """The seek ends at a keyframe, which may lie far before: decoded forward from there."""
    with av.open(str(path), metadata_errors="ignore") as container:
        moment = (container.duration or 0) / av.time_base / 3
        container.seek(int(moment * av.time_base))
        for frame in container.decode(video=0):
            if frame.time is None or frame.time >= moment:
                image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
                return image
    raise IndexError("no frame so late")
