"""Output of the verbs: text for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from service.cli.completion import job_ids
from service.cli.errors import knows_all_letters
from service.cli.tables import layout
from service.formatting import format_age, harmless
from service.messages.content import plain
from service.model import utc_now

#: Columns of an output that is no terminal: each row is one line, for grep and its like.
UNFOLDED = 10_000
#: By default, long cells are folded.
NOT_CUT: Mapping[str, int] = {}
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
    text = json.dumps(body, indent=indent, ensure_ascii=not knows_all_letters(sys.stdout))
    print(harmless(text, lambda char: json.dumps(char)[1:-1]), flush=True)


def table(
    rows: list[dict[str, str]], spare: Sequence[str] = (), cut: Mapping[str, int] = NOT_CUT
) -> None:
    """
    Rows with the same keys, as a table.

    Args:
        spare: the columns that may go where the terminal is narrow, in this order.
        cut: the columns whose cells are cut rather than folded, and the width they need.
    """
    out = console()
    for part in layout(rows, out.width, spare, cut):
        out.print(part)


def print_list(
    rows: Sequence[Mapping[str, Any]],
    shown: Sequence[dict[str, str]],
    json_: bool,
    *,
    none: str,
    spare: Sequence[str] = (),
    cut: Mapping[str, int] = NOT_CUT,
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
        table(list(shown), spare, cut)
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


def ago(moment: str | None) -> str:
    """The age of an ISO 8601 moment by this machine's clock, such as "5 min ago"."""
    return format_age(datetime.fromisoformat(moment), utc_now()) if moment else ""
