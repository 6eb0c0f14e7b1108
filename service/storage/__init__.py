"""
Where the bytes of videos, posters and images lie: a folder, or a bucket.

Enters: names of our own making and bytes. Leaves: whole files, never a part of
one. May import: errors, media, outbound, signing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from service.errors import SettingsError
from service.storage.base import FileMissing, Storage, StorageError, media_type_of
from service.storage.files import FileStorage

__all__ = ["FileMissing", "FileStorage", "Storage", "StorageError", "media_type_of", "open_storage"]


def open_storage(url: str, folder: Path) -> Storage:
    """
    The storage that ``STORAGE_URL`` names.

    Args:
        folder: where files lie that are on their way to a bucket.

    Raises:
        SettingsError: it names none, or one that needs an extra.
    """
    parts = urlsplit(url)
    if "?" in url or "#" in url:
        raise SettingsError(
            "CLIPBELL_STORAGE_URL: ? and # have no meaning in it; in a name they are %3F and %23"
        )
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if "\0" in path:
        raise SettingsError("CLIPBELL_STORAGE_URL: must not hold %00")
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return FileStorage(Path(path))
    if parts.scheme != "s3" or not parts.netloc:
        raise SettingsError("CLIPBELL_STORAGE_URL: must be file:///path or s3://bucket/prefix")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", parts.netloc):
        raise SettingsError(
            "CLIPBELL_STORAGE_URL: must be s3://bucket/prefix with nothing but the bucket's name "
            "before the prefix; its server and keys stand in AWS_ENDPOINT_URL, "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    prefix = unquote(parts.path).strip("/")
    if prefix and not {"", ".", ".."}.isdisjoint(prefix.split("/")):
        raise SettingsError("CLIPBELL_STORAGE_URL: no part of the prefix may be empty, . or ..")
    if any(char < " " or char == "\x7f" for char in prefix):
        raise SettingsError("CLIPBELL_STORAGE_URL: the prefix must hold no control characters")
    try:
        # Its library is the extra `s3`, which need not be installed.
        from service.storage.s3 import S3Storage
    except ModuleNotFoundError:
        raise SettingsError("s3:// needs its library: pip install 'clipbell[s3]'") from None
    return S3Storage(parts.netloc, prefix, folder)
