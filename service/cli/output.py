"""Output of the verbs: text for people, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cli.completion import job_ids
from service.formatting import format_age, harmless
from service.messages.content import plain
from service.model import utc_now

_ID = re.compile(r"[a-z]+_[0-9a-f]{32}")
_COLOURS = {
    "green": "succeeded delivered stored processed on valid",
    "red": "failed exhausted lost off revoked",
    "yellow": "held unknown",
    "cyan": "queued submitting submitted pending received",
    "dim": "canceled deleted ignored",
}
#: The style of a state on a terminal, by its first word.
_STYLES = {word: style for style, words in _COLOURS.items() for word in words.split()}
#: Columns of an output that is no terminal: each row is one line, for grep and its like.
UNFOLDED = 10_000
#: Columns of an id.
ID_WIDTH = 36
#: Characters of one that tell it from others: the millisecond, and twelve random bits.
SHORT_ID = 20
#: Columns of a terminal that has room for whole ids.
WIDE = 140
#: On a terminal with fewer columns, tables leave out the columns that can be spared.
ROOMY = 100
JobArgument = typer.Argument(
    metavar="JOB", help="A job's id, or the start of it.", autocompletion=job_ids
)
SubArgument = typer.Argument(metavar="SUB", help="A subscription's id, or the start of it.")
JsonOption = typer.Option(False, "--json", help="Print JSON for programs.")


class HarmlessConsole(Console):
    """A console on which the words of others command no terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Every text that is printed, in a table too, comes by here."""
        return super().render_str(harmless(text), **options)


def console() -> Console:
    """Standard output: plain under NO_COLOR, and no line is folded where it is no terminal."""
    width = None if sys.stdout.isatty() else UNFOLDED
    return HarmlessConsole(highlight=False, markup=False, width=width)


def errors() -> Console:
    """Standard error, for what moves while a verb works."""
    return HarmlessConsole(stderr=True, highlight=False, markup=False)


def say(text: str, **style: Any) -> None:
    """One line for people, which the terminal folds if it must."""
    console().print(text, soft_wrap=True, **style)


def print_json(body: Any, indent: int | None = None) -> None:
    """One JSON document on stdout, in which nothing commands a terminal."""
    text = json.dumps(body, indent=indent, ensure_ascii=False)
    print(harmless(text, lambda char: json.dumps(char)[1:-1]), flush=True)


def table(rows: list[dict[str, str]], spare: Sequence[str] = ()) -> None:
    """
    Rows with the same keys, as a table.

    On a terminal that is not wide, ids lose their end: each verb takes such a beginning.

    Args:
        spare: the columns that go where the terminal is narrow.
    """
    out, grid = console(), Table(box=None, pad_edge=False, header_style="bold")
    shown = [name for name in rows[0] if name not in spare or out.width >= ROOMY]
    length = ID_WIDTH if out.width >= WIDE else SHORT_ID
    for name in shown:
        width = length if any(_ID.fullmatch(row[name]) for row in rows) else None
        whole = width is not None or name in ("state", "at (UTC)")
        grid.add_column(name, overflow="fold", min_width=width, no_wrap=whole)
    for row in rows:
        texts = [(name, plain(row[name])) for name in shown]
        cells = [(name, text[:length] if _ID.fullmatch(text) else text) for name, text in texts]
        grid.add_row(*(in_colour(cell) if name == "state" else cell for name, cell in cells))
    out.print(grid)


def print_list(
    rows: Sequence[Mapping[str, Any]],
    shown: Sequence[dict[str, str]],
    json_: bool,
    *,
    none: str,
    spare: Sequence[str] = (),
) -> None:
    """
    A list: JSON, a table, or what to say where there is nothing.

    Args:
        rows: as the API shows them.
        shown: the same as cells of the table.
    """
    if json_:
        print_json(rows)
    elif shown:
        table(list(shown), spare)
    else:
        console().print(none)


def print_fields(found: Mapping[str, Any]) -> None:
    """One thing, a line for each field that holds something."""
    for name, value in found.items():
        if text := _cell(value):
            say(f"{name.replace('_', ' '):<16} {plain(text)}")


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_cell(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return "" if value is None else {True: "yes", False: "no"}.get(value, str(value))


def in_colour(state: str) -> Text:
    """A state's word; its colour says no more than the word does."""
    return Text(state, _STYLES.get(state.partition(":")[0], ""))


def ago(moment: str | None) -> str:
    """The age of an ISO 8601 moment by this machine's clock, such as "5 min ago"."""
    return format_age(datetime.fromisoformat(moment), utc_now()) if moment else ""
