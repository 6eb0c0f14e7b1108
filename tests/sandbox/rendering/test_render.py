"""The sandbox's videos, opened again with a real decoder."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops, ImageStat, UnidentifiedImageError
from support.sandboxes import FRAME_RATE

from service.catalogue.entries import CAMERA_AXES, CAMERA_TYPES
from service.sandbox.rendering.render import Scene, render_video

Colour = tuple[int, ...]


@dataclass(frozen=True)
class Video:
    """A decoded file."""

    codec: str
    pixels: str
    rate: float
    seconds: float
    frames: list[Image.Image]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frames[0].size


def watch(path: Path) -> Video:
    """Decodes every frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate is not None
        assert container.duration is not None
        return Video(
            stream.codec_context.name,
            str(stream.codec_context.pix_fmt),
            float(stream.average_rate),
            container.duration / av.time_base,
            list(map(_image, container.decode(video=0))),
        )


def _image(frame: av.VideoFrame) -> Image.Image:
    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    return image


def rendered(
    folder: Path, scene: Scene, short_side: int = 90, frame_rate: int = FRAME_RATE
) -> Video:
    """Renders the scene, by default small and with few frames, and watches it."""
    path = folder / "video.mp4"
    render_video(path, scene, short_side, frame_rate)
    return watch(path)


