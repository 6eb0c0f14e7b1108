"""
The phases of a job as bars on one time axis, in percent of its width.

Long idle times are shortened, so that a delivery that waited
for hours leaves the seconds before it visible.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from service.formatting import format_duration
from service.web.dashboard.widgets.timeline_phases import Row, Span, in_words

#: The least width of a bar, so that it is visible.
NARROWEST = 0.9
#: Idle time is shortened if it is longer than this share of the busy time, and these seconds.
IDLE_SHARE, IDLE_SECONDS = 0.5, 5.0
#: The width of a gap for shortened time, and the greatest width of all gaps.
CUT, ALL_CUTS = 6.0, 36.0
#: The factor by which an open bar extends beyond the last known time.
MARGIN = 0.04
#: The possible steps of the axis in seconds, and the most steps.
STEPS = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)
MOST_STEPS = 5
#: The least distance of two labels of the axis; the last one is right-aligned.
APART = 18.0
APART_FROM_END = 27.0


@dataclass(frozen=True)
class Bar:
    """A bar of a row; an `open` one has not ended."""

    x: float
    width: float
    kind: str
    open: bool


@dataclass(frozen=True)
class Line:
    """A drawn row."""

    name: str
    label: str
    bars: list[Bar]
    thin: Bar | None


@dataclass(frozen=True)
class Picture:
    """The whole chart; `ticks` are positions with labels, `cuts` the gaps for shortened time."""

    rows: list[Line]
    ticks: list[tuple[float, str]]
    cuts: list[Bar]
    seconds: float
    text: str


def drawn(rows: Sequence[Row], until: datetime | None) -> Picture:
    """
    The chart of these rows; the first row starts it.

    Args:
        until: the expected end of open bars.
    """
    start = rows[0].spans[0].start
    spans = [span for row in rows for span in row.spans]
    end = max([span.end or span.start for span in spans])
    if any(span.end is None for span in [*spans, *[row.line for row in rows if row.line]]):
        end += max((end - start) * MARGIN, timedelta(seconds=1))
    end = max(end, until or end, start + timedelta(seconds=0.1))
    scale = scale_of(rows, start, end)
    lines = []
    for row in rows:
        thin = _bar(row.line, scale) if row.line else None
        lines.append(Line(row.name, row.label, [_bar(span, scale) for span in row.spans], thin))
    seconds = (end - start).total_seconds()
    pieces = [scale.places[i : i + 2] for i in scale.cuts]
    cuts = [Bar(round(x, 2), round(after - x, 2), "cut", False) for x, after in pieces]
    text = f"The course of this job. {in_words(rows)}"
    return Picture(lines, axis_ticks(scale, seconds), cuts, seconds, text)


@dataclass(frozen=True)
class _Scale:
    """
    A scale from times to positions: linear between `moments`, which are at `places`.

    `cuts` are the indexes of the pieces with shortened time.
    """

    start: datetime
    end: datetime
    moments: list[float]
    places: list[float]
    cuts: list[int]

    def place(self, moment: datetime | None) -> float:
        """The position of a time, in percent; None is the end."""
        return self.at(((moment or self.end) - self.start).total_seconds())

    def at(self, seconds: float) -> float:
        """The position of a time in seconds after the start, in percent."""
        i = min(max(bisect_right(self.moments, seconds), 1), len(self.moments) - 1)
        before, after = self.moments[i - 1 : i + 1]
        low, high = self.places[i - 1 : i + 1]
        share = (seconds - before) / (after - before)
        return low + (high - low) * min(max(share, 0.0), 1.0)


def scale_of(rows: Sequence[Row], start: datetime, end: datetime) -> _Scale:
    whole = (end - start).total_seconds()
    idle = idle_times(rows, start, end)
    busy = whole - sum(after - before for before, after in idle)
    cut = {gap for gap in idle if gap[1] - gap[0] > max(busy * IDLE_SHARE, IDLE_SECONDS)}
    kept = whole - sum(after - before for before, after in cut)
    moments = sorted({0.0, *[moment for gap in cut for moment in gap], whole})
    each = min(CUT, ALL_CUTS / len(cut)) if cut else 0.0
    per_second = (100 - each * len(cut)) / max(kept, 0.1)
    places = [0.0]
    for gap in pairwise(moments):
        places.append(places[-1] + (each if gap in cut else (gap[1] - gap[0]) * per_second))
    # If hardly any time is left between the gaps, they get the whole width.
    places = [place * 100 / places[-1] for place in places]
    cuts = [i for i, gap in enumerate(pairwise(moments)) if gap in cut]
    return _Scale(start, end, moments, places, cuts)


def idle_times(rows: Sequence[Row], start: datetime, end: datetime) -> list[tuple[float, float]]:
    """The idle times without a bar, as pairs of seconds after the start."""
    spans = sorted((span for row in rows for span in row.spans), key=lambda span: span.start)
    found, reached = [], start
    for span in spans:
        if span.start > reached:
            found.append((reached, span.start))
        reached = max(reached, span.end or end)
    if end > reached:
        found.append((reached, end))
    return [((a - start).total_seconds(), (b - start).total_seconds()) for a, b in found]


def _bar(span: Span, scale: _Scale) -> Bar:
    x, end = scale.place(span.start), scale.place(span.end)
    width = max(end - x, NARROWEST)
    return Bar(round(min(x, 100 - width), 2), round(width, 2), span.kind, span.end is None)


def axis_ticks(scale: _Scale, seconds: float) -> list[tuple[float, str]]:
    """The labels of the axis: even steps, or the time after each gap; the end always has one."""
    if scale.cuts:
        moments = [0.0] + [scale.moments[i + 1] for i in scale.cuts]
    else:
        step = next((s for s in STEPS if seconds / s <= MOST_STEPS), seconds / MOST_STEPS)
        moments = [step * i for i in range(MOST_STEPS)]
    found: list[tuple[float, str]] = []
    for moment in moments:
        x = scale.at(moment)
        if x <= 100 - APART_FROM_END and (not found or x - found[-1][0] >= APART):
            found.append((round(x, 2), format_duration(moment)))
    return [*found, (100.0, format_duration(seconds))]
