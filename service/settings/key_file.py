"""
The file of secret keys: a line is a key, or a key and when it ends.

Each request looks at the keys in force, so a file is read once for each of its versions.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from functools import lru_cache

from service.model import utc_now

#: Each key, the newest first, and when it ends: None for never.
DatedKeys = tuple[tuple[str, datetime | None], ...]
#: When a key ends, behind it in the file.
_END = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
#: Of two changes within the clock's tick the second one shows in no time of the file.
SETTLED_SECONDS = 1.0


def read_key_file(path: str) -> DatedKeys:
    """What the file holds now. Raises OSError; a file that is no text holds nothing."""
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
