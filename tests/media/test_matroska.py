"""Matroska and WebM without a library: whole or not, how long and how large."""

from __future__ import annotations

import io
import os
import struct

import pytest
from support.film import record, sound

from service.media.containers import BrokenMovie, ProbeResult
from service.media.matroska import read_matroska

WEBM = record(kind="webm", codec="libvpx-vp9")
EXPECTED = ProbeResult("webm", 3.0, 64, 36)


def read(content: bytes) -> ProbeResult:
    """What a file of this content says of its film."""
    return read_matroska(io.BytesIO(content), len(content))


def element(id_: int, content: bytes, *, sized: bool = True) -> bytes:
    """An element; one without a size is as long as what follows it."""
    size = (len(content) | 1 << 56).to_bytes(8) if sized else b"\x01" + b"\xff" * 7
    return id_.to_bytes((id_.bit_length() + 7) // 8) + size + content


def number(id_: int, value: int) -> bytes:
    """An element with a number."""
    return element(id_, value.to_bytes(4))


def video(width: int, height: int, *more: bytes, kind: int = 1) -> bytes:
    """A track of pictures of that size."""
    sizes = number(0xB0, width) + number(0xBA, height) + b"".join(more)
    return element(0xAE, number(0x83, kind) + element(0xE0, sizes))


def info(length: bytes, *more: bytes) -> bytes:
    """The length of a film, in ticks."""
    return element(0x1549A966, element(0x4489, length) + b"".join(more))


CLUSTER = element(0x1F43B675, element(0xA3, b"picture"))


def whole(*parts: bytes, doc_type: bytes = b"webm", sized: bool = True) -> bytes:
    """A file with these parts in its segment."""
    head = element(0x1A45DFA3, element(0x4282, doc_type))
    return head + element(0x18538067, b"".join(parts), sized=sized)


def tracks(*entries: bytes) -> bytes:
    """All tracks of a film."""
    return element(0x1654AE6B, b"".join(entries))


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx", "libsvtav1"])
def test_webm(codec: str) -> None:
    """Length and size are found without decoding anything."""
    expected = ProbeResult("webm", 3.0, 128, 72)

    assert expected == read(record(128, 72, kind="webm", codec=codec))


def test_no_encoder_makes_the_tests_a_real_time_process() -> None:
    """What a film is encoded with changes nothing about the process that asks for it."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    record(96, 64, kind="webm", codec="libsvtav1")

    assert before == (os.sched_getscheduler(0), os.sched_getparam(0))


def test_matroska() -> None:
    """Any other document type is Matroska."""
    assert ProbeResult("mkv", 3.0, 64, 36) == read(record(kind="mkv"))


@pytest.mark.parametrize(("width", "height"), [(63, 35), (36, 64)])
def test_sizes(width: int, height: int) -> None:
    """Odd sizes are sizes."""
    found = read(record(width, height, kind="webm", codec="libvpx-vp9"))

    assert (width, height) == (found.width, found.height)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([], (72, 58)),
        ([number(0x54B0, 72), number(0x54BA, 58)], (72, 58)),
        ([number(0x54B0, 16), number(0x54BA, 9), number(0x54B2, 3)], (103, 58)),
        ([number(0x54B0, 144), number(0x54BA, 58)], (144, 58)),
        ([number(0x54B0, 36), number(0x54BA, 29)], (72, 58)),
        ([number(0x54B0, 0), number(0x54BA, 29)], (72, 58)),
    ],
)
def test_oblong_pixels(shown: list[bytes], expected: tuple[int, int]) -> None:
    """The stored height, and a width in the ratio in which the film is shown."""
    found = read(whole(tracks(video(72, 58, *shown)), CLUSTER))

    assert expected == (found.width, found.height)


@pytest.mark.parametrize(
    ("part", "seconds"),
    [
        (info(struct.pack(">d", 2500.0)), 2.5),
        (info(struct.pack(">f", 2500.0)), 2.5),
        (info(struct.pack(">d", 2500.0), number(0x2AD7B1, 100_000)), 0.25),
        (info(struct.pack(">d", 0.0)), None),
        (info(struct.pack(">d", float("nan"))), None),
        (info(struct.pack(">d", float("inf"))), None),
        (info(b"abc"), None),
        (b"", None),
    ],
)
def test_length(part: bytes, seconds: float | None) -> None:
    """The length is in ticks, whose length the file may say."""
    assert seconds == read(whole(part, tracks(video(8, 6)), CLUSTER)).seconds


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(
    "behind", [b"\r\n-- the end --\r\n", b"<html></html>", bytes(500), bytes(range(255, 0, -1))]
)
def test_strangers_behind(behind: bytes, sized: bool) -> None:
    """Whatever follows the film is no part of it."""
    content = whole(tracks(video(8, 6)), CLUSTER, CLUSTER, sized=sized)

    assert ProbeResult("webm", None, 8, 6) == read(content + behind)
    assert EXPECTED == read(WEBM + behind)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("sized", [True, False])
def test_breaks_off(share: float, sized: bool) -> None:
    """A film that breaks off is never taken for a whole one, also without a known length."""
    live = whole(tracks(video(8, 6)), *[CLUSTER] * 9, sized=False)
    content = WEBM if sized else live

    with pytest.raises(BrokenMovie, match=r"breaks off|no cluster"):
        read(content[: int(len(content) * share)])


def test_clusters_without_a_size() -> None:
    """A film that was recorded live breaks off where a block of its last cluster does."""
    open_cluster = element(0x1F43B675, element(0xA3, b"picture"), sized=False)
    content = whole(tracks(video(8, 6)), open_cluster, open_cluster, sized=False)

    assert ProbeResult("webm", None, 8, 6) == read(content)
    with pytest.raises(BrokenMovie, match="3 bytes of its element a3 are missing"):
        read(content[:-3])


@pytest.mark.parametrize(
    "content",
    [
        sound("webm", "libopus", "flt", 960),
        whole(tracks(video(8, 6, kind=2)), CLUSTER),
        whole(tracks(video(8, 6, kind=17), video(8, 6, kind=2)), CLUSTER),
    ],
)
def test_no_picture(content: bytes) -> None:
    """Sound alone is no film."""
    with pytest.raises(BrokenMovie, match="no picture"):
        read(content)


@pytest.mark.parametrize(
    "track",
    [
        video(0, 6),
        video(70_000, 6),
        element(0xAE, number(0x83, 1) + element(0xE0, element(0xB0, b"\xff" * 99))),
        element(0xAE, number(0x83, 1)),
    ],
)
def test_sizes_that_cannot_be_meant(track: bytes) -> None:
    """A size that no film has is none."""
    assert ProbeResult("webm") == read(whole(tracks(track), CLUSTER))


@pytest.mark.parametrize("content", [b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\0\0", whole()])
def test_nothing_in_it(content: bytes) -> None:
    """A head without a film is none."""
    with pytest.raises(BrokenMovie, match="no cluster"):
        read(content)
