"""Containers: films are known by their first bytes, and keep their kind."""

from __future__ import annotations

import json

import pytest
from support.film import box, record, sound

from service.media.containers import HEAD_BYTES, VIDEO_TYPES, container_of, describe_stranger

ISO_KINDS = ["mp4", "mov", "m4v"]


@pytest.mark.parametrize(
    ("kind", "codec", "demuxer"),
    [
        *[(kind, "libx264", "mov") for kind in ISO_KINDS],
        ("3gp", "mpeg4", "mov"),
        ("webm", "libvpx-vp9", "matroska"),
        ("mkv", "libx264", "matroska"),
        ("avi", "mpeg4", "avi"),
        ("ts", "libx264", "mpegts"),
        ("m2ts", "libx264", "mpegts"),
        ("mpg", "mpeg2video", "mpeg"),
        ("m2v", "mpeg2video", "mpegvideo"),
        ("wmv", "wmv2", "asf"),
        ("flv", "libx264", "flv"),
    ],
)
def test_films(kind: str, codec: str, demuxer: str) -> None:
    """Each kind of film is known, and who reads it."""
    head = record(kind=kind, codec=codec)[:HEAD_BYTES]
    found = container_of(head)

    assert found is not None
    assert (demuxer, True) == (found.demuxer, found.extension in VIDEO_TYPES)


@pytest.mark.parametrize(
    "kind", [b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"uuid"]
)
def test_no_ftyp(kind: bytes) -> None:
    """An ISO file is known by any box with which one may begin."""
    found = container_of(box(kind, b"x" * 20))

    assert found and "mov" == found.demuxer


def test_sound_in_ogg() -> None:
    """Ogg is looked into, whatever it holds."""
    found = container_of(sound("ogg", "libopus", "flt", 960))

    assert found and "ogg" == found.demuxer


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"", "empty"),
        (b"ftyp", "no MP4, WebM or other film"),
        (b"\n<!DOCTYPE html><html></html>", "a web page"),
        (b"<html><body>expired</body></html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(600), "no MP4, WebM or other film"),
        (b"GIF89a" + bytes(600), "no MP4, WebM or other film"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(600), "no MP4, WebM or other film"),
        (b"#EXTM3U\n#EXTINF:5,\nfile:///etc/passwd\n", "no MP4, WebM or other film"),
        (b"Get moov " + b"G" * 600, "no MP4, WebM or other film"),
        (json.dumps({"idfree": 1}).encode(), "no MP4, WebM or other film"),
        (b"G" + b"x" * 187 + b"G" + b"x" * 400, "no MP4, WebM or other film"),
    ],
)
def test_strangers(head: bytes, what: str) -> None:
    """What is no film is named in words, also where it looks a little like one."""
    assert container_of(head) is None
    assert what == describe_stranger(head)
