"""
Charts: they turn values into positions, which `_chart.html` draws as inline SVG.

Horizontal positions are percents of the drawing's width, so that its text keeps its
size on any screen; vertical positions are pixels from the top. Pure functions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from service.formatting import format_duration, format_money

HEIGHT = 160.0
#: The most steps of the vertical axis.
STEPS = 4
#: A limit above this multiple of the largest value is mentioned, but not drawn.
NEAR = 3.0
#: The share of its slot that a column fills.
FILLED = 0.72
#: The greatest width of a column, in percent of the drawing.
WIDEST = 8.0
#: The number of days between two dates on the axis.
WEEK = 7


@dataclass(frozen=True)
class Unit:
    """A unit: the format of its values, and the possible steps of an axis, smallest first."""

    name: str
    write: Callable[[float], str]
    steps: Callable[[], Iterator[float]]


@dataclass(frozen=True)
class Series:
    """A series: one value for each slot, None for a missing one."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Mark:
    """A label beside an axis, and its position."""

    at: float
    label: str


@dataclass(frozen=True)
class Bar:
    """A part of a column: its series, its place, and its text."""

    series: int
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Line:
    """A line without a gap: its points in SVG's form."""

    series: int
    points: str


@dataclass(frozen=True)
class Dot:
    """One value of a line, with its text."""

    series: int
    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Table:
    """The same values as text, a row for each slot with values."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chart:
    """A chart; without values it is `empty` and draws nothing."""

    unit: str
    legend: tuple[str, ...]
    table: Table
    across: tuple[Mark, ...] = ()
    up: tuple[Mark, ...] = ()
    bars: tuple[Bar, ...] = ()
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    limit: Mark | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.table.rows


@dataclass(frozen=True)
class Share:
    """A bar of parts of a whole: each part's CSS class, its start and its width in percent."""

    label: str
    said: str
    parts: tuple[tuple[str, float, float], ...]


def decimal(smallest: float) -> Callable[[], Iterator[float]]:
    """1, 2, 5, 10, 20, 50 … times `smallest`."""
    return lambda: (smallest * n * 10**power for power in itertools.count() for n in (1, 2, 5))


def clock_steps() -> Iterator[float]:
    """Usual steps of durations, in seconds."""
    yield from (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200)
    yield from (86_400 * n for n in decimal(1)())


DOLLARS = Unit("dollars", format_money, decimal(0.01))
JOBS = Unit("jobs", lambda value: f"{value:,.0f}", decimal(1))
SECONDS = Unit("minutes and seconds", format_duration, clock_steps)


def ticks(top: float, unit: Unit) -> list[float]:
    """Even steps from zero to the first one that is not less than `top`."""
    step = next(step for step in unit.steps() if top <= step * STEPS)
    # Rounded, since 3 * 0.1 is not exactly 0.3.
    needed = max(1, math.ceil(round(top / step, 6)))
    return [round(step * n, 6) for n in range(needed + 1)]


def columns(
    slots: Sequence[str], series: Sequence[Series], unit: Unit, limit: float | None = None
) -> Chart:
    """A chart of columns, in which the series are stacked."""
    chart = _chart(slots, series, unit)
    totals = [sum(one.values[slot] or 0 for one in series) for slot in range(len(slots))]
    top = max(totals, default=0)
    if chart.empty or top <= 0:
        return replace(chart, table=Table(chart.table.head, ()))
    drawn = limit if limit is not None and limit <= top * NEAR else None
    scale = ticks(max(top, drawn or 0), unit)
    return replace(
        chart,
        across=_across(slots),
        up=_up(scale, unit),
        bars=tuple(bars_of(slots, series, unit, scale[-1])),
        limit=None if drawn is None else Mark(_y(drawn, scale[-1]), unit.write(drawn)),
    )


