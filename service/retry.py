"""Times of retries: pure functions."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

JITTER = 0.2
#: The longest wait by a receiver's `Retry-After`: the longest one of the default schedule.
LONGEST_HINT = 36_000.0
#: The longest wait for a vendor, since it stops all jobs. Limits of vendors count by the
#: minute, so a longer wait is a mistake or a guess; a request each quarter of an hour is polite.
LONGEST_VENDOR_HINT = 900.0
#: What a moment is counted in, by its digits.
_EPOCH_DIGITS = {10: 1.0, 13: 1000.0}
_SECONDS = re.compile(r"([0-9]+)(\.[0-9]*)?")


def next_attempt_at(
    schedule: Sequence[float],
    attempts: int,
    now: datetime,
    retry_after: float | None = None,
    dice: random.Random | None = None,
) -> datetime | None:
    """
    The time of the next attempt after `attempts` attempts; None if none is left.

    Args:
        schedule: delays in seconds; the first belongs to the first attempt.
        retry_after: the seconds that the receiver asks for; jitter never goes below it.
        dice: the source of the ±20 % jitter.
    """
    if attempts >= len(schedule):
        return None
    swing = (dice or random).uniform(1 - JITTER, 1 + JITTER)
    delay = schedule[attempts] * swing
    return now + timedelta(seconds=max(delay, bounded(retry_after)))


def bounded(asked: float | None, longest: float = LONGEST_HINT) -> float:
    """A requested wait in seconds, at most `longest`; 0 for None."""
    return min(asked or 0.0, longest)


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after this many consecutive failures: doubled each time, up to `longest`."""
    return min(first * 2.0 ** min(max(failures - 1, 0), 32), longest)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """
    The seconds in a `Retry-After` header; None if it is not valid.

    Args:
        value: seconds, also with a fraction, as many servers send; or an HTTP date. A number that
            would be thirty years is the moment itself, in seconds since 1970 or in milliseconds.
    """
    if not value:
        return None
    if seconds := _SECONDS.fullmatch(value.strip()):
        if len(seconds[1]) in _EPOCH_DIGITS:
            moment = float(seconds[1]) / _EPOCH_DIGITS[len(seconds[1])]
            return max(0.0, moment - now.timestamp())
        return float(seconds[1][:9] + (seconds[2] or ""))
    try:
        date = parsedate_to_datetime(value)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - now).total_seconds())
    except (ValueError, OverflowError):
        return None
