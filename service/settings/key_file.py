"""
The file of secret keys: a line is a key, or a key and its expiry.

Each request needs the current keys, so each version of a file is read only once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from service.model import utc_now

#: Pairs of a key and its expiry (None: never), newest first.
DatedKeys = tuple[tuple[str, datetime | None], ...]
#: The separator of a key and its expiry in the file.
_END = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
#: The second of two changes within a clock tick does not change the file's times.
SETTLED_SECONDS = 1.0


def read_key_file(path: str) -> DatedKeys:
    """The current keys of the file; none if it is not text. Raises OSError."""
    found = os.stat(path)
    if utc_now().timestamp() - found.st_ctime < SETTLED_SECONDS:
        return _keys_in(path)
    return _of_version(path, (found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns))


@lru_cache(maxsize=8)
def _of_version(path: str, _: tuple[int, ...]) -> DatedKeys:
    return _keys_in(path)


def _keys_in(path: str) -> DatedKeys:
    found: list[tuple[str, datetime | None]] = []
    try:
        with open(path, encoding="utf-8") as file:
            words = file.read().split()
    except UnicodeDecodeError:
        return ()
    for word in words:
        if found and _END.fullmatch(word):
            found[-1] = found[-1][0], datetime.fromisoformat(word)
        else:
            found.append((word, None))
    return tuple(found)


def as_key_file(keys: Iterable[tuple[str, datetime | None]]) -> bytes:
    """The content of a file that holds these keys, the newest first."""
    lines = [f"{key} {end.isoformat() if end else ''}".strip() for key, end in keys]
    return "".join(f"{line}\n" for line in lines).encode()