def lines(slots: Sequence[str], series: Sequence[Series], unit: Unit) -> Chart:
    """A chart with a line for each series, interrupted at missing values."""
    chart = _chart(slots, series, unit)
    if chart.empty:
        return chart
    scale = ticks(max(v for one in series for v in one.values if v is not None) or 1, unit)
    dots = tuple(dots_in(slots, series, unit, scale[-1]))
    return replace(
        chart,
        across=_across(slots),
        up=_up(scale, unit),
        lines=tuple(unbroken_lines(series, scale[-1])),
        dots=dots,
    )


def shares(label: str, said: str, parts: Sequence[tuple[str, float]], whole: float) -> Share:
    """One bar: the shares of the named parts in `whole`, side by side."""
    starts = itertools.accumulate((count for _, count in parts), initial=0.0)
    places = [
        (name, _rounded(100 * start / whole), _rounded(100 * count / whole))
        for (name, count), start in zip(parts, starts, strict=False)
        if whole and count
    ]
    return Share(label, said, tuple(places))


def _chart(slots: Sequence[str], series: Sequence[Series], unit: Unit) -> Chart:
    head = ("Day", *[one.name for one in series])
    rows = [
        (
            slot,
            *["–" if one.values[n] is None else unit.write(one.values[n] or 0) for one in series],
        )
        for n, slot in enumerate(slots)
        if any(one.values[n] is not None for one in series)
    ]
    return Chart(unit.name, head[1:], Table(head, tuple(rows)))


def _across(slots: Sequence[str]) -> tuple[Mark, ...]:
    """The labels of all slots, or of every seventh, counted from the last."""
    chosen = range(len(slots) - 1, -1, -WEEK if len(slots) > WEEK else -1)
    return tuple(Mark(_rounded(_middle(n, slots)), slots[n]) for n in reversed(chosen))


def _up(scale: Sequence[float], unit: Unit) -> tuple[Mark, ...]:
    return tuple(Mark(_y(value, scale[-1]), unit.write(value)) for value in scale)


def bars_of(
    slots: Sequence[str], series: Sequence[Series], unit: Unit, top: float
) -> Iterator[Bar]:
    width = 100 / len(slots)
    wide = min(width * FILLED, WIDEST)
    for n, slot in enumerate(slots):
        below = 0.0
        for number, one in enumerate(series):
            value = one.values[n] or 0
            below += value
            left, y = (n + 0.5) * width - wide / 2, _y(below, top)
            label = f"{slot}: {unit.write(value)}, {one.name}"
            tall = _rounded(HEIGHT * value / top)
            if value:
                yield Bar(number, _rounded(left), y, _rounded(wide), tall, label)


def unbroken_lines(series: Sequence[Series], top: float) -> Iterator[Line]:
    for number, one in enumerate(series):
        for run in runs_of(one.values):
            points = [(_middle(n, one.values), _y(one.values[n] or 0, top)) for n in run]
            if len(points) > 1:
                yield Line(number, " ".join(f"{_rounded(x)},{y}" for x, y in points))


def runs_of(values: Sequence[float | None]) -> list[list[int]]:
    """The indexes of values that follow each other without a gap, as groups."""
    places = [n for n, value in enumerate(values) if value is not None]
    starts = [n for n in places if n == 0 or values[n - 1] is None]
    return [
        list(itertools.takewhile(lambda n: values[n] is not None, range(start, len(values))))
        for start in starts
    ]


def dots_in(
    slots: Sequence[str], series: Sequence[Series], unit: Unit, top: float
) -> Iterator[Dot]:
    for number, one in enumerate(series):
        for n, value in enumerate(one.values):
            if value is not None:
                label = f"{slots[n]}: {unit.write(value)}, {one.name}"
                yield Dot(number, _rounded(_middle(n, slots)), _y(value, top), label)


def _middle(slot: int, slots: Sequence[object]) -> float:
    return 100 * (slot + 0.5) / len(slots)


def _y(value: float, top: float) -> float:
    return _rounded(HEIGHT - HEIGHT * value / top)


def _rounded(place: float) -> float:
    return round(place, 2)
