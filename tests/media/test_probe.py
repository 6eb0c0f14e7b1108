"""Looking into videos: whole and decodable with figures and a poster, or told what is wrong."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import av
import pytest
from PIL import Image
from support.film import film

from service.media import probe
from service.media.mp4 import BrokenMovie, Movie


def look(tmp_path: Path, content: bytes) -> probe.ProbeResult:
    """What a file of this content holds."""
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    return probe.probe(path)


def opened(poster: bytes | None) -> Image.Image:
    """A poster as an image."""
    assert poster is not None
    return Image.open(io.BytesIO(poster))


def test_figures(tmp_path: Path) -> None:
    """Length and size are the film's own."""
    assert Movie(3.0, 64, 36) == look(tmp_path, film()).movie


def test_poster(tmp_path: Path) -> None:
    """A JPEG of the first third, in the film's shape."""
    image = opened(look(tmp_path, film()).poster)
    red, _, blue = image.convert("RGB").getpixel((320, 180))  # type: ignore[misc]

    assert ("JPEG", (640, 360)) == (image.format, image.size)
    assert red > 200 > 60 > blue


@pytest.mark.parametrize(
    ("size", "expected"),
    [((36, 64), (640, 1138)), ((64, 64), (640, 640)), ((1920, 1080), (640, 360))],
)
def test_shapes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """A poster stands as its video does, as wide as a message."""
    assert expected == opened(probe.poster_of(Image.new("RGB", size))).size


@pytest.mark.parametrize("size", [(640, 360), (1080, 1920), (1440, 1440)])
def test_poster_is_small(size: tuple[int, int]) -> None:
    """Even noise, which no JPEG can make small, ends below 60 KB."""
    noise = random.Random(1).randbytes(size[0] * size[1] * 3)
    poster = probe.poster_of(Image.frombytes("RGB", size, noise))

    assert 0 < len(poster) <= 60_000
    assert opened(poster).width >= 160


@pytest.mark.parametrize("frames", [2, 3])
def test_very_short(tmp_path: Path, frames: int) -> None:
    """A film of two frames or three has a poster too."""
    assert look(tmp_path, film(frames=frames)).poster


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_half_a_film(tmp_path: Path, share: float) -> None:
    """A film that breaks off is none."""
    with pytest.raises(BrokenMovie):
        look(tmp_path, film()[: int(len(film()) * share)])


def test_noise_in_a_whole_file(tmp_path: Path) -> None:
    """Boxes that are all there, with noise for a picture, cannot be decoded."""
    whole = bytearray(film())
    start = whole.index(b"mdat") + 4
    whole[start:] = b"\xff" * (len(whole) - start)

    with pytest.raises(BrokenMovie, match="cannot be decoded"):
        look(tmp_path, bytes(whole))


def test_damaged_film(tmp_path: Path) -> None:
    """Noise anywhere is either seen or harmless; it never raises anything else."""
    dice = random.Random(2)
    for _ in range(40):
        content = bytearray(film(frames=60))
        start = dice.randrange(len(content) - 100)
        content[start : start + 100] = dice.randbytes(100)
        try:
            assert look(tmp_path, bytes(content)).poster
        except BrokenMovie as error:
            assert str(error)


def test_title_in_another_encoding(tmp_path: Path) -> None:
    """A film with a title that is not UTF-8 is a film all the same."""
    whole = film(title="TITLETITLE").replace(b"TITLETITLE", b"\xff\xfe\xe9\xe8\xe9" * 2)

    assert Movie(3.0, 64, 36) == look(tmp_path, whole).movie


@pytest.mark.parametrize(("width", "height"), [(4096, 2), (2, 4096)])
def test_ribbon(tmp_path: Path, width: int, height: int) -> None:
    """A film of an absurd shape has a poster of that shape."""
    found = look(tmp_path, film(width, height, frames=2))

    assert Movie(0.2, width, height) == found.movie
    assert 1 == min(opened(found.poster).size)


def test_sound_only(tmp_path: Path) -> None:
    """A file without a picture is no video."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 44100
        frame.pts = 0
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())

    with pytest.raises(BrokenMovie, match="cannot be decoded"):
        probe.probe(path)


WITHOUT_EXTRA = """
import pathlib, sys
sys.modules["av"] = None
from service.media import probe
print(probe.available(), probe.probe(pathlib.Path(sys.argv[1])))
"""


def test_without_the_extra(tmp_path: Path) -> None:
    """Where PyAV is not installed the figures come from the boxes; only the poster is missing."""
    path = tmp_path / "a.mp4"
    path.write_bytes(film())
    command = [sys.executable, "-c", WITHOUT_EXTRA, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)

    assert f"False {probe.ProbeResult(Movie(3.0, 64, 36))}" == done.stdout.strip()


@pytest.mark.parametrize(
    ("movie", "seconds", "ratio", "told"),
    [
        (Movie(5.04, 1280, 720), 5, "16:9", []),
        (Movie(4.5, 1284, 716), 5, "16:9", []),
        (Movie(None, None, None), 5, "16:9", []),
        (Movie(5.0, 720, 1280), None, None, []),
        (Movie(10.0, 960, 960), 10, "1:1", []),
        (Movie(10.0, 1280, 720), 5, "16:9", ["it lasts 10 s, 5 s were asked for"]),
        (Movie(4.0, 1280, 720), 5, None, ["it lasts 4 s, 5 s were asked for"]),
        (Movie(5.0, 1280, 720), 5, "9:16", ["it is 1280 × 720, 9:16 was asked for"]),
        (Movie(5.0, 1280, 720), 5, "1:1", ["it is 1280 × 720, 1:1 was asked for"]),
        (
            Movie(10.0, 720, 1280),
            5,
            "16:9",
            ["it lasts 10 s, 5 s were asked for", "it is 720 × 1280, 16:9 was asked for"],
        ),
    ],
)
def test_differences(
    movie: Movie, seconds: float | None, ratio: str | None, told: list[str]
) -> None:
    """Another length or shape than asked is told; a frame more or less is none."""
    assert told == probe.differences(movie, seconds, ratio)
