"""Images in requests: recognised by their first bytes, read from base64."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote

IMAGE_BYTES = 10 * 1024 * 1024
#: Its media type is not needed: the first bytes say what it is.
_DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.I)
_URL_SAFE = str.maketrans("-_", "+/")


class BadImage(ValueError):
    """The data is not an image that vendors accept; `code` is a key of `error_codes.FAILURES`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_url(text: str) -> bool:
    """Whether the value names an image instead of holding it."""
    return text[:8].lower().startswith(("http://", "https://"))


def decode(text: str) -> tuple[bytes, str]:
    """
    Decode an image in base64 or a data URI; returns its bytes and its kind, see `kind_of`.

    Base64 may use the usual alphabet or that of URLs, in one or more lines, with or
    without padding.

    Raises:
        BadImage: not base64, too large, or not JPG, PNG or WebP.
    """
    start = _DATA_URI.match(text)
    encoded = unquote(text[start.end() :]) if start else text
    encoded = "".join(encoded.split()).translate(_URL_SAFE).rstrip("=")
    if len(encoded) > IMAGE_BYTES * 4 // 3 + 4:
        raise BadImage("IMAGE_TOO_LARGE", "the image is larger than 10 MB")
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        message = "must be an http(s) URL, a data URI or base64 of an image"
        raise BadImage("INVALID_IMAGE_URL", message) from None
    return data, kind_of(data)


def kind_of(data: bytes) -> str:
    """
    ``jpg``, ``png`` or ``webp``, by the first bytes.

    Raises:
        BadImage: it is anything else, too large, or surely cut off.
    """
    if len(data) > IMAGE_BYTES:
        raise BadImage("IMAGE_TOO_LARGE", "the image is larger than 10 MB")
    if data.startswith(b"\xff\xd8\xff"):
        kind, is_cut = "jpg", b"\xff\xd9" not in data
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        kind, is_cut = "png", b"IEND" not in data
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        # Its length, in which some count a last byte that they do not write.
        kind, is_cut = "webp", int.from_bytes(data[4:8], "little") + 7 > len(data)
    else:
        raise BadImage("UNSUPPORTED_FORMAT", "the image must be a JPG, PNG or WebP")
    if is_cut:
        raise BadImage("UNSUPPORTED_FORMAT", "the image breaks off: send the whole file")
    return kind
