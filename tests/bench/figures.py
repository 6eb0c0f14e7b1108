"""Figures of several rounds, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

#: What one run has measured, by name with unit.
Figures = dict[str, float]


def spread(values: Sequence[float]) -> str:
    """The median, and between what all lie."""
    return f"{median(values):.3g} ({min(values):.3g}–{max(values):.3g})"


def print_rounds(title: str, rounds: Mapping[str, Sequence[Figures]]) -> None:
    """A table with a line for each name; a figure that one of them lacks stays empty."""
    columns = list(dict.fromkeys(name for of_one in rounds.values() for name in of_one[0]))
    table = Table(box=None, title=title, title_justify="left")
    for column in ("", *columns):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, of_one in rounds.items():
        cells = ([figures[c] for figures in of_one if c in figures] for c in columns)
        table.add_row(name, *(spread(values) if values else "" for values in cells))
    Console(width=200).print(table)
