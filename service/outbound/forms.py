"""Bodies of forms (multipart/form-data)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from urllib3.filepost import encode_multipart_formdata


class FormFile(NamedTuple):
    """A file in a form."""

    name: str
    content: bytes
    media_type: str


def encode_form(fields: Mapping[str, str | FormFile]) -> tuple[bytes, str]:
    """The body of a form with these texts and files, and its Content-Type with the boundary."""
    return encode_multipart_formdata(dict(fields))
