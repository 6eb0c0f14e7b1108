"""The given frames: fetched or decoded, and checked against the vendors' limits."""

from __future__ import annotations

import base64
import binascii
import http.client
import io
import socket
import urllib.error
import urllib.request

from PIL import Image, UnidentifiedImageError

from service.media.image_formats import IMAGE_BYTES

FORMATS = ("JPEG", "PNG", "WEBP")
FETCH_SECONDS = 20.0
# No proxy: what a sandbox fetches mostly lies on the same machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class BadImage(Exception):
    """An image that cannot be used; `code` is APIXO's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_url(text: str) -> bool:
    """Whether it is an http(s) address."""
    return text.lower().startswith(("http://", "https://"))


def load_image(given: str) -> bytes:
    """
    The bytes of an image given as http(s) URL, ``data:`` URI or base64.

    Raises:
        BadImage: if it is out of reach, over 10 MB, or not JPEG, PNG or WebP.
    """
    try:
        if is_url(given):
            with _opener.open(given, timeout=FETCH_SECONDS) as answer:
                content: bytes = answer.read(IMAGE_BYTES + 1)
        else:
            content = decoded(given)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise BadImage("INVALID_IMAGE_URL", f"Image URL could not be fetched: {error}") from error
    if len(content) > IMAGE_BYTES:
        raise BadImage("IMAGE_TOO_LARGE", "Image exceeds the 10MB limit")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.load()
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage("UNSUPPORTED_FORMAT", "Image must be a JPG, PNG or WebP") from error
    return content


def load_or_stand_in(given: str) -> bytes:
    """
    The same, with a plain picture for an address whose name does not resolve here.

    Segmind's own examples name pictures on its servers, which a sandbox on a
    machine without internet cannot have.
    """
    try:
        return load_image(given)
    except BadImage as error:
        cause: object = error.__cause__
        if isinstance(cause, urllib.error.URLError):
            cause = cause.reason
        if not isinstance(cause, socket.gaierror):
            raise
    gray = Image.linear_gradient("L").resize((1280, 720))
    coloured = Image.merge("RGB", (gray, gray.point(lambda v: v // 2), gray))
    content = io.BytesIO()
    coloured.save(content, "PNG")
    return content.getvalue()


def decoded(given: str) -> bytes:
    """
    The bytes behind a ``data:`` URI or plain base64.

    Raises:
        BadImage: if it is not base64.
    """
    text = given.partition(",")[2] if given.startswith("data:") else given
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadImage("INVALID_IMAGE_URL", "Image is neither a URL nor base64") from error
