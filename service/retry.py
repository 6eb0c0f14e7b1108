"""When to try again: pure functions of what happened so far."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

JITTER = 0.2
#: The longest wait that a receiver's `Retry-After` may ask for.
LONGEST_HINT = 36_000.0


def next_attempt_at(
    schedule: Sequence[float],
    attempts: int,
    now: datetime,
    retry_after: float | None = None,
    dice: random.Random | None = None,
) -> datetime | None:
    """
    When the attempt after `attempts` made ones is due; None when none is left.

    Args:
        schedule: delays in seconds; the first belongs to the first attempt.
        retry_after: the receiver's own wish in seconds, which jitter never undercuts.
        dice: source of the ±20 % jitter.
    """
    if attempts >= len(schedule):
        return None
    swing = (dice or random).uniform(1 - JITTER, 1 + JITTER)
    delay = schedule[attempts] * swing
    return now + timedelta(seconds=max(delay, bounded(retry_after)))


def bounded(spec: float | None) -> float:
    """A wished wait in seconds, never longer than `LONGEST_HINT`; 0 for none."""
    return min(spec or 0.0, LONGEST_HINT)


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after that many failures in a row: doubling, capped."""
    return min(first * 2.0 ** min(max(failures - 1, 0), 32), longest)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header (seconds or HTTP date) asks for; None if unreadable."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, OverflowError):
        return None
