"""
Looking into an MP4: whether it is whole and can be played, its length and size, a poster.

With the `media` extra (PyAV and Pillow) a frame of it is really decoded, and
becomes the poster; without, its boxes alone have to do, and there is no poster.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

from service.media.mp4 import BrokenMovie, Movie, read_movie

try:
    import av
    from PIL import Image
except ModuleNotFoundError:  # pragma: no cover - the extra is not installed
    av = None  # type: ignore[assignment]

#: The poster fits into this, whichever way the video stands.
POSTER_BOX = (640, 1138)
#: Mails and cards carry it along.
POSTER_BYTES = 60_000
#: Share of the size, and JPEG quality: the first that is small enough; the last always is.
POSTER_TRIES = ((1.0, 82), (1.0, 65), (1.0, 45), (0.7, 45), (0.5, 45), (0.25, 45))
#: A generation is never a whole number of frames long.
SECONDS_OFF = 0.75
SHAPE_OFF = 0.03


@dataclass(frozen=True)
class ProbeResult:
    """What was found in a video that can be played; the poster is a JPEG, where there is one."""

    movie: Movie
    poster: bytes | None = None


def available() -> bool:
    """Whether the `media` extra is installed."""
    return av is not None


def probe(path: Path) -> ProbeResult:
    """
    A video's figures and poster.

    Raises:
        BrokenMovie: it is no MP4, it is not whole, or it cannot be decoded.
    """
    movie = read_movie(path)
    if not available():
        return ProbeResult(movie)
    try:
        found, frame = _decoded(path)
    # What is damaged in its head makes PyAV raise anything, down to AttributeError.
    except Exception as error:
        raise BrokenMovie(f"it cannot be decoded ({type(error).__name__})") from error
    return ProbeResult(found, poster_of(frame))


def _decoded(path: Path) -> tuple[Movie, Image.Image]:
    """The seek ends at a keyframe, which may lie far before: decoded forward from there."""
    with av.open(str(path), metadata_errors="ignore") as container:
        stream = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        movie = Movie(round(seconds, 3), stream.width, stream.height)
        container.seek(int(seconds / 3 * av.time_base))
        for frame in container.decode(video=0):
            if frame.time is None or frame.time >= seconds / 3:
                image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
                return movie, image
    raise IndexError("no frame so late")


def poster_of(frame: Image.Image) -> bytes:
    """A JPEG of at most `POSTER_BYTES`."""
    fit = min(POSTER_BOX[0] / frame.width, POSTER_BOX[1] / frame.height)
    made = (_jpeg(frame, fit * share, quality) for share, quality in POSTER_TRIES)
    jpeg = b""
    for jpeg in made:
        if len(jpeg) <= POSTER_BYTES:
            break
    return jpeg


def _jpeg(frame: Image.Image, scale: float, quality: int) -> bytes:
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    file = io.BytesIO()
    frame.resize(size).save(file, "JPEG", quality=quality)
    return file.getvalue()


def differences(movie: Movie, seconds: float | None, ratio: str | None) -> list[str]:
    """In what a video is another than was asked for, a sentence each; None was not asked."""
    found = []
    if seconds and movie.seconds and abs(movie.seconds - seconds) > SECONDS_OFF:
        found.append(f"it lasts {movie.seconds:g} s, {seconds:g} s were asked for")
    if ratio and movie.width and movie.height:
        across, _, down = ratio.partition(":")
        off = math.log(movie.width / movie.height * int(down) / int(across))
        if abs(off) > SHAPE_OFF:
            found.append(f"it is {movie.width} × {movie.height}, {ratio} was asked for")
    return found
