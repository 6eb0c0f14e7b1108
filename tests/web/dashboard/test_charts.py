"""Charts: sensible axes, every value in its place, nothing torn by no, one or many values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.dashboard.widgets.charts import (
    DOLLARS,
    HEIGHT,
    JOBS,
    SECONDS,
    STEPS,
    Series,
    Unit,
    columns,
    lines,
    shares,
    ticks,
)

DAYS = [f"{n} Jan" for n in range(1, 31)]
ALONE = [None] * 29


@pytest.mark.parametrize(
    ("top", "unit", "expected"),
    [
        (1, JOBS, ["0", "1"]),
        (7, JOBS, ["0", "2", "4", "6", "8"]),
        (10_000, JOBS, ["0", "5,000", "10,000"]),
        (0.3, DOLLARS, ["$0.00", "$0.10", "$0.20", "$0.30"]),
        (1234, DOLLARS, ["$0.00", "$500.00", "$1,000.00", "$1,500.00"]),
        (52, SECONDS, ["0 s", "15 s", "30 s", "45 s", "1 min"]),
        (4000, SECONDS, ["0 s", "30 min", "1 h", "1 h 30 min"]),
        (9 * 86_400, SECONDS, ["0 s", "5 d", "10 d"]),
    ],
)
def test_ticks(top: float, unit: Unit, expected: list[str]) -> None:
    """An axis goes in round steps of its unit, and no further than needed."""
    assert expected == [unit.write(value) for value in ticks(top, unit)]


@given(top=st.floats(0.001, 1e12), unit=st.sampled_from([DOLLARS, JOBS, SECONDS]))
def test_any_top(top: float, unit: Unit) -> None:
    """Whatever the largest value is, it lies on the axis, which has few steps."""
    found = ticks(top, unit)

    assert 0 == found[0]
    assert found[-1] >= top * 0.999999
    assert 2 <= len(found) <= STEPS + 1


def test_columns() -> None:
    """Parts stand upon each other, in all as high as their sum on the axis."""
    one = Series("a", [None, 1.0, 2.0])
    chart = columns(["1 Jan", "2 Jan", "3 Jan"], [one, Series("b", [None, 3.0, None])], JOBS)

    assert ["0", "1", "2", "3", "4"] == [mark.label for mark in chart.up]
    assert [(0, 120.0, 40.0), (1, 0.0, 120.0), (0, 80.0, 80.0)] == [
        (bar.series, bar.y, bar.height) for bar in chart.bars
    ]
    assert ["2 Jan: 1, a", "2 Jan: 3, b", "3 Jan: 2, a"] == [bar.label for bar in chart.bars]
    assert (("2 Jan", "1", "3"), ("3 Jan", "2", "–")) == chart.table.rows
    assert ("Day", "a", "b") == chart.table.head


def test_dates_below() -> None:
    """Every seventh day is named, the last one always, within the drawing."""
    chart = columns(DAYS, [Series("a", [1.0] * 30)], JOBS)

    assert ["2 Jan", "9 Jan", "16 Jan", "23 Jan", "30 Jan"] == [m.label for m in chart.across]
    assert all(0 < mark.at < 100 for mark in chart.across)


def test_few_days() -> None:
    """Each of a few days has its name, and no column fills the drawing."""
    chart = columns(["1 Jan", "2 Jan"], [Series("a", [1.0, 2.0])], JOBS)

    assert ["1 Jan", "2 Jan"] == [mark.label for mark in chart.across]
    assert [(21.0, 8.0), (71.0, 8.0)] == [(bar.x, bar.width) for bar in chart.bars]


@pytest.mark.parametrize(("limit", "drawn"), [(2.0, "$2.00"), (100.0, None), (None, None)])
def test_limit(limit: float | None, drawn: str | None) -> None:
    """A limit is drawn where it can be without making the columns disappear."""
    chart = columns(DAYS, [Series("a", [*ALONE, 1.0])], DOLLARS, limit)

    assert drawn == (chart.limit.label if chart.limit else None)
    assert max(bar.height for bar in chart.bars) > HEIGHT / 4


def test_lines_break() -> None:
    """A line does not run through days without a value; a lonely value is a dot."""
    chart = lines(["1", "2", "3", "4"], [Series("half", [1.0, 2.0, None, 2.0])], SECONDS)

    assert ["12.5,80.0 37.5,0.0"] == [line.points for line in chart.lines]
    assert [(12.5, 80.0), (37.5, 0.0), (87.5, 0.0)] == [(dot.x, dot.y) for dot in chart.dots]


@pytest.mark.parametrize("draw", [columns, lines])
@pytest.mark.parametrize("series", [[], [Series("a", [None] * 30)], [Series("a", [])]])
def test_nothing(draw: object, series: list[Series]) -> None:
    """Without values there is nothing to paint, and no error."""
    days = DAYS if not series or series[0].values else []
    chart = draw(days, series, DOLLARS)  # type: ignore[operator]

    assert chart.empty
    assert ((), (), (), ()) == (chart.bars, chart.lines, chart.up, chart.across)


@given(st.lists(st.none() | st.floats(0, 1e9), min_size=30, max_size=30))
def test_within_the_drawing(values: list[float | None]) -> None:
    """Whatever the values are, everything stays within the drawing."""
    series = [Series("a", values), Series("b", values[::-1])]
    drawn = [columns(DAYS, series, DOLLARS), lines(DAYS, series, SECONDS)]

    for bar in drawn[0].bars:
        assert -0.1 <= bar.y and bar.y + bar.height <= HEIGHT + 0.1
        assert 0 <= bar.x and bar.x + bar.width <= 100
    assert all(0 <= dot.x <= 100 and 0 <= dot.y <= HEIGHT for dot in drawn[1].dots)


def test_shares() -> None:
    """Parts of a whole lie side by side; nothing of nothing is nothing."""
    row = shares("slack", "3 of 4", [("delivered", 3), ("pending", 0), ("exhausted", 1)], 4)

    assert (("delivered", 0.0, 75.0), ("exhausted", 75.0, 25.0)) == row.parts
    assert () == shares("slack", "none yet", [("delivered", 0)], 0).parts
