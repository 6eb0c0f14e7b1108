"""Probing films: whole and decodable with figures and a poster, or reported what is wrong."""

from __future__ import annotations

import base64
import io
import random
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image
from support.film import MATRICES, film, four_corners, record, sound, turned

from service.media import probe
from service.media.containers import BrokenMovie, ProbeResult
from service.media.posters import poster_of

CORNERS = ["red", "green", "blue", "white"]


def find(tmp_path: Path, content: bytes) -> ProbeResult:
    """What is found in a file of this content."""
    path = tmp_path / "a.part"
    path.write_bytes(content)
    return probe.probe(path)


def figures(found: ProbeResult) -> tuple[str, float | None, int | None, int | None]:
    """All but the poster."""
    return found.extension, found.seconds, found.width, found.height


def opened(poster: bytes | None) -> Image.Image:
    """A poster as an image."""
    assert poster is not None
    return Image.open(io.BytesIO(poster))


def corners(image: Image.Image) -> list[str]:
    """The colours from the left above to the right below."""
    names = {(255, 0, 0): "red", (0, 255, 0): "green", (0, 0, 255): "blue"}
    small = image.convert("RGB").resize((4, 4)).point(lambda value: 255 * (value > 70))
    pixels = [small.getpixel((x, y)) for y in (0, 3) for x in (0, 3)]
    return [names.get(pixel, "white") for pixel in pixels]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "codec", "pixels"),
    [
        *[(kind, "libx264", "yuv420p") for kind in ("mp4", "mov", "m4v", "mkv", "ts")],
        ("mp4", "libx265", "yuv420p10le"),
        ("mp4", "libsvtav1", "yuv420p10le"),
        ("mp4", "libx264", "yuv444p"),
        ("mov", "prores_ks", "yuv422p10le"),
        ("3gp", "mpeg4", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("webm", "libvpx", "yuv420p"),
        ("webm", "libsvtav1", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
    ],
)
def test_kinds(tmp_path: Path, kind: str, codec: str, pixels: str) -> None:
    """Whatever a decoder plays is a film of its own kind, with its figures and a poster."""
    content = record(128, 72, kind=kind, codec=codec, pixels=pixels, corners=True)
    found = find(tmp_path, content)

    assert (kind, 3.0, 128, 72) == figures(found)
    assert (CORNERS, (640, 360)) == (corners(opened(found.poster)), opened(found.poster).size)


@pytest.mark.parametrize(
    ("kind", "codec"),
    [("flv", "libx264"), ("mpg", "mpeg2video"), ("wmv", "wmv2"), ("m2ts", "libx264")],
)
def test_kinds_that_count_roughly(tmp_path: Path, kind: str, codec: str) -> None:
    """Kinds whose lengths are estimates are films as well."""
    found = find(tmp_path, record(128, 72, kind=kind, codec=codec, corners=True))

    assert (kind, 128, 72) == (found.extension, found.width, found.height)
    assert 2.5 < (found.seconds or 0) < 3.5
    assert CORNERS == corners(opened(found.poster))


FRAGMENTED = ["frag_keyframe", "frag_keyframe+empty_moov", "frag_every_frame+empty_moov"]


@pytest.mark.parametrize("flags", FRAGMENTED)
def test_fragments(tmp_path: Path, flags: str) -> None:
    """The length of a film of fragments is that of all of them."""
    assert ("mp4", 3.0, 64, 36) == figures(find(tmp_path, record(flags=flags, keyframe_every=5)))


def test_recorded_live(tmp_path: Path) -> None:
    """A film that was written before its length was known is measured."""
    whole = record(kind="webm", codec="libvpx-vp9")
    start = whole.index(b"\x44\x89\x88")
    content = whole[:start] + b"\xec\x89" + bytes(9) + whole[start + 11 :]

    assert ("webm", 3.0, 64, 36) == figures(find(tmp_path, content))


@pytest.mark.parametrize("turn", MATRICES)
@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_upright(tmp_path: Path, kind: str, turn: str) -> None:
    """A film that is stored turned or mirrored has an upright size and poster."""
    stored = four_corners(128, 72)
    shown = stored.transpose(Image.Transpose[turn]) if turn else stored
    found = find(tmp_path, turned(record(128, 72, kind=kind, corners=True), MATRICES[turn]))
    poster = opened(found.poster)

    assert (kind, 3.0, *shown.size) == figures(found)
    assert corners(shown) == corners(poster)
    assert (640, 360) if shown.width > shown.height else (640, 1138) == poster.size


@pytest.mark.parametrize(
    ("size", "ratio", "shown", "poster"),
    [
        ((72, 58), Fraction(16, 11), (105, 58), (640, 354)),
        ((72, 48), Fraction(8, 9), (64, 48), (640, 480)),
        ((72, 58), Fraction(1, 2), (36, 58), (640, 1031)),
    ],
)
def test_oblong_pixels(
    tmp_path: Path,
    size: tuple[int, int],
    ratio: Fraction,
    shown: tuple[int, int],
    poster: tuple[int, int],
) -> None:
    """A film with oblong pixels, and its poster, are as wide as it is shown."""
    found = find(tmp_path, record(*size, pixel_ratio=ratio))

    assert ("mp4", 3.0, *shown) == figures(found)
    assert poster == opened(found.poster).size


@pytest.mark.parametrize(("width", "height"), [(63, 35), (35, 63), (1, 1), (2, 2)])
def test_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    """Sizes need not be even."""
    found = find(tmp_path, record(width, height, 3, kind="webm", codec="libvpx-vp9"))

    assert (width, height) == (found.width, found.height)
    assert found.poster


def test_poster(tmp_path: Path) -> None:
    """A JPEG of the first third, in the film's shape."""
    image = opened(find(tmp_path, film()).poster)
    red, _, blue = image.convert("RGB").getpixel((320, 180))  # type: ignore[misc]

    assert ("JPEG", (640, 360)) == (image.format, image.size)
    assert red > 200 > 60 > blue


@pytest.mark.parametrize(
    ("size", "expected"),
    [((36, 64), (640, 1138)), ((64, 64), (640, 640)), ((1920, 1080), (640, 360))],
)
def test_shapes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """A poster stands as its video does, as wide as a message."""
    assert expected == opened(poster_of(Image.new("RGB", size))).size


@pytest.mark.parametrize("size", [(640, 360), (1080, 1920), (1440, 1440)])
def test_poster_is_small(size: tuple[int, int]) -> None:
    """Even noise, which no JPEG can make small, ends below 60 KB."""
    noise = random.Random(1).randbytes(size[0] * size[1] * 3)
    poster = poster_of(Image.frombytes("RGB", size, noise))

    assert 0 < len(poster) <= 60_000
    assert opened(poster).width >= 160


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short(tmp_path: Path, frames: int) -> None:
    """A film of a frame or two has a poster too."""
    assert find(tmp_path, film(frames=frames)).poster


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv"])
def test_half_a_film(tmp_path: Path, kind: str, share: float) -> None:
    """A film that breaks off is none."""
    content = record(kind=kind)
    with pytest.raises(BrokenMovie, match=r"breaks off|has no"):
        find(tmp_path, content[: int(len(content) * share)])


@pytest.mark.parametrize("share", [0.9, 0.95])
def test_salvage(tmp_path: Path, share: float) -> None:
    """A film that breaks off behind its index still plays, and has a poster."""
    path = tmp_path / "a.part"
    path.write_bytes(film()[: int(len(film()) * share)])
    found = probe.salvage(path)

    assert ("mp4", 3.0, 64, 36) == figures(found)
    assert found.poster


@pytest.mark.parametrize("content", [b"", b"<html>", film()[:900], record()[:-900], sound()])
def test_nothing_to_salvage(tmp_path: Path, content: bytes) -> None:
    """Without an index or a picture nothing plays."""
    path = tmp_path / "a.part"
    path.write_bytes(content)
    with pytest.raises(BrokenMovie):
        probe.salvage(path)


def noisy(content: bytes) -> bytes:
    """The film with noise for a picture."""
    start = content.index(b"mdat") + 4
    return content[:start] + b"\xff" * (len(content) - start)


def test_noise_in_a_whole_file(tmp_path: Path) -> None:
    """Boxes that are all there, with noise for a picture, cannot be decoded."""
    with pytest.raises(BrokenMovie, match="cannot be decoded"):
        find(tmp_path, noisy(film()))


@pytest.mark.parametrize("damaged", [[100], [0, 50, 100], [150, 200, 250]])
def test_damage_in_some_places(tmp_path: Path, damaged: list[int]) -> None:
    """A film of which some keyframes can be decoded has a poster of one of them."""
    content = bytearray(record(frames=300, keyframe_every=50))
    with av.open(io.BytesIO(content), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.is_keyframe]
    for packet in (packets[number // 50] for number in damaged):
        start = packet.pos or 0
        content[start : start + packet.size] = b"\xff" * packet.size

    assert find(tmp_path, bytes(content)).poster


def test_damaged_film(tmp_path: Path) -> None:
    """Noise anywhere is either seen or harmless; it never raises anything else."""
    dice = random.Random(2)
    for _ in range(40):
        content = bytearray(film(frames=60))
        start = dice.randrange(len(content) - 100)
        content[start : start + 100] = dice.randbytes(100)
        try:
            assert "mp4" == find(tmp_path, bytes(content)).extension
        except BrokenMovie as error:
            assert str(error)


def test_title_in_another_encoding(tmp_path: Path) -> None:
    """A film with a title that is not UTF-8 is a film all the same."""
    whole = film(title="TITLETITLE").replace(b"TITLETITLE", b"\xff\xfe\xe9\xe8\xe9" * 2)

    assert ("mp4", 3.0, 64, 36) == figures(find(tmp_path, whole))


@pytest.mark.parametrize(("width", "height"), [(4096, 2), (2, 4096)])
def test_ribbon(tmp_path: Path, width: int, height: int) -> None:
    """A film of an absurd shape has a poster of that shape."""
    found = find(tmp_path, film(width, height, frames=2))

    assert ("mp4", 0.2, width, height) == figures(found)
    assert 1 == min(opened(found.poster).size)


@pytest.mark.parametrize(
    "content",
    [
        sound(),
        sound("webm", "libopus", "flt", 960),
        sound("ogg", "libopus", "flt", 960),
    ],
)
def test_sound_only(tmp_path: Path, content: bytes) -> None:
    """A file without a picture is no video."""
    with pytest.raises(BrokenMovie, match="no picture"):
        find(tmp_path, content)


def cover() -> str:
    """A picture as music carries it (FLAC's form, in base64)."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    data, kind = file.getvalue(), b"image/png"
    head = struct.pack(">II", 3, len(kind)) + kind + struct.pack(">6I", 0, 8, 8, 24, 0, len(data))
    return base64.b64encode(head + data).decode()


def test_music_with_a_cover(tmp_path: Path) -> None:
    """A picture that never moves is no film."""
    with pytest.raises(BrokenMovie, match="no picture"):
        find(tmp_path, sound("ogg", "libopus", "flt", 960, METADATA_BLOCK_PICTURE=cover()))


def resized(content: bytes, width: int, height: int) -> bytes:
    """The film with another size in the heads of its track and of its samples."""
    start = content.index(b"tkhd") + 4 + 76
    sizes = struct.pack(">II", width << 16, height << 16)
    content = content[:start] + sizes + content[start + 8 :]
    start = content.index(b"avc1", content.index(b"stsd")) + 4 + 24
    return content[:start] + struct.pack(">HH", width, height) + content[start + 4 :]


def test_too_large_to_decode(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A film that is larger than any screen is kept by what its boxes say, without a poster."""
    expected = ProbeResult("mp4", 3.0, 16000, 8000)

    assert expected == find(tmp_path, resized(film(), 16000, 8000))
    assert [] == caplog.records


def test_size_that_is_not_true(tmp_path: Path) -> None:
    """A decoder that sees another size is believed."""
    assert ("mp4", 3.0, 64, 36) == figures(find(tmp_path, resized(film(), 640, 360)))


def test_codec_that_nobody_knows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A film that only other decoders play is kept without a poster, and the log says why."""
    content = film()
    start = content.index(b"avc1", content.index(b"stsd"))
    found = find(tmp_path, content[:start] + b"zzzz" + content[start + 4 :])

    assert ProbeResult("mp4", 3.0, 64, 36) == found
    assert ["no poster of a.part: there is no decoder for it"] == caplog.messages


WITHOUT_EXTRA = """
import pathlib, sys
sys.modules["av"] = None
from service.media import probe
print(probe.available(), probe.probe(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (film(), ProbeResult("mp4", 3.0, 64, 36)),
        (film() + b"\r\n-- the end --\r\n", ProbeResult("mp4", 3.0, 64, 36)),
        (turned(record(kind="mov"), MATRICES["ROTATE_90"]), ProbeResult("mov", 3.0, 36, 64)),
        (record(kind="webm", codec="libvpx-vp9"), ProbeResult("webm", 3.0, 64, 36)),
        (record(kind="ts"), ProbeResult("ts")),
    ],
    ids=["MP4", "a line behind", "MOV on its side", "WebM", "transport stream"],
)
def test_without_the_extra(tmp_path: Path, content: bytes, expected: ProbeResult) -> None:
    """Where PyAV is not installed the figures come from the file; only the poster is missing."""
    path = tmp_path / "a.part"
    path.write_bytes(content)
    command = [sys.executable, "-c", WITHOUT_EXTRA, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)

    assert f"False {expected}" == done.stdout.strip()


@pytest.mark.parametrize(
    ("found", "seconds", "ratio", "report"),
    [
        ((5.04, 1280, 720), 5, "16:9", []),
        ((4.5, 1284, 716), 5, "16:9", []),
        ((None, None, None), 5, "16:9", []),
        ((5.0, 720, 1280), None, None, []),
        ((10.0, 960, 960), 10, "1:1", []),
        ((10.0, 1280, 720), 5, "16:9", ["it lasts 10 s, 5 s were asked for"]),
        ((4.0, 1280, 720), 5, None, ["it lasts 4 s, 5 s were asked for"]),
        ((5.0, 1280, 720), 5, "9:16", ["it is 1280 × 720, 9:16 was asked for"]),
        ((5.0, 1280, 720), 5, "1:1", ["it is 1280 × 720, 1:1 was asked for"]),
        (
            (10.0, 720, 1280),
            5,
            "16:9",
            ["it lasts 10 s, 5 s were asked for", "it is 720 × 1280, 16:9 was asked for"],
        ),
    ],
)
def test_differences(
    found: tuple[float | None, int | None, int | None],
    seconds: float | None,
    ratio: str | None,
    report: list[str],
) -> None:
    """Another length or shape than asked is reported; a frame more or less is none."""
    assert report == probe.differences(ProbeResult("mp4", *found), seconds, ratio)
