"""When to try again: the schedule, its jitter, and what receivers ask for."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.retry import LONGEST_HINT, backoff, next_attempt_at, parse_retry_after
from service.settings import load_settings

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SCHEDULE = load_settings({}).retry_schedule
DATE_WORDS = ["Mon", "Jan", "1", "2026", "99999", "12:00:00", "GMT", "+0100", "-99999", ",", "-"]


def wait(attempts: int, retry_after: float | None = None, seed: int = 0) -> float | None:
    """Seconds until the next attempt."""
    dice = random.Random(seed)
    due = next_attempt_at(SCHEDULE, attempts, NOW, retry_after, dice)
    return None if due is None else (due - NOW).total_seconds()


def test_schedule() -> None:
    """The documented delays, each with at most a fifth more or less; the first at once."""
    expected = [0, 5, 300, 1800, 7200, 18000, 36000, 36000]
    for attempts, delay in enumerate(expected):
        waits = [wait(attempts, seed=seed) or 0.0 for seed in range(300)]
        assert delay * 0.8 <= min(waits) <= delay * 0.85
        assert delay * 1.15 <= max(waits) <= delay * 1.2


def test_the_schedule_ends() -> None:
    """After the last attempt there is none, whatever the receiver asks for."""
    assert [None, None, None] == [wait(8), wait(9), wait(8, 5.0)]


@given(st.floats(0, LONGEST_HINT), st.integers(0, 7), st.integers())
def test_jitter_never_undercuts_retry_after(hint: float, attempts: int, seed: int) -> None:
    """A receiver's wish is the least that is waited."""
    found = wait(attempts, hint, seed)

    assert found is not None
    assert found >= hint - 1e-6
    assert found <= max(hint, SCHEDULE[attempts] * 1.2) + 1e-6


@pytest.mark.parametrize("hint", [LONGEST_HINT + 1, 1e9, float("inf")])
def test_a_wish_has_an_end(hint: float) -> None:
    """No receiver can put a delivery off for longer than ten hours."""
    assert 36_000.0 == wait(1, hint)


def test_no_dice_given() -> None:
    """Without dice the jitter is still there."""
    found = {next_attempt_at((100.0,), 0, NOW) for _ in range(20)}

    assert 1 < len(found)


def test_backoff() -> None:
    """Doubling from the first wait, up to the longest, for any count."""
    assert [2, 2, 4, 8, 16, 60] == [backoff(n, 2, 60) for n in (0, 1, 2, 3, 4, 99)]
    assert 60 == backoff(10**9, 2, 60)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        ("Thu, 01 Jan 2026 12:01:30 -0000", 90.0),
        ("Thu, 01 Jan 2026 14:01:30 +0200", 90.0),
        ("Thursday, 01-Jan-26 12:01:30 GMT", 90.0),
        ("Thu Jan  1 12:01:30 2026", 90.0),
        ("3.5", 3.5),
        (" 0.25 ", 0.25),
        ("7.", 7.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        *[
            (value, None)
            for value in (None, "", " ", "soon", "-5", ".5", "1.5.2", "1,5", "1e3", "inf")
        ],
        ("1767268830", 30.0),
        ("1767268830500", 30.5),
        ("1767268800", 0.0),
        ("1500000000", 0.0),
        *[(value, None) for value in ("nan", "3 s", "12:01:30", "Jan")],
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds and dates in the spellings of HTTP; what cannot be read is no wish."""
    assert seconds == parse_retry_after(value, NOW)


@given(st.text(st.characters()))
@example("9" * 5000)
@example("²")
@example("Thu, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Mon, 01 Jan 2026 00:00:00 +9999999999999")
@example("0 0 0 0:0:0 0")
def test_any_header_is_survived(value: str) -> None:
    """No header breaks the delivery it came with; a wish is never negative."""
    found = parse_retry_after(value, NOW)

    assert found is None or found >= 0


@given(
    st.lists(
        st.sampled_from(
            [
                "Mon",
                "Jan",
                "1",
                "01",
                "2026",
                "99999",
                "12:00:00",
                "GMT",
                "+0100",
                "-99999",
                ",",
                "-",
            ]
        )
    )
)
def test_any_date_is_survived(words: list[str]) -> None:
    """Nor does anything that looks like a date."""
    found = parse_retry_after(" ".join(words), NOW)

    assert found is None or found >= 0
