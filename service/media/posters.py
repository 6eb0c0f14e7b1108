"""Posters: pictures as JPEGs that are small enough for mails and cards."""

from __future__ import annotations

import io

from service.media.decoding import POSTER_BOX

try:
    from PIL import Image
except ModuleNotFoundError:  # pragma: no cover - the extra is not installed
    Image = None  # type: ignore[assignment]

#: Mails and cards carry a poster along.
POSTER_BYTES = 60_000
#: Share of the size, and JPEG quality: the first that is small enough; the last always is.
_TRIES = ((1.0, 82), (1.0, 65), (1.0, 45), (0.7, 45), (0.5, 45), (0.25, 45))


def poster_of(frame: Image.Image) -> bytes:
    """A JPEG of at most `POSTER_BYTES` that fills `POSTER_BOX` in one direction."""
    scale = min(POSTER_BOX[0] / frame.width, POSTER_BOX[1] / frame.height)
    return encode_jpeg(_scaled(frame, scale))


def encode_jpeg(picture: Image.Image) -> bytes:
    """The best JPEG of at most `POSTER_BYTES`; smaller than `picture` only where it must be."""
    content = b""
    for share, quality in _TRIES:
        file = io.BytesIO()
        _scaled(picture, share).save(file, "JPEG", quality=quality)
        content = file.getvalue()
        if len(content) <= POSTER_BYTES:
            break
    return content


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture if picture.size == size else picture.resize(size)
