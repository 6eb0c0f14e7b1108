"""Looking into videos: figures and a poster, or a plain no; never an error."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest
from PIL import Image

from service import media


def film(path: Path, width: int = 64, height: int = 36, frames: int = 30, title: str = "") -> Path:
    """A film that turns from red to blue halfway through, at ten frames a second."""
    with av.open(str(path), "w") as container:
        if title:
            container.metadata["title"] = title
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            colour = "red" if number < frames / 2 else "blue"
            frame = av.VideoFrame.from_image(Image.new("RGB", (width, height), colour))  # type: ignore[no-untyped-call]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def poster(path: Path) -> Image.Image | None:
    """The poster as an image."""
    file = io.BytesIO()
    if not media.write_poster(path, file):
        return None
    file.seek(0)
    return Image.open(file)


def test_probe(tmp_path: Path) -> None:
    """Length and size are the film's own."""
    assert media.Probe(3.0, 64, 36) == media.probe(film(tmp_path / "a.mp4"))


def test_poster(tmp_path: Path) -> None:
    """A JPEG of the first third, in the film's shape."""
    image = poster(film(tmp_path / "a.mp4"))
    assert image is not None
    red, _, blue = image.convert("RGB").getpixel((320, 180))  # type: ignore[misc]

    assert ("JPEG", (640, 360)) == (image.format, image.size)
    assert red > 200 > 60 > blue


@pytest.mark.parametrize("frames", [2, 3])
def test_very_short(tmp_path: Path, frames: int) -> None:
    """A film of two frames or three has a poster too."""
    assert poster(film(tmp_path / "a.mp4", frames=frames)) is not None


@pytest.mark.parametrize("content", [b"", b"ftyp", b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 99])
def test_no_film(tmp_path: Path, content: bytes) -> None:
    """What is no film has neither figures nor poster, and raises nothing."""
    path = tmp_path / "a.mp4"
    path.write_bytes(content)

    assert (None, None) == (media.probe(path), poster(path))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_half_a_film(tmp_path: Path, share: float) -> None:
    """Nor does a film that breaks off."""
    path = film(tmp_path / "a.mp4")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    assert None is media.probe(path)
    assert None is poster(path)


def test_damaged_film(tmp_path: Path) -> None:
    """Nor one whose middle is noise."""
    path = film(tmp_path / "a.mp4", frames=60)
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + b"\xff" * 600 + whole[800:])
    media.probe(path)
    poster(path)


def test_title_in_another_encoding(tmp_path: Path) -> None:
    """A film with a title that is not UTF-8 is a film all the same."""
    path = film(tmp_path / "a.mp4", title="TITLETITLE")
    path.write_bytes(path.read_bytes().replace(b"TITLETITLE", b"\xff\xfe\xe9\xe8\xe9" * 2))

    assert media.Probe(3.0, 64, 36) == media.probe(path)
    assert poster(path) is not None


def test_ribbon(tmp_path: Path) -> None:
    """A film of an absurd shape raises nothing."""
    path = film(tmp_path / "a.mp4", width=4096, height=2, frames=2)

    assert media.Probe(0.2, 4096, 2) == media.probe(path)
    media.write_poster(path, io.BytesIO())


def test_sound_only(tmp_path: Path) -> None:
    """A file without a picture has no figures and no poster."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 44100
        frame.pts = 0
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())

    assert (None, None) == (media.probe(path), poster(path))


def test_first_bytes() -> None:
    """MP4 is known by its first box."""
    assert media.looks_like_mp4(b"\x00\x00\x00\x18ftypisom")
    assert not any(map(media.looks_like_mp4, (b"", b"ftyp", b"<!DOCTYPE html>", b"\x89PNG\r\n")))
