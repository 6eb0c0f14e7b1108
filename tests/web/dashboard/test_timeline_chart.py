"""The course of a job as a picture: what stands where, and what is cut."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.harness import NOON

from service.web.dashboard.widgets.timeline_chart import CUT, NARROWEST, drawn
from service.web.dashboard.widgets.timeline_phases import Row, Span


def row(*moments: float | None, name: str = "Row", kind: str = "making") -> Row:
    """Bars from and to these seconds after noon; the last may be open."""
    at = [None if m is None else NOON + timedelta(seconds=m) for m in moments]
    pairs = zip(at[::2], at[1::2], strict=True)
    return Row(name, "so long", tuple(Span(a or NOON, b, kind) for a, b in pairs))


def test_bars_share_an_axis() -> None:
    """Bars stand where their times are, each wide enough to be seen; the axis has even steps."""
    found = drawn([row(0, 25), row(25, 100, name="Next"), row(100, 100)], None)

    assert [(0, 25), (25, 75), (100 - NARROWEST, NARROWEST)] == [
        (bar.x, bar.width) for line in found.rows for bar in line.bars
    ]
    assert [(0, "0 s"), (30, "30 s"), (60, "1 min"), (100, "1 min 40 s")] == found.ticks
    assert "Row: so long; Next: so long" in found.text


def test_idle_hours_are_cut() -> None:
    """Hours in which nothing happens take a piece of the same width, however long they are."""
    found = drawn([row(0, 60), row(61, 62, 7200, 7201, 90_000, 90_001)], None)
    first, second, third = found.rows[1].bars

    assert [CUT, CUT] == [cut.width for cut in found.cuts]
    assert 84 < first.x + first.width < 88 < second.x < 94 < third.x
    assert (100, "1 d 01 h") == found.ticks[-1]


@pytest.mark.parametrize("waits", [[(0.0, 0.0)], [(0.0, 0.0), (50_000.0, 50_000.0)], [(0.0, None)]])
def test_nothing_is_outside(waits: list[tuple[float, float | None]]) -> None:
    """However little there is to draw, it is drawn within the picture."""
    found = drawn([row(*one) for one in waits], None)

    for bar in [bar for line in found.rows for bar in line.bars] + found.cuts:
        assert 0 <= bar.x <= bar.x + bar.width <= 100.01


def test_what_goes_on() -> None:
    """An open bar reaches to the end that is expected, or a little beyond what is known."""
    expected = drawn([row(0, None)], NOON + timedelta(seconds=45))
    unknown = drawn([row(0, 50, 50, None)], None)

    assert [(0, 100, True)] == [(b.x, b.width, b.open) for b in expected.rows[0].bars]
    assert 45 == expected.seconds
    assert 52 == unknown.seconds and unknown.rows[0].bars[1].open


def test_the_last_label_has_room() -> None:
    """It ends where the axis ends and reaches far back: no label is in its way on a phone."""
    found = drawn([row(0, 320)], None)

    assert [(0, "0 s"), (37.5, "2 min"), (100, "5 min 20 s")] == found.ticks
