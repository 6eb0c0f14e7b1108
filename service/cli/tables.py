"""
Tables that keep what people read, also where the terminal is narrow.

A table that has room shows every word. With less, ids lose their end, columns that can be spared go
and long cells are cut or folded; with still less, the long cells of a row have a line of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from service.formatting import harmless
from service.messages.content import plain

_ID = re.compile(r"[a-z]+_[0-9a-f]{32}")
#: Characters of an id that tell it from others: the millisecond, and twelve random bits.
SHORT_ID = 20
GAP = 2
#: Columns up to this width stay whole.
WHOLE = 16
#: A longer cell is folded into two lines between its words; more room than this is not needed.
FOLDED = 24
_COLOURS = {
    "green": "succeeded delivered stored processed on valid",
    "red": "failed exhausted lost off revoked",
    "yellow": "held unknown",
    "cyan": "queued submitting submitted pending received",
    "dim": "canceled deleted ignored",
}
#: The style of a state on a terminal, by its first word.
_STYLES = {word: style for style, words in _COLOURS.items() for word in words.split()}


@dataclass(frozen=True)
class _Column:
    name: str
    cells: list[str]
    cut: int | None

    @cached_property
    def natural(self) -> int:
        """The width at which nothing is folded."""
        return max(map(cell_len, (self.name, *self.cells)))

    @cached_property
    def whole(self) -> bool:
        """Whether it is never folded."""
        short = self.natural <= WHOLE or self.name in ("at (UTC)", "model", "state")
        return short or any(_ID.match(f"{cell:0<{SHORT_ID + 16}}") for cell in self.cells)

    @cached_property
    def least(self) -> int:
        """The width that it needs."""
        if self.whole:
            return self.natural
        if self.cut:
            return min(self.cut, self.natural)
        words = (word for cell in self.cells for word in cell.split())
        return min(FOLDED, max(-(-self.natural // 2), *map(cell_len, (self.name, *words))))

    def shortened(self) -> _Column:
        """Ids by their beginning, and events without the word that all of them begin with."""
        if self.name in ("event", "events"):
            return replace(self, cells=[re.sub(r"\bjob\.", "", cell) for cell in self.cells])
        cells = [cell[:SHORT_ID] if _ID.fullmatch(cell) else cell for cell in self.cells]
        return replace(self, cells=cells)


def layout(
    rows: Sequence[dict[str, str]], width: int, spare: Sequence[str], cut: Mapping[str, int]
) -> Iterator[RenderableType]:
    """
    The table, in parts to print one after the other.

    Args:
        rows: cells by the name of their column; all rows have the same.
        width: of the terminal.
        spare: the columns that may go, in this order.
        cut: the columns whose cells are cut rather than folded, and the width they need.
    """
    columns = [
        _Column(name, [harmless(plain(row[name])) for row in rows], cut.get(name))
        for name in rows[0]
    ]
    if _needed(one.natural for one in columns) > width:
        columns = [one.shortened() for one in columns]
    for name in spare:
        if _needed(one.least for one in columns) > width:
            columns = [one for one in columns if one.name != name]
    if _needed(one.least for one in columns) <= width:
        yield _grid(columns, width)
    else:
        yield from _stacked(columns, width)


def _needed(widths: Iterator[int] | Sequence[int]) -> int:
    found = list(widths)
    return sum(found) + GAP * (len(found) - 1)


def _grid(columns: Sequence[_Column], width: int) -> Table:
    """Columns of their least width, and of what is left in equal parts, as far as they need it."""
    widths = [one.least for one in columns]
    left = width - _needed(widths)
    while left > 0:
        wanting = [n for n, one in enumerate(columns) if widths[n] < one.natural][:left]
        if not wanting:
            break
        for place in wanting:
            widths[place] += 1
        left -= len(wanting)
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for one, columns_width in zip(columns, widths, strict=True):
        grid.add_column(
            one.name,
            width=columns_width,
            no_wrap=bool(one.cut) or one.whole,
            overflow="ellipsis" if one.cut else "fold",
        )
    for place in range(len(columns[0].cells)):
        grid.add_row(*(_cell(one, place) for one in columns))
    return grid


def _stacked(columns: Sequence[_Column], width: int) -> Iterator[RenderableType]:
    """Each row on two lines: first its short cells, as far as they fit, then the others."""
    first: list[_Column] = []
    for one in columns:
        if one.whole and _needed([each.natural for each in (*first, one)]) <= width:
            first.append(one)
    others = [one for one in columns if one not in first]
    yield _line([Text(one.name.ljust(one.natural), "bold") for one in first])
    yield _second([Text(one.name, "bold") for one in others])
    for place in range(len(columns[0].cells)):
        cells = [_cell(one, place) for one in first]
        for cell, one in zip(cells, first, strict=True):
            cell.pad_right(one.natural - cell.cell_len)
        yield _line(cells)
        yield _second([_cell(one, place) for one in others if one.cells[place]])


def _line(cells: Sequence[Text]) -> Text:
    text = Text(" " * GAP).join(cells)
    text.rstrip()
    return text


def _second(cells: Sequence[Text]) -> Padding:
    return Padding(Text(" · ").join(cells), (0, 0, 0, GAP))


def _cell(column: _Column, place: int) -> Text:
    text = column.cells[place]
    return in_colour(text) if column.name == "state" else Text(text)


def in_colour(state: str) -> Text:
    """A state's word; its colour says no more than the word does."""
    return Text(state, _STYLES.get(state.partition(":")[0], ""))
