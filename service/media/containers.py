"""
The kinds of file that hold a film, each known by its first bytes.

A film keeps the kind in which it came: its file name and its media type follow it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.errors import ClipbellError

#: The media type of each kind of film, by the ending of its file's name.
VIDEO_TYPES = {
    "mp4": "video/mp4",
    "m4v": "video/x-m4v",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "3g2": "video/3gpp2",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "ogv": "video/ogg",
    "ts": "video/mp2t",
    "m2ts": "video/mp2t",
    "mpg": "video/mpeg",
    "flv": "video/x-flv",
    "wmv": "video/x-ms-wmv",
}
#: So many bytes are enough to recognise the kind of any file.
HEAD_BYTES = 512

_PAGE = (b"<!doctype", b"<html")


class BrokenMovie(ClipbellError):
    """The file is not a complete film; the message names the fault."""


@dataclass(frozen=True)
class ProbeResult:
    """
    The facts about a film; None for unknown ones.

    `extension` is a key of `VIDEO_TYPES`. `width` and `height` are as a viewer sees it, in
    pixels; `poster` is the bytes of a JPEG.
    """

    extension: str
    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    poster: bytes | None = None


@dataclass(frozen=True)
class Container:
    """A kind of file: the name of FFmpeg's reader of it, and the usual ending of a file's name."""

    demuxer: str
    extension: str


ISO = Container("mov", "mp4")
MATROSKA = Container("matroska", "mkv")

#: An ISO file may lack its ``ftyp``. A size above 0x1fffffff is four letters, and the file a text.
_FIRST_BOXES = rb"....ftyp|[\x00-\x1f]...(?:moov|mdat|free|skip|wide|pnot|styp|moof|uuid|pdin)"
_SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), container)
    for pattern, container in (
        (_FIRST_BOXES, ISO),
        (rb"\x1a\x45\xdf\xa3", MATROSKA),
        (rb"RIFF....AVI ", Container("avi", "avi")),
        (rb"OggS", Container("ogg", "ogv")),
        (rb"FLV\x01", Container("flv", "flv")),
        (rb"\x00\x00\x01\xba", Container("mpeg", "mpg")),
        (rb"\x00\x00\x01\xb3", Container("mpegvideo", "mpg")),
        (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Container("asf", "wmv")),
        # The letter may be one of a text, which has no such bytes.
        (rb"(?=.{0,400}[\x00-\x08])G.{187}G.{187}G", Container("mpegts", "ts")),
        (rb"(?=.{0,400}[\x00-\x08]).{4}G.{191}G.{191}G", Container("mpegts", "m2ts")),
    )
)


def container_of(head: bytes) -> Container | None:
    """The kind of a file that may hold a film; None for any other. `head` is its first bytes."""
    found = (kind for signature, kind in _SIGNATURES if signature.match(head))
    return next(found, None)


def describe_stranger(head: bytes) -> str:
    """What a file is that holds no film, from its first bytes; completes "it is …"."""
    if not head:
        return "empty"
    return (
        "a web page"
        if head.lstrip()[:9].lower().startswith(_PAGE)
        else "no MP4, WebM or other film"
    )
