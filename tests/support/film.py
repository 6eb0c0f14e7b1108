"""Small films for tests, made with PyAV, and ways to make them large or broken."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile

import av
from PIL import Image


@lru_cache
def film(width: int = 64, height: int = 36, frames: int = 30, title: str = "") -> bytes:
    """A film that turns from red to blue halfway through, at ten frames a second."""
    # With its index in front, as vendors send it: cut short it still plays a while.
    options = {"movflags": "+faststart"}
    with (
        NamedTemporaryFile(suffix=".mp4") as file,
        av.open(file.name, "w", options=options) as container,
    ):
        if title:
            container.metadata["title"] = title
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            colour = "red" if number < frames / 2 else "blue"
            frame = av.VideoFrame.from_image(Image.new("RGB", (width, height), colour))  # type: ignore[no-untyped-call]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        container.close()
        return Path(file.name).read_bytes()


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    """A box; `size` is what its head says where that is not the truth."""
    return (len(content) + 8 if size is None else size).to_bytes(4) + kind + content


def padding(size: int) -> bytes:
    """The head of a box that players skip; the bytes of its content are to follow."""
    return box(b"free", size=size + 8)
