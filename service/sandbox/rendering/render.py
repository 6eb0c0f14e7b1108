"""
Real videos: H.264 in MP4, of the asked length, size and ratio.

The picture shows what was asked for: the prompt in words, the given frames
first and last, the camera's move.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image, ImageOps

from service.sandbox.rendering.camera import View, view_at
from service.sandbox.rendering.caption import Caption
from service.sandbox.rendering.landscape import draw_landscape
from service.sandbox.rendering.planes import Planes, Size

FRAME_RATE = 24
SHORT_SIDE = 720
LONGEST = 3.0  # times the short side; a stranger image is cropped
STAGE = 1.25  # the picture is kept this much larger than the frame, so that zooming in stays sharp


@dataclass(frozen=True)
class Scene:
    """
    What a video shows.

    `seconds` is its exact length; images are the bytes of a JPEG, PNG or WebP;
    `camera` is an axis with a value from -10 to 10, or the name of a movement.
    A start image decides the frame, otherwise `aspect_ratio` does ("16:9").
    """

    prompt: str
    seconds: int = 5
    aspect_ratio: str = "16:9"
    start_image: bytes | None = None
    end_image: bytes | None = None
    camera: tuple[str, int] | str | None = None
    negative_prompt: str = ""
    label: str = ""


def render_video(
    path: Path, scene: Scene, short_side: int = SHORT_SIDE, frame_rate: int = FRAME_RATE
) -> None:
    """
    Writes the scene's MP4 to `path`, which appears only when it is whole.

    The same scene always gives the same pictures. `short_side` is in pixels,
    `frame_rate` in frames per second.

    Raises:
        PIL.UnidentifiedImageError: if an image cannot be read.
    """
    start, end = _opened(scene.start_image), _opened(scene.end_image)
    across, down = start.size if start else map(int, scene.aspect_ratio.split(":"))
    size = frame_size(across / down, short_side)
    frames = scene.seconds * frame_rate
    caption = Caption.draw(size, scene.prompt, scene.label, scene.negative_prompt)
    first = _staged(start or draw_landscape(_stage_size(size), scene.prompt), size)
    last = _staged(end, size) if end else first

    drifts = scene.camera is None and scene.start_image is None

    def paint(index: int) -> Planes:
        progress = index / (frames - 1)
        view = view_at(scene.camera, progress).nearer(1 - 0.08 * progress)
        if drifts:
            # Over a landscape, which is shown as large as it is drawn.
            view = View(x=0.4 + 0.2 * progress, share=1 / STAGE)
        canvas = _faded(first, last, progress).seen(size, view)
        caption.write(canvas.luma, (index + 1) / frames)
        return canvas

    part = path.with_name(f"{path.name}.part")
    _encode(part, size, frames, frame_rate, paint)
    part.replace(path)


def _opened(image: bytes | None) -> Image.Image | None:
    if image is None:
        return None
    return ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")


def frame_size(shape: float, short_side: int) -> Size:
    """The even frame size of that width by height whose shorter side is `short_side`."""
    shape = min(LONGEST, max(1 / LONGEST, shape))
    short = short_side // 2 * 2
    if shape >= 1:
        return round(short * shape / 2) * 2, short
    return short, round(short / shape / 2) * 2


def _stage_size(size: Size) -> Size:
    return int(size[0] * STAGE) // 2 * 2, int(size[1] * STAGE) // 2 * 2


def _staged(image: Image.Image, size: Size) -> Planes:
    return Planes.from_rgb(ImageOps.fit(image, _stage_size(size), Image.Resampling.BICUBIC))


def _faded(first: Planes, last: Planes, progress: float) -> Planes:
    """The first picture until a quarter of the way, the last one from three quarters on."""
    share = max(0.0, min(1.0, (progress - 0.25) / 0.5))
    if first is last or share in (0, 1):
        return last if share == 1 else first
    return first.blend(last, share)


def _encode(
    path: Path, size: Size, frames: int, frame_rate: int, paint: Callable[[int], Planes]
) -> None:
    # faststart puts the index in front, so that players begin before the end has come.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        options = {"preset": "ultrafast", "crf": "23", "tune": "zerolatency"}
        stream = container.add_stream("libx264", frame_rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for index in range(frames):
            frame = paint(index).frame()
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
