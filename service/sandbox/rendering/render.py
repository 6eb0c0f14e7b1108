"""
Real videos: H.264 in MP4, of the asked length, size and ratio.

The picture shows what was asked for: the prompt in words, the given frames
first and last, the camera's move.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import av
from PIL import Image, ImageOps

from service.sandbox.rendering.camera import View, view_at
from service.sandbox.rendering.caption import Caption
from service.sandbox.rendering.landscape import Landscape, even, particles, scatter
from service.sandbox.rendering.picture import Picture, Size

FRAME_RATE = 24
SHORT_SIDE = 720
LONGEST = 3.0  # times the short side; a stranger image is cropped
STAGE = 1.2  # given frames are kept this much larger, so that zooming in stays sharp


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
    start = _opened(scene.start_image)
    across, down = start.size if start else map(int, scene.aspect_ratio.split(":"))
    size = frame_size(across / down, short_side)
    frames = scene.seconds * frame_rate
    caption = Caption.draw(size, scene.prompt, scene.label, scene.negative_prompt)
    stage = _frame_stage(scene, size, start) if start else _land_stage(scene, size, frames)

    def paint(index: int) -> Picture:
        canvas = stage(index, index / (frames - 1))
        caption.write(canvas, index, frames)
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


def _seed(scene: Scene) -> int:
    return int.from_bytes(hashlib.sha256(scene.prompt.encode()).digest()[:8])


def _land_stage(scene: Scene, size: Size, frames: int) -> Callable[[int, float], Picture]:
    land = Landscape.draw(size, frames, _seed(scene))
    if scene.camera is None:
        return lambda index, _: land.picture(index)
    return lambda index, progress: _shot(land.picture(index), size, view_at(scene.camera, progress))


def _frame_stage(scene: Scene, size: Size, start: Image.Image) -> Callable[[int, float], Picture]:
    """The given frames, slowly coming nearer, the first fading into the last."""
    end = _opened(scene.end_image)
    first, last = _staged(start, size), _staged(end or start, size)
    dice = Random(_seed(scene))  # noqa: S311 - a picture, not a secret
    dust = tuple(particles(size, (255, 246, 228), 16, dice))

    def stage(index: int, progress: float) -> Picture:
        way = max(0.0, min(1.0, (progress - 0.25) / 0.5)) if end else 0.0
        share = way * way * (3 - 2 * way)
        shown = first if share == 0 else last if share == 1 else first.blend(last, share)
        canvas = _shot(shown, size, view_at(scene.camera, progress).nearer(1 - 0.08 * progress))
        scatter(canvas, dust, index)
        return canvas

    return stage


def _staged(image: Image.Image, size: Size) -> Picture:
    wanted = (even(size[0] * STAGE), even(size[1] * STAGE))
    return Picture.from_rgb(ImageOps.fit(image, wanted, Image.Resampling.BICUBIC))


def _shot(stage: Picture, size: Size, view: View) -> Picture:
    """What the camera sees of the stage."""
    return stage.seen(size, view.box, view.roll)


def _encode(
    path: Path, size: Size, frames: int, frame_rate: int, paint: Callable[[int], Picture]
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
