"""Ids that sort by time, the clock that makes them, and the vendors' ids of tasks."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
#: No vendor's id of a task is longer.
TASK_ID_LENGTH = 200


def utc_now() -> datetime:
    """The clock that processes hand in; everything below takes it as an argument."""
    return datetime.now(UTC)


def new_id(prefix: str, now: datetime) -> str:
    """`prefix` and a UUIDv7 in hex (RFC 9562): sorts by time of creation."""
    millis = int(now.timestamp() * 1000)
    tail = secrets.randbits(74)
    number = (millis << 80) | (7 << 76) | (tail >> 62 << 64) | (2 << 62) | (tail & ((1 << 62) - 1))
    return f"{prefix}_{number:032x}"


def is_id(prefix: str, text: str) -> bool:
    """Whether it has the form of such an id."""
    return re.fullmatch(f"{prefix}_[0-9a-f]{{32}}", text) is not None


def first_id(prefix: str, moment: datetime) -> str:
    """Sorts before every id that was made at that moment or later, after all earlier ones."""
    return f"{prefix}_{max(int(moment.timestamp() * 1000), 0):012x}"


def as_task_id(text: str) -> str | None:
    """The text as a vendor's id of a task; None for what can be none."""
    # What `strip_unstorable` took from a text, an id cannot lack.
    whole = text.isprintable() and "\N{REPLACEMENT CHARACTER}" not in text
    return text if whole and len(text.split()) == 1 and len(text) <= TASK_ID_LENGTH else None