def middle(frame: Image.Image) -> Colour:
    """The mean colour of the upper middle, where no words stand."""
    width, height = frame.size
    box = (width // 4, height // 8, width * 3 // 4, height * 3 // 8)
    return tuple(round(value) for value in ImageStat.Stat(frame.crop(box)).mean)


def near(one: Colour, other: Colour, by: int = 24) -> bool:
    """Whether two colours differ by little; encoding costs some."""
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two frames, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def picture(colour: str, size: tuple[int, int] = (120, 90), kind: str = "PNG") -> bytes:
    """An image file of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def test_full_size_video(tmp_path: Path) -> None:
    """The default is 720p H.264 at 24 frames a second, five seconds to the frame."""
    video = rendered(tmp_path, Scene("A red fox in the snow"), 720, 24)

    assert ("h264", "yuv420p", 24.0) == (video.codec, video.pixels, video.rate)
    assert (5.0, 120, (1280, 720)) == (video.seconds, len(video.frames), video.size)


def test_index_stands_in_front(tmp_path: Path) -> None:
    """A player can start before the file's end has arrived."""
    path = tmp_path / "video.mp4"
    render_video(path, Scene("A fox"), 90)
    content = path.read_bytes()

    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(
    ("ratio", "size"), [("16:9", (160, 90)), ("9:16", (90, 160)), ("1:1", (90, 90))]
)
def test_ratio_and_length(tmp_path: Path, ratio: str, size: tuple[int, int]) -> None:
    """Ten seconds are ten seconds, in each of the ratios."""
    video = rendered(tmp_path, Scene("A fox", seconds=10, aspect_ratio=ratio))

    assert (10.0, 60, size) == (video.seconds, len(video.frames), video.size)


def test_picture_moves(tmp_path: Path) -> None:
    """It is a film: frames a second apart differ all the way."""
    frames = rendered(tmp_path, Scene("A fox")).frames[::FRAME_RATE]

    assert all(difference(a, b) > 1 for a, b in pairwise(frames))


def test_prompt_decides_the_picture(tmp_path: Path) -> None:
    """The same scene gives the same file, another prompt another picture."""
    first, again, other = (tmp_path / name for name in ("1.mp4", "2.mp4", "3.mp4"))
    render_video(first, Scene("A fox"), 90, FRAME_RATE)
    render_video(again, Scene("A fox"), 90, FRAME_RATE)
    render_video(other, Scene("A ship"), 90, FRAME_RATE)

    assert first.read_bytes() == again.read_bytes()
    assert difference(watch(first).frames[15], watch(other).frames[15]) > 5


def test_words_are_in_the_picture(tmp_path: Path) -> None:
    """Prompt, label and negative prompt all leave their ink."""
    colour = picture("#203050")
    plain = rendered(tmp_path, Scene("", start_image=colour)).frames[15]
    for scene in (
        Scene("A fox", start_image=colour),
        Scene("", start_image=colour, label="kling-2"),
        Scene("", start_image=colour, negative_prompt="blur"),
    ):
        worded = rendered(tmp_path, scene).frames[15]
        change = ImageChops.difference(plain.convert("L"), worded.convert("L"))
        extrema = change.crop((0, 45, plain.width, 90)).getextrema()
        assert isinstance(extrema[1], (int, float))
        assert extrema[1] > 40


def test_any_prompt_can_be_set(tmp_path: Path) -> None:
    """No prompt breaks the typesetting: endless words, other scripts, control characters."""
    for prompt in ("x" * 2500, "word " * 500, "日本語 🎬 مرحبا", "a\x01\u200b\nb", ""):
        assert 5 * FRAME_RATE == len(rendered(tmp_path, Scene(prompt)).frames)


def test_start_and_end_frame(tmp_path: Path) -> None:
    """The first image opens, the last one closes, and between them one fades into the other."""
    scene = Scene("Dawn to night", start_image=picture("#c04020"), end_image=picture("#2040c0"))
    frames = rendered(tmp_path, scene).frames

    assert near((0xC0, 0x40, 0x20), middle(frames[0]))
    assert near((0x20, 0x40, 0xC0), middle(frames[-1]))
    assert near((0x70, 0x40, 0x70), middle(frames[15]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_image_decides_the_frame(tmp_path: Path, kind: str) -> None:
    """With an image its ratio holds, in even pixels, whatever was asked for."""
    scene = Scene("x", aspect_ratio="9:16", start_image=picture("#408040", (201, 100), kind))

    assert (180, 90) == rendered(tmp_path, scene).size


def test_strange_shapes_are_cropped(tmp_path: Path) -> None:
    """A strip of an image still gives a video that players show."""
    scene = Scene("x", start_image=picture("#408040", (900, 10)))

    assert (270, 90) == rendered(tmp_path, scene).size


CAMERAS = [(axis, sign * 10) for axis in CAMERA_AXES for sign in (1, -1)]
MOVES = [move for move in CAMERA_TYPES if move != "simple"]


@pytest.mark.parametrize("camera", [*CAMERAS, *MOVES], ids=str)
def test_camera_moves_are_seen(tmp_path: Path, camera: tuple[str, int] | str) -> None:
    """Every axis and every named move changes the picture from its first frame to its last."""
    halves = Image.new("RGB", (160, 90), "#c04020")
    halves.paste("#2040c0", (80, 0, 160, 45))
    halves.paste("#30a050", (60, 10, 100, 30))
    buffer = io.BytesIO()
    halves.save(buffer, "PNG")
    still = rendered(tmp_path, Scene("", start_image=buffer.getvalue())).frames
    moved = rendered(tmp_path, Scene("", start_image=buffer.getvalue(), camera=camera)).frames

    assert difference(still[0], moved[0]) + difference(still[-1], moved[-1]) > 8
    assert difference(moved[0], moved[-1]) > 8


def test_opposite_values_move_opposite_ways(tmp_path: Path) -> None:
    """Zooming out ends where zooming in began."""
    zoom_in = rendered(tmp_path, Scene("A fox", camera=("zoom", 10))).frames
    zoom_out = rendered(tmp_path, Scene("A fox", camera=("zoom", -10))).frames

    assert difference(zoom_in[-1], zoom_out[0]) < difference(zoom_in[-1], zoom_out[-1])


def test_broken_image_leaves_nothing(tmp_path: Path) -> None:
    """An unreadable image raises, and no file or half a file stays behind."""
    with pytest.raises(UnidentifiedImageError):
        render_video(tmp_path / "video.mp4", Scene("x", start_image=b"no image"), 90)

    assert [] == list(tmp_path.iterdir())
