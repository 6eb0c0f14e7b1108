"""MP4 without a library: whole or not, how long and how large."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.film import box, film, padding

from service.media.mp4 import MOST_BOXES, BrokenMovie, Movie, looks_like_mp4, read_movie

WHOLE = film()
FTYP = box(b"ftyp", b"isomiso2")


def read(tmp_path: Path, content: bytes) -> Movie:
    """What a file of this content says of itself."""
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    return read_movie(path)


def test_figures(tmp_path: Path) -> None:
    """Length and size are found without decoding anything."""
    assert Movie(3.0, 64, 36) == read(tmp_path, WHOLE)


def test_long_numbers(tmp_path: Path) -> None:
    """Boxes in their second version, with a size of eight bytes, say the same."""
    mvhd = b"\1\0\0\0" + bytes(16) + (1000).to_bytes(4) + (2500).to_bytes(8) + bytes(80)
    tkhd = b"\1\0\0\7" + bytes(84) + (64 << 16).to_bytes(4) + (36 << 16).to_bytes(4)
    moov = box(b"mvhd", mvhd) + box(b"trak", box(b"tkhd", tkhd))
    long = b"\0\0\0\1moov" + (len(moov) + 16).to_bytes(8) + moov

    assert Movie(2.5, 64, 36) == read(tmp_path, FTYP + long + box(b"mdat"))


def test_sound_comes_first(tmp_path: Path) -> None:
    """The size is that of the first track that has a picture."""
    sound = box(b"trak", box(b"tkhd", bytes(84)))
    sizes = (64 << 16).to_bytes(4) + (36 << 16).to_bytes(4)
    picture = box(b"trak", box(b"edts") + box(b"tkhd", bytes(76) + sizes))

    expected = Movie(None, 64, 36)
    assert expected == read(tmp_path, FTYP + box(b"moov", sound + picture) + box(b"mdat"))


def test_says_nothing(tmp_path: Path) -> None:
    """A file that tells neither length nor size is whole all the same."""
    short = box(b"moov", box(b"mvhd") + box(b"trak", box(b"tkhd")))

    assert Movie(None, None, None) == read(tmp_path, FTYP + short + box(b"mdat"))


@pytest.mark.parametrize("end", [b"", b"\0" * 7, box(b"mdat", b"abc", size=0), padding(0)])
def test_ends_that_are_whole(tmp_path: Path, end: bytes) -> None:
    """Padding may follow, and the last box may reach to the end without a size."""
    assert Movie(3.0, 64, 36) == read(tmp_path, WHOLE + end)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_breaks_off(tmp_path: Path, share: float) -> None:
    """A film that breaks off is told from a whole one, wherever it does."""
    with pytest.raises(BrokenMovie, match=r"breaks off|has no"):
        read(tmp_path, WHOLE[: int(len(WHOLE) * share)])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"ftyp", "no MP4"),
        (b"\n<!DOCTYPE html><html></html>", "a web page"),
        (b"<html><body>expired</body></html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "no MP4"),
        (FTYP, "no moov"),
        (FTYP + box(b"moov"), "no mdat"),
        (FTYP + box(b"moov", size=5) + box(b"mdat"), "moov box has no room"),
        (FTYP + b"\0\0\0\1moov\0", "moov box has no room"),
        (FTYP + box(b"moov", box(b"mvhd", size=9)) + box(b"mdat"), "breaks off"),
        (FTYP + box(b"moov") + box(b"\0\xff\n!", size=99), "its nameless box"),
        (FTYP + box(b"free") * (MOST_BOXES + 1), "more than"),
    ],
)
def test_no_movie(tmp_path: Path, content: bytes, says: str) -> None:
    """What is no whole MP4 is told in words."""
    with pytest.raises(BrokenMovie, match=says):
        read(tmp_path, content)


def test_first_bytes() -> None:
    """MP4 is known by its first box."""
    assert looks_like_mp4(b"\x00\x00\x00\x18ftypisom")
    assert not any(map(looks_like_mp4, (b"", b"ftyp", b"<!DOCTYPE html>", b"\x89PNG\r\n")))
