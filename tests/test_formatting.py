"""How values are written for people: never misleading, never with a figure too many."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formatting import (
    as_sentence,
    count_of,
    format_age,
    format_clock,
    format_count,
    format_date,
    format_difference,
    format_duration,
    format_money,
    format_price,
    format_share,
    format_size,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
WEST = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.0004, "0 s"),
        (0.24, "240 ms"),
        (0.9996, "1 s"),
        (4, "4 s"),
        (4.81, "4.8 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (65, "1 min 05 s"),
        (134, "2 min 14 s"),
        (5400, "1 h 30 min"),
        (11_100, "3 h 05 min"),
        (187_200, "2 d 04 h"),
        (7_776_000, "90 d"),
    ],
)
def test_duration(seconds: float, expected: str) -> None:
    """A length of time has its two largest units at most."""
    assert expected == format_duration(seconds)


@given(st.floats(0, 1e9))
def test_any_duration(seconds: float) -> None:
    """Whatever it is, it reads as one or two numbers with their units, and is off by little."""
    shown = format_duration(seconds)
    size = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86_400}
    parts = re.findall(r"([0-9.]+) (ms|s|min|h|d)", shown)

    assert shown == " ".join(f"{number} {unit}" for number, unit in parts)
    total = sum(float(number) * size[unit] for number, unit in parts)
    assert abs(total - seconds) <= max(0.05 * seconds, 0.001)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-3, "just now"), (59, "just now"), (200, "3 min ago"), (7300, "2 h ago"), (2e5, "2 d ago")],
)
def test_age(seconds: float, expected: str) -> None:
    """An age is reported in its largest unit; another machine's clock may be ahead."""
    assert expected == format_age(NOW - timedelta(seconds=seconds), NOW)


@pytest.mark.parametrize("moment", [NOW, NOW.isoformat(), NOW.astimezone(WEST)])
def test_moments(moment: datetime | str) -> None:
    """Moments are reported in UTC, wherever they were written."""
    assert ("12:00:00", "1 Jan 2026, 12:00 UTC") == (format_clock(moment), format_date(moment))


@pytest.mark.parametrize(
    ("dollars", "expected"),
    [
        (0, "$0.00"),
        (0.44, "$0.44"),
        (0.0125, "$0.0125"),
        (0.1 + 0.2, "$0.30"),
        (1.75, "$1.75"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money(dollars: float, expected: str) -> None:
    """Dollars have cents; more digits only where there are some."""
    assert expected == format_money(dollars)


@pytest.mark.parametrize(
    ("dollars", "expected"), [(0, "$0.00"), (0.05, "+$0.05"), (-1.2, "−$1.20")]
)
def test_difference(dollars: float, expected: str) -> None:
    """Its sign comes first."""
    assert expected == format_difference(dollars)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.44, 0.44, "$0.44"),
        (0.28, 1.96, "$0.28–1.96"),
        (None, None, "price not stated"),
        (None, 1.0, "price not stated"),
    ],
)
def test_price(low: float | None, high: float | None, expected: str) -> None:
    """A price is one amount, a range, or said to be unknown."""
    assert expected == format_price(low, high)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0.0 kB"), (400, "0.4 kB"), (2_500_000, "2.5 MB"), (1_073_741_824, "1.1 GB")],
)
def test_size(count: int, expected: str) -> None:
    """Bytes are reported in the unit that people read."""
    assert expected == format_size(count)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (1, 3, "33 %"),
        (3, 3, "100 %"),
        (0, 3, "0 %"),
        (9999, 10_000, "99.9 %"),
        (1, 10_000, "0.1 %"),
        (0, 0, "none"),
    ],
)
def test_share(part: int, whole: int, expected: str) -> None:
    """A share is never reported as all or nothing while it is not."""
    assert expected == format_share(part, whole)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no credits", "No credits."),
        ("Why?", "Why?"),
        ("wait…", "Wait…"),
        ("", ""),
        ("élan vital", "Élan vital."),
    ],
)
def test_sentence(text: str, expected: str) -> None:
    """A vendor's words become a sentence; what is one stays."""
    assert expected == as_sentence(text)


def test_format_count() -> None:
    """Whoever stopped counting says so."""
    assert ["0", "9,999", "10,000", "10,000+"] == [
        format_count(count, 10_000) for count in (0, 9_999, 10_000, 10_001)
    ]


@pytest.mark.parametrize(("count", "expected"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs")])
def test_count(count: int, expected: str) -> None:
    """A noun has the number of its count."""
    assert expected == count_of(count, "job")
